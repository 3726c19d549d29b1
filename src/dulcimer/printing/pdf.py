"""A picture as a page of PDF, without loss and without being compressed again.

PDF's FlateDecode filter knows PNG's predictors (ISO 32000-1 7.4.4.4), so the image data of a PNG file is put
into the page as it is. Pillow itself writes grey pictures into PDF as JPEG, which loses what films are for.
"""

from __future__ import annotations

from struct import unpack_from
from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_COLORS: Final = {0: (1, b"/DeviceGray"), 2: (3, b"/DeviceRGB")}
_POINTS_PER_INCH: Final = 72


def page(png: bytes, dpi: float) -> bytes:
    """Return a PDF document of one page that a picture fills.

    Parameters
    ----------
    png
        A PNG file, grey or RGB, not interlaced.
    dpi
        Its pixels per inch.

    Raises
    ------
    ValueError
        If it is another kind of file.
    """
    width, height, bits, kind, data = _take_apart(png)
    colors, space = _COLORS[kind]
    across, down = (f"{side / dpi * _POINTS_PER_INCH:.3f}".encode() for side in (width, height))
    drawing = b"q %b 0 0 %b 0 0 cm /Film Do Q" % (across, down)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %b %b]/Contents 4 0 R/Resources<</XObject<</Film 5 0 R>>>>>>"
        % (across, down),
        b"<</Length %d>>\nstream\n%b\nendstream" % (len(drawing), drawing),
        b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace%b/BitsPerComponent %d"
        b"/Filter/FlateDecode/DecodeParms<</Predictor 15/Colors %d/BitsPerComponent %d/Columns %d>>"
        b"/Length %d>>\nstream\n%b\nendstream"
        % (width, height, space, bits, colors, bits, width, len(data), data),
    ]
    parts = [b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n"]
    length = len(parts[0])
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(length)
        parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, content))
        length += len(parts[-1])
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    parts += [b"%010d 00000 n \n" % offset for offset in offsets]
    parts.append(b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, length))
    return b"".join(parts)


def _take_apart(png: bytes) -> tuple[int, int, int, int, bytes]:
    if not png.startswith(_SIGNATURE):
        raise ValueError("this is no PNG file")
    width, height, bits, kind, _, _, interlaced = unpack_from(">IIBBBBB", png, 16)
    if kind not in _COLORS or interlaced:
        raise ValueError("only grey and RGB pictures that are not interlaced become pages")
    data = []
    at = len(_SIGNATURE)
    while at < len(png):
        length, name = unpack_from(">I4s", png, at)
        if name == b"IDAT":
            data.append(png[at + 8 : at + 8 + length])
        at += length + 12
    return width, height, bits, kind, b"".join(data)
