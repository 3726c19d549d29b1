"""Instances without their bulk data (PS3.4 Annex Z.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

_BULK: Final = frozenset(
    {
        0x0028_7FE0,  # Pixel Data Provider URL
        0x0042_0011,  # Encapsulated Document
        0x5600_0020,  # Spectroscopy Data
        0x7FE0_0008,  # Float Pixel Data
        0x7FE0_0009,  # Double Float Pixel Data
        0x7FE0_0010,  # Pixel Data
    }
)
_REPEATING: Final = frozenset({(0x5000, 0x200C), (0x5000, 0x3000), (0x6000, 0x3000)})
"""Audio Sample Data, Curve Data and Overlay Data, in each of their groups."""

_WAVEFORM_SEQUENCE: Final = Tag(0x5400_0100)
_WAVEFORM_DATA: Final = Tag(0x5400_1010)
_TRANSFER_SYNTAX_UID: Final = Tag(0x0002_0010)
_DEFERRED: Final = 64 * 1024


def without_bulk_data(instance: Dataset | str | Path) -> Dataset:
    """Return an instance without its bulk data; what is given stays as it is.

    A file's bulk data is not read. What was compressed is so no more, since only pixels are: such an instance
    becomes one in Explicit VR Little Endian.
    """
    source = instance if isinstance(instance, Dataset) else dcmread(instance, defer_size=_DEFERRED)
    kept = Dataset()
    for tag in _kept(source):
        if tag == _WAVEFORM_SEQUENCE:
            items = [_without_samples(item) for item in source[tag].value]
            kept[tag] = DataElement(tag, "SQ", items)
        else:
            kept[tag] = source.get_item(tag)
    meta = getattr(source, "file_meta", None)
    if meta is not None:
        kept.file_meta = FileMetaDataset()
        kept.file_meta.update(meta)
        syntax = meta.get("TransferSyntaxUID")
        if syntax and UID(syntax).is_compressed:
            # A new element: the one that is there belongs to what was given.
            del kept.file_meta[_TRANSFER_SYNTAX_UID]
            kept.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return kept


def _kept(source: Dataset) -> Iterator[BaseTag]:
    # Iteration of the data set itself would decode its elements.
    for tag in source.keys():  # noqa: SIM118
        if tag not in _BULK and (tag.group & 0xFF00, tag.element) not in _REPEATING:
            yield tag


def _without_samples(item: Dataset) -> Dataset:
    kept = Dataset()
    for tag in item.keys():  # noqa: SIM118
        if tag != _WAVEFORM_DATA:
            kept[tag] = item.get_item(tag)
    return kept
