"""DICOM networking for Python."""

from dulcimer.identity import __version__

__all__ = ["__version__"]
