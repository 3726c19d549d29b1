"""Data sets to bytes and back, in the encoding of a transfer syntax (PS3.5 Annex A)."""

from __future__ import annotations

import zlib
from io import BytesIO
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.dataelem import DataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

MOST_INFLATED: Final = 1 << 31
"""The longest data set that a deflated one may become: a few kilobytes can stand for any length."""

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


_PLAIN_TEXT: Final = {
    vr: (vr.encode("ascii"), b"\0" if vr == "UI" else b" ")
    for vr in ("AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UI")
}
"""VRs whose values, when they are ASCII text, are encoded as they are; with the padding (PS3.5 6.2)."""

_EXPLICIT_HEADER: Final = Struct("<HH2sH")
_IMPLICIT_HEADER: Final = Struct("<HHI")
_LONGEST_SHORT: Final = 0xFFFE


def _encode_plain(dataset: Dataset, implicit: bool) -> bytes | None:
    """Encode a data set of nothing but short text; None for any other, which pydicom encodes.

    Most messages of the DIMSE-N services are like that, and for those this takes a fifth of the time.
    """
    parts = []
    for tag in sorted(dataset.keys()):
        element = dataset.get_item(tag)
        if type(element) is not DataElement or element.VR not in _PLAIN_TEXT:
            return None
        value = element.value
        if value is None:
            value = ""
        # Other kinds of values (lists, dates, names) and other character sets are pydicom's.
        if not isinstance(value, str) or not value.isascii() or len(value) > _LONGEST_SHORT:
            return None
        vr, padding = _PLAIN_TEXT[element.VR]
        content = value.encode("ascii")
        if len(content) & 1:
            content += padding
        if implicit:
            parts.append(_IMPLICIT_HEADER.pack(tag >> 16, tag & 0xFFFF, len(content)))
        else:
            parts.append(_EXPLICIT_HEADER.pack(tag >> 16, tag & 0xFFFF, vr, len(content)))
        parts.append(content)
    return b"".join(parts)


def encode(dataset: Dataset, encoding: Encoding) -> bytes:
    """Encode a data set; raises whatever pydicom raises for a value that its VR cannot hold."""
    if encoding.little_endian and not encoding.deflated:
        plain = _encode_plain(dataset, encoding.implicit)
        if plain is not None:
            return plain
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = encoding.implicit
    buffer.is_little_endian = encoding.little_endian
    write_dataset(buffer, dataset)
    encoded: bytes = buffer.getvalue()
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
    return read_dataset(stream, encoding.implicit, encoding.little_endian)
