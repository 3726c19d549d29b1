"""Images made ready for image boxes: from DICOM instances to 8 or 12 bits that are to be printed as they are.

A grayscale image goes through Modality LUT or rescale and through VOI LUT or window (PS3.4 N.2), so that the
printer need only apply its Presentation LUT.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
from pydicom.uid import ExplicitVRLittleEndian

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

Printable = Dataset | str | Path
"""An instance with pixels, or the path of a Part 10 file of one."""

Bits = Literal[8, 12]

_LUMINANCE: Final = (0.299, 0.587, 0.114)
_RATIO: Final = 10_000


class Prepared(Dataset):
    """An item of Basic Grayscale or Basic Color Image Sequence."""


class NotPrintable(ValueError):
    """Something that no image for printing can be made of; the text says why."""


def images(
    sources: Iterable[Printable],
    *,
    color: bool = False,
    bits: Bits = 8,
    window: tuple[float, float] | None = None,
) -> Iterator[Prepared]:
    """Make every frame of some instances ready, one after the other.

    Parameters
    ----------
    sources
        The instances; what is ready already is taken as it is.
    color
        Whether they are for color image boxes; else colours become grey.
    bits
        Bits Stored of grey pixels.
    window
        Window Center and Window Width in place of the instance's own.

    Yields
    ------
    Prepared
        An item for an image box.

    Raises
    ------
    NotPrintable
        If one of them has no pixels, or they cannot be decoded.
    """
    for source in sources:
        if isinstance(source, Prepared):
            yield source
            continue
        if isinstance(source, Dataset):
            name = str(source.get("SOPInstanceUID", "the image"))
        else:
            name = str(source)
        try:
            instance = source if isinstance(source, Dataset) else dcmread(source, force=True)
            count = int(instance.get("NumberOfFrames") or 1)
        except OSError as error:
            raise NotPrintable(f"{name} cannot be read: {error.strerror or error}") from None
        except Exception as error:
            raise NotPrintable(f"{name} is no DICOM file: {error}") from None
        if "PixelData" not in instance or "Rows" not in instance:
            raise NotPrintable(f"{name} has no pixels")
        for frame in range(count):
            try:
                yield _prepared(instance, frame, color=color, bits=bits, window=window)
            except Exception as error:
                raise NotPrintable(f"frame {frame + 1} of {name} cannot be decoded: {error}") from error


def _prepared(
    instance: Dataset, frame: int, *, color: bool, bits: Bits, window: tuple[float, float] | None
) -> Prepared:
    stored = _frame(instance, frame)
    photometric = str(instance.PhotometricInterpretation)
    item = Prepared()
    item.Rows, item.Columns = stored.shape[:2]
    if photometric == "PALETTE COLOR":
        found = apply_color_lut(stored, instance)
        depth = int(instance.RedPaletteColorLookupTableDescriptor[2])
        stored, photometric = _eight_bits(found, depth), "RGB"
    elif stored.ndim == 3:
        stored = _eight_bits(stored, int(instance.BitsStored))
    if stored.ndim == 3:
        if color:
            return _colored(item, stored, instance)
        grey = stored.astype(np.float64) @ np.asarray(_LUMINANCE) / 255
        photometric = "MONOCHROME2"
    else:
        grey = _windowed(stored, instance, window)
        if str(instance.get("PresentationLUTShape") or "") == "INVERSE":
            grey = 1.0 - grey
        if color:
            level = np.rint((1.0 - grey if photometric == "MONOCHROME1" else grey) * 255).astype(np.uint8)
            return _colored(item, np.repeat(level[..., np.newaxis], 3, axis=2), instance)
    levels = np.rint(np.clip(grey, 0.0, 1.0) * ((1 << bits) - 1))
    item.SamplesPerPixel = 1
    item.PhotometricInterpretation = photometric
    _pixel_module(item, 8 if bits == 8 else 16, bits, instance)
    item.add_new(0x7FE0_0010, "OW", _even(levels.astype(np.uint8 if bits == 8 else "<u2").tobytes()))
    return item


def _frame(instance: Dataset, frame: int) -> NDArray[Any]:
    """Decode a frame; colours come as RGB."""
    if not getattr(instance, "file_meta", None) or "TransferSyntaxUID" not in instance.file_meta:
        # What was made in memory is not compressed.
        made = Dataset()
        made.update(instance)
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        instance = made
    return pixel_array(instance, index=frame)


def _windowed(
    stored: NDArray[Any], instance: Dataset, window: tuple[float, float] | None
) -> NDArray[np.float64]:
    """Return grey values from 0 to 1."""
    values = apply_modality_lut(stored, instance).astype(np.float64)
    luts = instance.get("VOILUTSequence")
    if window is None and luts:
        return _looked_up(values, luts[0])
    function = "LINEAR"
    if window is None and "WindowCenter" in instance and "WindowWidth" in instance:
        window = (_first(instance.WindowCenter), _first(instance.WindowWidth))
        function = str(instance.get("VOILUTFunction") or "LINEAR")
    if window is None:
        low, high = float(values.min()), float(values.max())
        return (values - low) / ((high - low) or 1.0)
    center, width = window
    # PS3.3 C.11.2.1.2 and C.11.2.1.3.
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / max(width, 1e-9), -700, 700)))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / max(width, 1e-9) + 0.5, 0.0, 1.0)
    return np.clip((values - (center - 0.5)) / max(width - 1.0, 1e-9) + 0.5, 0.0, 1.0)


def _looked_up(values: NDArray[np.float64], lut: Dataset) -> NDArray[np.float64]:
    count, first, bits = (int(each) for each in lut.LUTDescriptor)
    count = count or 1 << 16
    data = lut.LUTData
    if isinstance(data, (bytes, bytearray)):
        entries = np.frombuffer(data, "<u2" if len(data) >= 2 * count else "u1")
    else:
        entries = np.asarray(data)
    at = np.clip(np.rint(values) - first, 0, min(count, len(entries)) - 1).astype(np.intp)
    return np.clip(entries[at] / ((1 << bits) - 1), 0.0, 1.0)  # type: ignore[no-any-return]


def _first(value: Any) -> float:
    return float(value if not hasattr(value, "__iter__") or isinstance(value, str) else next(iter(value)))


def _eight_bits(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits <= 8:
        return values.astype(np.uint8)
    return (values.astype(np.uint32) >> (bits - 8)).astype(np.uint8)


def _colored(item: Prepared, pixels: NDArray[np.uint8], instance: Dataset) -> Prepared:
    item.SamplesPerPixel = 3
    item.PhotometricInterpretation = "RGB"
    item.PlanarConfiguration = 1
    _pixel_module(item, 8, 8, instance)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    item.add_new(0x7FE0_0010, "OW", _even(planes.tobytes()))
    return item


def _pixel_module(item: Dataset, allocated: int, stored: int, instance: Dataset) -> None:
    item.BitsAllocated = allocated
    item.BitsStored = stored
    item.HighBit = stored - 1
    item.PixelRepresentation = 0
    down, across = _shape(instance)
    if down != across:
        item.PixelAspectRatio = [down, across]


def _shape(instance: Dataset) -> tuple[int, int]:
    """Return height and width of a pixel, as whole numbers (Pixel Aspect Ratio)."""
    if ratio := instance.get("PixelAspectRatio"):
        down, across = (int(each) for each in ratio)
        return down, across
    spacing = instance.get("PixelSpacing") or instance.get("ImagerPixelSpacing")
    if spacing:
        down_mm, across_mm = (float(each) for each in spacing)
        if down_mm > 0 and across_mm > 0 and abs(down_mm / across_mm - 1) > 1e-3:
            return round(down_mm / across_mm * _RATIO), _RATIO
    return 1, 1


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)
