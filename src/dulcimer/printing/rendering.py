"""A film box as a picture (PS3.3 C.13.3 to C.13.8, PS3.4 H.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dulcimer.printing.density import Viewing, table
from dulcimer.services import print_management as rules
from dulcimer.services.film import Area, Fit, combined

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from dulcimer.services.printer import Printer, Sheet

_CUBIC: Final = {
    "SHARP": Image.Resampling.LANCZOS,
    "SMOOTH": Image.Resampling.HAMMING,
}
"""What a Smoothing Type makes of CUBIC; it means nothing to the others (PS3.3 C.13.3)."""
_GROUPS: Final = range(0x6000, 0x6020, 2)
_TEXT: Final = 0.62
"""The height of letters as a part of an annotation box's."""
_LONGEST_TEXT: Final = 1024
_LINE_MM: Final = 0.25
_FONTS: Final = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")


@dataclass(frozen=True, slots=True)
class Film:
    """A rendered film.

    Attributes
    ----------
    picture
        Pillow's image: of mode ``L`` or ``I;16``, ``RGB`` if one of its images is in colour.
    dpi
        Its pixels per inch.
    """

    picture: Image.Image
    dpi: float


def render(film: Dataset, printer: Printer) -> Film:
    """Render a film.

    Parameters
    ----------
    film
        An item of Film Box Content Sequence, as
        :class:`~dulcimer.services.print_management.Hierarchy` makes it.
    printer
        The printer's characteristics.

    Raises
    ------
    ValueError
        If it is no film that the printer could have taken.
    """
    sheet = printer.sheet(
        str(film.FilmSizeID),
        str(film.FilmOrientation),
        str(film.ImageDisplayFormat),
        str(film.get("RequestedResolutionID") or "STANDARD"),
        str(film.get("AnnotationDisplayFormatID") or ""),
    )
    return Film(_Rendering(film, printer, sheet).picture(), sheet.dpi)


class _Rendering:
    """The rendering of one film."""

    def __init__(self, film: Dataset, printer: Printer, sheet: Sheet) -> None:
        self._film = film
        self._printer = printer
        self._sheet = sheet
        self._viewing = Viewing(
            printer.min_density,
            printer.max_density,
            float(film.get("Illumination") or rules.DEFAULT_ILLUMINATION),
            float(_or(film.get("ReflectedAmbientLight"), rules.DEFAULT_REFLECTION)),
        )
        self._border = self._viewing.named(str(film.get("BorderDensity") or "BLACK"))
        self._boxes = list(film.get("ImageBoxContentSequence") or [])
        self._color = any("BasicColorImageSequence" in box for box in self._boxes)
        self._deep = printer.bits == 16 and not self._color

    def picture(self) -> Image.Image:
        size = (self._sheet.width, self._sheet.height)
        canvas = Image.new("RGB" if self._color else "L", size, self._ink(self._border))
        deep = np.full(size[::-1], self._level(self._border), np.uint16) if self._deep else None
        empty = self._viewing.named(str(self._film.get("EmptyImageDensity") or "BLACK"))
        filled: dict[int, tuple[Dataset, Area]] = {}
        for box in self._boxes:
            at = int(box.ImageBoxPosition)
            if 1 <= at <= len(self._sheet.images):
                filled[at] = (box, self._sheet.images[at - 1])
        for at, area in enumerate(self._sheet.images, 1):
            if at not in filled:
                self._fill(canvas, deep, area, empty)
        frames = [self._image(canvas, deep, box, area) for box, area in filled.values()]
        ink = 1.0 if self._border < 0.5 else 0.0
        if deep is None:
            self._decorate(ImageDraw.Draw(canvas), frames, self._ink(ink))
            return canvas
        if self._is_decorated(frames):
            # Pillow draws badly into 16 bits: lines and letters are drawn into a mask.
            mask = Image.new("L", size)
            self._decorate(ImageDraw.Draw(mask), frames, 255)
            share = np.asarray(mask, np.float32) / 255
            deep[:] = np.rint(deep + share * (self._level(ink) - deep.astype(np.float32)))
        return Image.fromarray(deep)

    def _decorate(self, draw: ImageDraw.ImageDraw, frames: list[Area], ink: Any) -> None:
        if str(self._film.get("Trim") or "NO") == "YES":
            self._trim(draw, frames, ink)
        self._annotate(draw, ink)

    def _is_decorated(self, frames: list[Area]) -> bool:
        trimmed = str(self._film.get("Trim") or "NO") == "YES" and bool(frames)
        return trimmed or bool(self._film.get("AnnotationContentSequence"))

    def _image(self, canvas: Image.Image, deep: NDArray[np.uint16] | None, box: Dataset, area: Area) -> Area:
        """Put an image onto the film, and return where it is."""
        color = "BasicColorImageSequence" in box
        image = (box.BasicColorImageSequence if color else box.BasicGrayscaleImageSequence)[0]
        fit = rules.place(box, image, self._film, area, self._sheet.dpi, self._printer)
        target = fit.target._replace(left=area.left + fit.target.left, top=area.top + fit.target.top)
        if not (target.width and target.height):
            return target
        source = _colored(box, image) if color else self._grey(box, image)
        source = self._with_overlays(source, image)
        whole = combined(int(image.Columns), int(image.Rows), rules.overlay_areas(image))
        resized = _resized(source, whole, fit, self._method(box, fit))
        if deep is not None:
            levels = np.asarray(resized, np.float32)
            deep[target.top : target.top + target.height, target.left : target.left + target.width] = np.rint(
                np.clip(levels, 0.0, 65535.0)
            )
        else:
            canvas.paste(resized, (target.left, target.top))
        return target

    def _grey(self, box: Dataset, image: Dataset) -> Image.Image:
        bits = int(image.BitsStored)
        inverse = str(image.PhotometricInterpretation) == "MONOCHROME1"
        if str(box.get("Polarity") or "NORMAL") == "REVERSE":
            inverse = not inverse
        luts = box.get("PresentationLUTContentSequence") or self._film.get("PresentationLUTContentSequence")
        shape, entries, lut_bits = _presentation(luts[0]) if luts else ("IDENTITY", None, 16)
        greys = table(
            bits,
            self._viewing,
            (int(self._of(box, "MinDensity")), int(self._of(box, "MaxDensity"))),
            inverse=inverse,
            shape=shape,
            lut=entries,
            lut_bits=lut_bits,
        )
        size = (int(image.Columns), int(image.Rows))
        count = size[0] * size[1]
        if self._deep:
            levels = (greys * 65535).astype(np.float32)
            return Image.fromarray(levels[_pixels(image, count, bits)].reshape(size[::-1]))
        levels8 = np.rint(greys * 255).astype(np.uint8)
        if bits == 8 and int(image.BitsAllocated) == 8:
            stored = Image.frombuffer("L", size, bytes(image.PixelData)[:count], "raw", "L", 0, 1)
            return stored.point(levels8.tolist())
        return Image.fromarray(levels8[_pixels(image, count, bits)].reshape(size[::-1]))

    def _with_overlays(self, source: Image.Image, image: Dataset) -> Image.Image:
        """Draw overlay planes in white; the picture grows to what encloses them."""
        areas = rules.overlay_areas(image)
        if not areas:
            return source
        whole = combined(source.width, source.height, areas)
        white: Any = 65535.0 if source.mode == "F" else 255 if source.mode == "L" else (255, 255, 255)
        ground: Any = self._level(self._border) if source.mode == "F" else self._ink(self._border)
        canvas = Image.new(source.mode, (whole.width, whole.height), ground)
        canvas.paste(source, (-whole.left, -whole.top))
        planes = [image[group << 16 | 0x3000].value for group in _GROUPS if group << 16 | 0x3000 in image]
        for area, plane in zip(areas, planes, strict=False):
            count = area.width * area.height
            if not count:
                continue
            bits = np.unpackbits(np.frombuffer(plane, np.uint8), bitorder="little")[:count]
            if bits.size < count:
                continue
            mask = Image.fromarray(bits.reshape(area.height, area.width) * np.uint8(255))
            canvas.paste(white, (area.left - whole.left, area.top - whole.top), mask)
        return canvas

    def _method(self, box: Dataset, fit: Fit) -> Image.Resampling:
        smaller = fit.target.width < fit.source.width or fit.target.height < fit.source.height
        match str(self._of(box, "MagnificationType")):
            case "CUBIC":
                smoothing = str(self._of(box, "SmoothingType") or "")
                return _CUBIC.get(smoothing, Image.Resampling.BICUBIC)
            case "BILINEAR":
                return Image.Resampling.BILINEAR
        # Left out pixels could be the ones that matter.
        return Image.Resampling.BOX if smaller else Image.Resampling.NEAREST

    def _trim(self, draw: ImageDraw.ImageDraw, frames: list[Area], ink: Any) -> None:
        width = max(round(self._sheet.dpi * _LINE_MM / 25.4), 1)
        for frame in frames:
            left, top = frame.left - width, frame.top - width
            right, bottom = frame.left + frame.width + width - 1, frame.top + frame.height + width - 1
            draw.rectangle((left, top, right, bottom), outline=ink, width=width)

    def _annotate(self, draw: ImageDraw.ImageDraw, ink: Any) -> None:
        for item in self._film.get("AnnotationContentSequence") or []:
            at = int(item.AnnotationPosition)
            if not 1 <= at <= len(self._sheet.annotations):
                continue
            area = self._sheet.annotations[at - 1]
            text = " ".join(str(item.get("TextString") or "").split())[:_LONGEST_TEXT]
            size = max(area.height * _TEXT, 1.0)
            font = _font(size)
            length = draw.textlength(text, font)
            if length > area.width:
                font = _font(max(size * area.width / length, 1.0))
            draw.text((area.left, area.top + area.height / 2), text, ink, font, anchor="lm")

    def _fill(self, canvas: Image.Image, deep: NDArray[np.uint16] | None, area: Area, grey: float) -> None:
        right, bottom = area.left + area.width, area.top + area.height
        if deep is not None:
            deep[area.top : bottom, area.left : right] = self._level(grey)
        else:
            canvas.paste(self._ink(grey), (area.left, area.top, right, bottom))

    def _of(self, box: Dataset, keyword: str) -> Any:
        value = box.get(keyword)
        return self._film.get(keyword) if value is None or value == "" else value

    def _ink(self, grey: float) -> Any:
        level = round(grey * 255)
        return (level, level, level) if self._color else level

    @staticmethod
    def _level(grey: float) -> int:
        return round(grey * 65535)


def _resized(source: Image.Image, whole: Area, fit: Fit, method: Image.Resampling) -> Image.Image:
    left, top = fit.source.left - whole.left, fit.source.top - whole.top
    part = (left, top, left + fit.source.width, top + fit.source.height)
    size = (fit.target.width, fit.target.height)
    if size == (fit.source.width, fit.source.height):
        return source if part == (0, 0, source.width, source.height) else source.crop(part)
    return source.resize(size, method, part)


def _pixels(image: Dataset, count: int, bits: int) -> NDArray[Any]:
    kind = "<u2" if int(image.BitsAllocated) == 16 else "u1"
    found: NDArray[Any] = np.frombuffer(image.PixelData, kind, count)
    return np.bitwise_and(found, (1 << bits) - 1)  # type: ignore[no-any-return]


def _colored(box: Dataset, image: Dataset) -> Image.Image:
    columns, rows = int(image.Columns), int(image.Rows)
    stored = np.frombuffer(image.PixelData, np.uint8, rows * columns * 3)
    if int(image.get("PlanarConfiguration") or 0):
        stored = stored.reshape(3, rows, columns).transpose(1, 2, 0)
    found = Image.fromarray(np.ascontiguousarray(stored.reshape(rows, columns, 3)))
    if str(box.get("Polarity") or "NORMAL") == "REVERSE":
        found = found.point([255 - value for value in range(256)] * 3)
    return found


def _presentation(lut: Dataset) -> tuple[str, Any, int]:
    """Return the shape of a Presentation LUT, or its entries and their bits."""
    items = lut.get("PresentationLUTSequence")
    if not items:
        return str(lut.get("PresentationLUTShape") or "IDENTITY"), None, 16
    descriptor = items[0].LUTDescriptor
    data = items[0].LUTData
    entries = np.frombuffer(data, "<u2") if isinstance(data, (bytes, bytearray)) else np.asarray(data)
    return "", entries[: int(descriptor[0])], int(descriptor[2])


def _font(size: float) -> Any:
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _or(value: Any, default: float) -> Any:
    return default if value is None else value
