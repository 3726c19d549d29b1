"""A folder as a printer: every film becomes a PNG file, a PDF file, and a small PNG file to look at."""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from dulcimer.printing import pdf
from dulcimer.printing.rendering import Film, render

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.services.printer import Printer

_COMPRESSION: Final = 3
_PREVIEW: Final = 1024
"""The longer side of the small picture, in pixels."""


class FilmFolder:
    """Renders films and writes them, as ``NAME.png``, ``NAME.pdf`` and ``NAME-preview.png``.

    A file has its name only when it is whole and on the disk.

    Parameters
    ----------
    folder
        Where the films go; it is made if it is not there.
    printer
        The printer's characteristics.
    flush
        Whether files and folder are flushed to the disk.
    """

    def __init__(self, folder: str | os.PathLike[str], printer: Printer, *, flush: bool = True) -> None:
        self.folder = Path(folder)
        self._printer = printer
        self._flush = flush
        self.folder.mkdir(parents=True, exist_ok=True)
        for half in self.folder.glob(".*.part"):
            half.unlink(missing_ok=True)

    def __call__(self, name: str, film: Dataset) -> None:
        """Print a film.

        Raises
        ------
        OSError
            If it cannot be written.
        ValueError
            If it cannot be rendered.
        """
        rendered = render(film, self._printer)
        png = _png(rendered.picture, rendered.dpi)
        self._write(f"{name}.pdf", pdf.page(png, rendered.dpi))
        self._write(f"{name}-preview.png", _preview(rendered))
        # Last: who sees the film finds the others.
        self._write(f"{name}.png", png)
        if self._flush:
            descriptor = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        temporary = self.folder / f".{name}.part"
        try:
            with temporary.open("wb") as file:
                file.write(content)
                if self._flush:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def _png(picture: Image.Image, dpi: float) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG", compress_level=_COMPRESSION, dpi=(dpi, dpi))
    return buffer.getvalue()


def _preview(film: Film) -> bytes:
    picture = film.picture
    if picture.mode not in ("L", "RGB"):
        picture = picture.point(lambda value: value / 257).convert("L")
    factor = max(-(-max(picture.size) // _PREVIEW), 1)
    return _png(picture.reduce(factor) if factor > 1 else picture, film.dpi / factor)
