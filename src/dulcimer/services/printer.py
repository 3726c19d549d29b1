"""What a printer is and can do, and how it says so (PS3.4 H.4.6, H.4.11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from pydicom.dataset import Dataset

from dulcimer.services.film import (
    MM_PER_INCH,
    Area,
    DisplayFormat,
    Fractions,
    display_format,
    film_size,
    image_areas,
    pixels,
)

_LINES_OF_THREE: Final = 3
_ANNOTATION_MM: Final = 6.0
"""The height of a line of annotations."""

_THIRD: Final = 1 / 3
_CUSTOM: Final[Mapping[int, tuple[Fractions, ...]]] = MappingProxyType(
    {1: ((0.0, 0.0, 1.0, 2 * _THIRD), *((at * _THIRD, 2 * _THIRD, _THIRD, _THIRD) for at in range(3)))}
)
_ANNOTATIONS: Final[Mapping[str, int]] = MappingProxyType(
    {"LABEL": 1, "ANNOTATION": 6, **{str(number): number for number in range(1, 7)}}
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A film before anything is on it, in printer pixels.

    Attributes
    ----------
    width, height
        Of the whole film.
    dpi
        Pixels per inch.
    images
        The image boxes, in the order of their positions.
    annotations
        The annotation boxes, in the order of theirs.
    """

    width: int
    height: int
    dpi: float
    images: tuple[Area, ...]
    annotations: tuple[Area, ...]


@dataclass(frozen=True, slots=True)
class Printer:
    """The characteristics and limits of a printer.

    Attributes
    ----------
    name, manufacturer, model, serial_number, software_versions
        What it calls itself.
    film_sizes
        Film Size IDs that it has; the first is used where none is asked for.
    media
        Medium Types that it has; the first likewise.
    destinations
        Film Destinations; the first likewise. ``BIN_i`` stands for all bins.
    resolution, high_resolution
        Printer pixels per inch with Requested Resolution ID ``STANDARD`` and ``HIGH``; None: no ``HIGH``.
    min_density, max_density
        The densities that it can print, in hundredths of OD.
    bits
        Bits of a pixel of a printed film, 8 or 16.
    magnification
        Magnification Type where none is asked for.
    smoothing_types
        Smoothing Types for ``CUBIC``; the first is used where none is asked for.
    decimate_crop
        What is done with an image that is too large where nothing is requested: ``DECIMATE``, ``CROP`` or
        ``FAIL``.
    memory
        Bytes for the images of films that are being put together.
    allocates_memory
        Whether Memory Allocation is supported; B600H otherwise.
    queue_length
        Print jobs that may wait.
    prints_sessions
        Whether a film session may be printed as a whole.
    collates
        Whether the films of a session stay together; B601H otherwise.
    most_copies
        The highest Number of Copies.
    margin, gap
        What stays free at the edges of a film and between image boxes, in mm.
    annotation_formats
        Annotation Display Format IDs, and how many annotation boxes each has. They are at the bottom of the
        film, up to three beside each other.
    custom_formats
        What ``CUSTOM\\i`` stands for: the image boxes as parts of the area for images.
    """

    name: str = "DULCIMER"
    manufacturer: str = "Dulcimer"
    model: str = "Film to file"
    serial_number: str = "1"
    software_versions: str = "1"
    film_sizes: tuple[str, ...] = (
        "14INX17IN",
        "8INX10IN",
        "8_5INX11IN",
        "10INX12IN",
        "10INX14IN",
        "11INX14IN",
        "11INX17IN",
        "14INX14IN",
        "24CMX24CM",
        "24CMX30CM",
        "A4",
        "A3",
    )
    media: tuple[str, ...] = ("BLUE FILM", "CLEAR FILM", "PAPER", "MAMMO CLEAR FILM", "MAMMO BLUE FILM")
    destinations: tuple[str, ...] = ("PROCESSOR", "MAGAZINE", "BIN_i")
    resolution: float = 300.0
    high_resolution: float | None = 600.0
    min_density: int = 20
    max_density: int = 320
    bits: int = 8
    magnification: str = "CUBIC"
    smoothing_types: tuple[str, ...] = ("NORMAL", "NONE", "SHARP", "SMOOTH")
    decimate_crop: str = "DECIMATE"
    memory: int = 1 << 30
    allocates_memory: bool = False
    queue_length: int = 100
    prints_sessions: bool = True
    collates: bool = True
    most_copies: int = 99
    margin: float = 5.0
    gap: float = 1.0
    annotation_formats: Mapping[str, int] = field(default_factory=lambda: _ANNOTATIONS)
    custom_formats: Mapping[int, tuple[Fractions, ...]] = field(default_factory=lambda: _CUSTOM)

    def dpi(self, resolution_id: str) -> float:
        """Return the printer pixels per inch for a Requested Resolution ID."""
        if resolution_id == "HIGH" and self.high_resolution is not None:
            return self.high_resolution
        return self.resolution

    def sheet(
        self,
        size_id: str,
        orientation: str = "PORTRAIT",
        form: str = "STANDARD\\1,1",
        resolution_id: str = "STANDARD",
        annotation_format: str = "",
    ) -> Sheet:
        """Divide a film into its boxes.

        Raises
        ------
        ValueError
            If there is no such size or format, or the boxes would not fit.
        """
        dpi = self.dpi(resolution_id)
        size = film_size(size_id, orientation)
        width, height = pixels(size.width, dpi), pixels(size.height, dpi)
        margin, gap = pixels(self.margin, dpi), pixels(self.gap, dpi)
        place = Area(margin, margin, width - 2 * margin, height - 2 * margin)
        count = self.annotation_formats.get(annotation_format, 0)
        lines = -(-count // _LINES_OF_THREE)
        line = pixels(_ANNOTATION_MM, dpi)
        bottom = place.top + place.height
        place = place._replace(height=place.height - lines * line)
        annotations = []
        for number in range(count):
            row, column = divmod(number, _LINES_OF_THREE)
            beside = min(count - row * _LINES_OF_THREE, _LINES_OF_THREE)
            left = place.left + place.width * column // beside
            right = place.left + place.width * (column + 1) // beside
            annotations.append(Area(left, bottom - (lines - row) * line, right - left, line))
        areas = image_areas(display_format(form), place, dpi, gap, self.custom_formats)
        return Sheet(width, height, dpi, tuple(areas), tuple(annotations))

    def has_destination(self, destination: str) -> bool:
        """Tell whether there is a Film Destination."""
        return destination in self.destinations or (
            "BIN_i" in self.destinations and destination.startswith("BIN_") and destination[4:].isdigit()
        )

    def attributes(self, status: str = "NORMAL", information: str = "NORMAL") -> Dataset:
        """Return the attributes of the Printer SOP Instance (PS3.4 Table H.4-16)."""
        printer = Dataset()
        printer.PrinterStatus = status
        printer.PrinterStatusInfo = information
        printer.PrinterName = self.name
        printer.Manufacturer = self.manufacturer
        printer.ManufacturerModelName = self.model
        printer.DeviceSerialNumber = self.serial_number
        printer.SoftwareVersions = self.software_versions
        return printer

    def configuration(self, sop_classes: tuple[str, ...]) -> Dataset:
        """Return the attributes of the Printer Configuration SOP Instance (PS3.4 Table H.4-26).

        Parameters
        ----------
        sop_classes
            The SOP classes and meta SOP classes that it supports.
        """
        item = Dataset()
        item.SOPClassesSupported = list(sop_classes)
        item.MaximumMemoryAllocation = self.memory // 1024
        item.MemoryBitDepth = 12
        item.PrintingBitDepth = self.bits
        item.MediaInstalledSequence = [
            self._medium(medium, size, number)
            for number, (medium, size) in enumerate(
                ((medium, size) for medium in self.media for size in self.film_sizes), 1
            )
        ]
        item.OtherMediaAvailableSequence = []
        item.SupportedImageDisplayFormatsSequence = [
            each
            for size in self.film_sizes
            for orientation in ("PORTRAIT", "LANDSCAPE")
            for each in self._formats(size, orientation)
        ]
        item.DefaultPrinterResolutionID = "STANDARD"
        item.DefaultMagnificationType = self.magnification
        item.OtherMagnificationTypesAvailable = [
            each for each in ("REPLICATE", "BILINEAR", "CUBIC", "NONE") if each != self.magnification
        ]
        item.DefaultSmoothingType = self.smoothing_types[0]
        item.OtherSmoothingTypesAvailable = list(self.smoothing_types[1:])
        item.ConfigurationInformationDescription = "Kept with the film and otherwise ignored"
        item.MaximumCollatedFilms = self.queue_length if self.collates else 0
        item.DecimateCropResult = f"DEF {self.decimate_crop}"
        item.Manufacturer = self.manufacturer
        item.ManufacturerModelName = self.model
        item.PrinterName = self.name
        answer = Dataset()
        answer.PrinterConfigurationSequence = [item]
        return answer

    def _medium(self, medium: str, size: str, number: int) -> Dataset:
        item = Dataset()
        item.ItemNumber = number
        item.MediumType = medium
        item.FilmSizeID = size
        item.MinDensity = self.min_density
        item.MaxDensity = self.max_density
        return item

    def _formats(self, size: str, orientation: str) -> list[Dataset]:
        """Describe the formats that have one box: others divide the same area."""
        resolutions = ["STANDARD"] if self.high_resolution is None else ["STANDARD", "HIGH"]
        found = []
        for resolution in resolutions:
            form = DisplayFormat("STANDARD", (1, 1))
            sheet = self.sheet(size, orientation, str(form), resolution)
            item = Dataset()
            item.Rows = sheet.images[0].height
            item.Columns = sheet.images[0].width
            item.ImageDisplayFormat = str(form)
            item.FilmOrientation = orientation
            item.FilmSizeID = size
            item.PrinterResolutionID = resolution
            spacing = f"{MM_PER_INCH / sheet.dpi:.6f}"
            item.PrinterPixelSpacing = [spacing, spacing]
            item.RequestedImageSizeFlag = "YES"
            found.append(item)
        return found
