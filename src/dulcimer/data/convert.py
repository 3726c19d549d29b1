"""From one uncompressed transfer syntax to another (PS3.5 section 7.3 and Annex A)."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from pydicom.uid import UID

from dulcimer.data.codec import EXPLICIT_VR_BIG_ENDIAN

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_WORDS: Final = {"OW": "H", "OF": "I", "OL": "I", "OD": "Q", "OV": "Q"}
"""Value representations that pydicom leaves as bytes, with the array type of one word."""


def reencode(dataset: Dataset, transfer_syntax_uid: str) -> None:
    """Make ``dataset`` encode in another uncompressed transfer syntax; its values stay the same."""
    was_big = dataset.file_meta.TransferSyntaxUID == EXPLICIT_VR_BIG_ENDIAN
    if was_big != (transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN):
        _swap_words(dataset)
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)


def _swap_words(dataset: Dataset) -> None:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _swap_words(item)
        elif element.VR in _WORDS and isinstance(element.value, bytes):
            words = array(_WORDS[element.VR])
            whole = len(element.value) - len(element.value) % words.itemsize
            words.frombytes(element.value[:whole])
            words.byteswap()
            element.value = words.tobytes() + element.value[whole:]
