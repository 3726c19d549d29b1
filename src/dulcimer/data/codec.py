"""Data sets to bytes and back, in the encoding of a transfer syntax (PS3.5 Annex A)."""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from dulcimer.data import plain

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

MOST_INFLATED: Final = 1 << 31
"""The longest data set that a deflated one may become: a few kilobytes can stand for any length."""

_MESSAGE: Final = 1 << 16
"""Up to how many bytes a data set is read as those of messages are; longer ones have pixels."""

UNCOMPRESSED: Final = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
    }
)
"""The transfer syntaxes between which a data set can be converted without touching its pixels."""


class Encoding(NamedTuple):
    """How a transfer syntax encodes elements."""

    implicit: bool
    little_endian: bool
    deflated: bool


_EXPLICIT: Final = Encoding(False, True, False)
_ENCODINGS: Final = {
    IMPLICIT_VR_LITTLE_ENDIAN: Encoding(True, True, False),
    "1.2.840.113619.5.2": Encoding(True, True, False),  # GE's private variant; only its pixels are big endian
    EXPLICIT_VR_BIG_ENDIAN: Encoding(False, False, False),
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Encoding(False, True, True),
    "1.2.840.10008.1.2.4.95": Encoding(False, True, True),
    "1.2.840.10008.1.2.4.205": Encoding(False, True, True),
}


def encoding_of(transfer_syntax: str) -> Encoding:
    """Return how a transfer syntax encodes; every one that is not listed is Explicit VR Little Endian."""
    return _ENCODINGS.get(transfer_syntax, _EXPLICIT)


def encode(dataset: Dataset, encoding: Encoding) -> bytes:
    """Encode a data set; raises whatever pydicom raises for a value that its VR cannot hold."""
    if encoding.little_endian and not encoding.deflated:
        encoded = plain.encode(dataset, implicit=encoding.implicit)
        if encoded is not None:
            return encoded
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = encoding.implicit
    buffer.is_little_endian = encoding.little_endian
    write_dataset(buffer, dataset)
    encoded = buffer.getvalue()
    if not encoding.deflated:
        return encoded
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    compressed = compressor.compress(encoded) + compressor.flush()
    return compressed + b"\x00" * (len(compressed) % 2)


def decode(stream: BytesIO, encoding: Encoding) -> Dataset:
    """Decode a data set; its values are decoded when they are used, so errors may show only then."""
    stream.seek(0)
    if encoding.deflated:
        # A raw deflate stream, perhaps with a padding byte (PS3.5 A.5).
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        stream = BytesIO(inflate.decompress(stream.read(), MOST_INFLATED))
        if inflate.unconsumed_tail:
            raise ValueError(f"the data set inflates to more than {MOST_INFLATED} bytes")
    elif encoding.little_endian and stream.getbuffer().nbytes <= _MESSAGE:
        dataset = plain.decode(stream.getvalue(), implicit=encoding.implicit)
        if dataset is not None:
            return dataset
    return read_dataset(stream, encoding.implicit, encoding.little_endian)
