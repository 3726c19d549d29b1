"""The geometry of a film: its size, where its image boxes are, and how an image goes into one (PS3.3 C.13.3,
C.13.5).

All of it is arithmetic on numbers of printer pixels, so whether an image fits is known before it is printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Final, NamedTuple

MM_PER_INCH: Final = 25.4

SUCCESS: Final = 0x0000
DEMAGNIFIED: Final = 0xB604
CROPPED: Final = 0xB609
DECIMATED: Final = 0xB60A
IMAGE_TOO_LARGE: Final = 0xC603
COMBINED_IMAGE_TOO_LARGE: Final = 0xC613

_SIZE: Final = re.compile(r"(\d+(?:_\d+)?)(IN|CM)X(\d+(?:_\d+)?)(IN|CM)")
_NAMED: Final = {"A4": (210.0, 297.0), "A3": (297.0, 420.0)}
_UNITS: Final = {"IN": MM_PER_INCH, "CM": 10.0}

_SLIDE_MOUNT: Final = 50.8
"""The side of the mount of a slide in mm, 2 inches."""
_SLIDES: Final = {"SLIDE": (36.0, 24.0), "SUPERSLIDE": (38.0, 38.0)}
"""Width and height of the picture in it, in mm."""

_COUNTS: Final = {"STANDARD": 2, "ROW": None, "COL": None, "CUSTOM": 1}
MOST_IN_A_LINE: Final = 100
"""More image boxes beside or above each other no film has."""

Fractions = tuple[float, float, float, float]
"""Left, top, width and height as parts of the area that they are in."""


class Area(NamedTuple):
    """A rectangle in pixels, the origin at the top left."""

    left: int
    top: int
    width: int
    height: int


class Size(NamedTuple):
    """Width and height."""

    width: float
    height: float


class DisplayFormat(NamedTuple):
    """Image Display Format (2010,0010): the kind, and the numbers that follow it."""

    kind: str
    counts: tuple[int, ...] = ()

    def __str__(self) -> str:
        return "\\".join([self.kind, *([",".join(map(str, self.counts))] if self.counts else [])])


def film_size(identifier: str, orientation: str = "PORTRAIT") -> Size:
    """Return width and height of a film in mm.

    Parameters
    ----------
    identifier
        Film Size ID (2010,0050): ``"14INX17IN"``, ``"8_5INX11IN"``, ``"24CMX30CM"``, ``"A4"``.
    orientation
        Film Orientation (2010,0040).

    Raises
    ------
    ValueError
        If it is no size.
    """
    if identifier in _NAMED:
        width, height = _NAMED[identifier]
    elif match := _SIZE.fullmatch(identifier):
        across, unit, down, other = match.groups()
        width = float(across.replace("_", ".")) * _UNITS[unit]
        height = float(down.replace("_", ".")) * _UNITS[other]
    else:
        raise ValueError(f"{identifier!r} is no film size")
    if not (width and height):
        raise ValueError(f"{identifier!r} is no film size")
    return Size(height, width) if orientation == "LANDSCAPE" else Size(width, height)


def pixels(mm: float, dpi: float) -> int:
    """Return how many printer pixels a length has."""
    return max(round(mm * dpi / MM_PER_INCH), 0)


def display_format(text: str) -> DisplayFormat:
    """Read an Image Display Format.

    Raises
    ------
    ValueError
        If it is none of ``STANDARD\\C,R``, ``ROW\\R1,R2…``, ``COL\\C1,C2…``, ``SLIDE``, ``SUPERSLIDE`` and
        ``CUSTOM\\i``, or a number in it cannot be.
    """
    kind, backslash, rest = text.strip().partition("\\")
    kind = kind.strip()
    if kind in _SLIDES and not backslash:
        return DisplayFormat(kind)
    if kind not in _COUNTS or not re.fullmatch(r"\s*\d{1,4}\s*(,\s*\d{1,4}\s*)*", rest):
        raise ValueError(f"{text!r} is no image display format")
    counts = tuple(int(count) for count in rest.split(","))
    wanted = _COUNTS[kind]
    too_many = kind != "CUSTOM" and (max(counts) > MOST_IN_A_LINE or len(counts) > MOST_IN_A_LINE)
    if (wanted is not None and len(counts) != wanted) or not min(counts) or too_many:
        raise ValueError(f"{text!r} is no image display format")
    return DisplayFormat(kind, counts)


def image_areas(
    form: DisplayFormat,
    place: Area,
    dpi: float,
    gap: int = 0,
    custom: Mapping[int, Sequence[Fractions]] | None = None,
) -> list[Area]:
    """Divide the area for images into image boxes, in the order of Image Box Position (PS3.3 C.13.5.1.1).

    ``STANDARD``, ``ROW`` and slides count from left to right and then down, ``COL`` down and then to the
    right.

    Parameters
    ----------
    form
        The display format.
    place
        The area for images.
    dpi
        Printer pixels per inch.
    gap
        Pixels between two boxes.
    custom
        What ``CUSTOM\\i`` stands for.

    Raises
    ------
    ValueError
        If a box would have no pixels, or there is no such custom format.
    """
    match form.kind:
        case "STANDARD":
            columns, rows = form.counts
            areas = [box for row in _split(place, rows, gap, down=True) for box in _split(row, columns, gap)]
        case "ROW":
            lines = _split(place, len(form.counts), gap, down=True)
            areas = [
                box for row, count in zip(lines, form.counts, strict=True) for box in _split(row, count, gap)
            ]
        case "COL":
            lines = _split(place, len(form.counts), gap)
            areas = [
                box
                for column, count in zip(lines, form.counts, strict=True)
                for box in _split(column, count, gap, down=True)
            ]
        case "CUSTOM":
            fractions = (custom or {}).get(form.counts[0])
            if fractions is None:
                raise ValueError(f"there is no custom format {form.counts[0]}")
            areas = [_part(place, each, gap) for each in fractions]
        case _:
            areas = _slides(form.kind, place, dpi)
    if not areas or any(area.width < 1 or area.height < 1 for area in areas):
        raise ValueError(f"{form} does not fit on the film")
    return areas


@dataclass(frozen=True, slots=True)
class Fit:
    """How an image goes into its box.

    Attributes
    ----------
    source
        The part of the image that is printed, in its own pixels.
    target
        Where that is in the box, in printer pixels.
    status
        0000H, a warning (B604H, B609H, B60AH) or a failure (C603H, C613H), where nothing is printed.
    """

    source: Area
    target: Area
    status: int = SUCCESS


def fit(
    image: Area,
    box: tuple[int, int],
    dpi: float,
    *,
    aspect: tuple[float, float] = (1.0, 1.0),
    magnify: bool = True,
    requested_width: float | None = None,
    behaviour: str = "",
    default_behaviour: str = "DECIMATE",
    alone: tuple[int, int] | None = None,
) -> Fit:
    """Place an image in its box, in the middle, and tell the status of that (PS3.4 H.4.3).

    Parameters
    ----------
    image
        The pixels to print: those of the image, or of the combined print image.
    box
        Width and height of the box in printer pixels.
    dpi
        Printer pixels per inch.
    aspect
        Pixel Aspect Ratio: height and width of a pixel.
    magnify
        False for Magnification Type ``NONE``: a pixel of the image is a pixel of the printer.
    requested_width
        Requested Image Size (2020,0030) in mm; the box is filled without it. Ignored with ``NONE``.
    behaviour
        Requested Decimate/Crop Behavior (2020,0040), empty if not requested.
    default_behaviour
        What the printer does if nothing is requested.
    alone
        Columns and rows of the image without its overlays, where it has any.
    """
    down, across = aspect
    stretch = down / across
    # No pixel becomes smaller than one of the printer only because it is not square.
    natural = Size(image.width * max(1.0, 1 / stretch), image.height * max(1.0, stretch))
    width, height = box
    if not magnify:
        wanted = natural
    elif requested_width is not None:
        across_px = requested_width * dpi / MM_PER_INCH
        wanted = Size(across_px, across_px * natural.height / natural.width)
    elif _exceeds(natural, box):
        # As it would be with every pixel of it on the film.
        wanted = natural
    else:
        scale = min(width / natural.width, height / natural.height)
        wanted = Size(natural.width * scale, natural.height * scale)
    if not _exceeds(wanted, box):
        return Fit(image, _middle(wanted, box))

    chosen = behaviour or default_behaviour
    if chosen == "CROP":
        source = _crop(image, width / wanted.width, height / wanted.height)
        shown = Size(wanted.width * source.width / image.width, wanted.height * source.height / image.height)
        return Fit(source, _middle(shown, box), CROPPED)
    if chosen == "FAIL" or not magnify:
        # DECIMATE with NONE has to fail (PS3.4 H.4.3.1.2.1).
        return Fit(image, Area(0, 0, 0, 0), _too_large(image, wanted, box, alone))
    scale = min(width / wanted.width, height / wanted.height)
    shown = Size(wanted.width * scale, wanted.height * scale)
    return Fit(image, _middle(shown, box), DECIMATED if behaviour else DEMAGNIFIED)


def combined(columns: int, rows: int, overlays: Sequence[Area]) -> Area:
    """Return the smallest rectangle around an image and the overlays on it: the combined print image."""
    left = min(0, *(each.left for each in overlays)) if overlays else 0
    top = min(0, *(each.top for each in overlays)) if overlays else 0
    right = max([columns, *(each.left + each.width for each in overlays)])
    bottom = max([rows, *(each.top + each.height for each in overlays)])
    return Area(left, top, right - left, bottom - top)


def _too_large(image: Area, wanted: Size, box: tuple[int, int], alone: tuple[int, int] | None) -> int:
    if alone is not None:
        share = Size(wanted.width * alone[0] / image.width, wanted.height * alone[1] / image.height)
        if not _exceeds(share, box):
            return COMBINED_IMAGE_TOO_LARGE
    return IMAGE_TOO_LARGE


def _exceeds(size: Size, box: tuple[int, int]) -> bool:
    # What is less than half a pixel too large is as large as the box.
    return size.width >= box[0] + 0.5 or size.height >= box[1] + 0.5


def _middle(size: Size, box: tuple[int, int]) -> Area:
    width = min(max(round(size.width), 1), box[0])
    height = min(max(round(size.height), 1), box[1])
    return Area((box[0] - width) // 2, (box[1] - height) // 2, width, height)


def _crop(image: Area, across: float, down: float) -> Area:
    """Return the middle of an image."""
    width = image.width if across >= 1 else max(floor(image.width * across), 1)
    height = image.height if down >= 1 else max(floor(image.height * down), 1)
    left = image.left + (image.width - width) // 2
    return Area(left, image.top + (image.height - height) // 2, width, height)


def _split(place: Area, count: int, gap: int, *, down: bool = False) -> list[Area]:
    length = (place.height if down else place.width) - gap * (count - 1)
    areas = []
    for number in range(count):
        start = length * number // count
        share = length * (number + 1) // count - start
        offset = start + gap * number
        areas.append(
            Area(place.left, place.top + offset, place.width, share)
            if down
            else Area(place.left + offset, place.top, share, place.height)
        )
    return areas


def _part(place: Area, fractions: Fractions, gap: int) -> Area:
    left, top, width, height = fractions
    half = gap // 2
    return Area(
        place.left + round(place.width * left) + half,
        place.top + round(place.height * top) + half,
        round(place.width * width) - 2 * half,
        round(place.height * height) - 2 * half,
    )


def _slides(kind: str, place: Area, dpi: float) -> list[Area]:
    mount = pixels(_SLIDE_MOUNT, dpi)
    width, height = (pixels(side, dpi) for side in _SLIDES[kind])
    if not mount:
        return []
    columns, rows = place.width // mount, place.height // mount
    left = place.left + (place.width - columns * mount) // 2 + (mount - width) // 2
    top = place.top + (place.height - rows * mount) // 2 + (mount - height) // 2
    return [
        Area(left + column * mount, top + row * mount, width, height)
        for row in range(rows)
        for column in range(columns)
    ]
