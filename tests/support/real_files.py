"""The files that pydicom ships as test data; those that it would have to download are not among them."""

from __future__ import annotations

from pathlib import Path

from pydicom.data.data_manager import DATA_ROOT

_NO_DATA = frozenset({".py", ".pyc", ".txt", ".dump", ".md", ".json", ".gz", ".icc"})


def shipped() -> list[Path]:
    """List every file that may be a DICOM file."""
    return sorted(
        path for path in Path(DATA_ROOT).rglob("*") if path.is_file() and path.suffix not in _NO_DATA
    )
