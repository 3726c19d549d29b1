"""Draws small pictures of stored objects, as a process of its own.

A decoder given a file that somebody else made may take for ever, or all memory, or crash. Here it takes
neither the node's time nor its interpreter: the process is nice, has a limit of memory, and is killed when it
is late. It reads a line of JSON for each picture (``path``, ``size``) and answers with one (``length``, or
``reason`` if there is nothing to show), followed by so many bytes of JPEG.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import warnings
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from pydicom.dataset import Dataset

MOST_MEMORY: Final = 2 << 30
MOST_PIXELS: Final = 100_000_000
_QUALITY: Final = 85
_LONGEST_REASON: Final = 120
_PNG: Final = b"\x89PNG\r\n\x1a\n"


class NothingToShow(Exception):
    """There is no picture of an object: the text says why."""


def draw(path: str, size: int) -> bytes:
    """Return a JPEG picture of a DICOM or PNG file that fits into a square of ``size`` pixels.

    Raises
    ------
    NothingToShow
        The file has no image, or one that cannot be decoded.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - once for each picture
        is_png = file.read(len(_PNG)) == _PNG
    picture = _of_png(path) if is_png else _of_object(path, size)
    picture.thumbnail((size, size), reducing_gap=2.0)
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _of_png(path: str) -> Image:
    from PIL import Image

    picture = Image.open(path)
    if picture.width * picture.height > MOST_PIXELS:
        raise NothingToShow("The picture is too large")
    return picture.convert("RGB" if picture.mode in {"RGB", "RGBA", "P"} else "L")


def _of_object(path: str, size: int) -> Image:
    from PIL import Image
    from pydicom import dcmread
    from pydicom.pixels import pixel_array

    dataset = dcmread(path, force=True, stop_before_pixels=True)
    rows, columns = dataset.get("Rows"), dataset.get("Columns")
    if not rows or not columns:
        raise NothingToShow("Not an image")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if rows * columns > MOST_PIXELS:
        raise NothingToShow(f"Too large to be shown: {columns} × {rows}")
    try:
        pixels = pixel_array(path, index=frames // 2)
    except Exception as error:
        raise NothingToShow(_why(dataset, error)) from error
    return Image.fromarray(_grey_or_colour(_fewer(pixels, dataset, size), dataset))


def _fewer(pixels: NDArray[Any], dataset: Dataset, size: int) -> NDArray[Any]:
    """Leave out rows and columns of what is much too large before anything is computed."""
    step = min(int(dataset.Rows), int(dataset.Columns)) // (2 * size)
    return pixels[::step, ::step] if step > 1 else pixels


def _grey_or_colour(pixels: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    import numpy as np
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    if pixels.ndim == 3:
        # Entries of palettes and samples may have 16 bits.
        bits = 16 if pixels.dtype.itemsize > 1 else 8
        return (pixels >> (bits - 8)).astype(np.uint8)[:, :, :3]
    values = np.asarray(apply_modality_lut(pixels, dataset), dtype=np.float32)
    has_window = dataset.get("WindowWidth") not in (None, "") or "VOILUTSequence" in dataset
    low = high = None
    if has_window:
        with suppress(Exception):
            values = np.asarray(apply_voi_lut(values, dataset), dtype=np.float32)
            low, high = _range(dataset)
    if low is None or high is None:
        finite = values[np.isfinite(values)]
        low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 1.0)
    grey = np.nan_to_num((values - low) / max(high - low, 1e-6))
    if photometric == "MONOCHROME1":
        grey = 1.0 - grey
    return (np.clip(grey, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _range(dataset: Dataset) -> tuple[float | None, float | None]:
    """The range that pydicom's VOI transformation scales a window to (it keeps that of the stored bits)."""
    if "VOILUTSequence" in dataset:
        return None, None
    slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    bits = int(dataset.get("BitsStored") or 8)
    low = -(2 ** (bits - 1)) if dataset.get("PixelRepresentation") else 0
    return low * slope + intercept, (low + 2**bits - 1) * slope + intercept


def _why(dataset: Dataset, error: Exception) -> str:
    text = " ".join(str(error).split())
    meta = getattr(dataset, "file_meta", None)
    syntax = getattr(meta, "TransferSyntaxUID", None)
    if (
        "missing dependencies" in text
        or "plugins are missing" in text
        or isinstance(error, NotImplementedError)
    ):
        return f"No decoder is installed for {syntax.name if syntax is not None else 'it'}"
    if isinstance(error, MemoryError):
        return "Too large to be decoded"
    return f"Cannot be decoded: {text}"[:_LONGEST_REASON]


def main() -> None:
    """Draw until standard input ends."""
    os.nice(10)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    warnings.simplefilter("ignore")
    output = sys.stdout.buffer
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        picture = b""
        try:
            picture = draw(asked["path"], asked["size"])
            answer: dict[str, object] = {"length": len(picture)}
        except NothingToShow as nothing:
            answer = {"reason": str(nothing)}
        except MemoryError:
            answer = {"reason": "Too large to be decoded"}
        except Exception as error:  # whatever the file does to a decoder, the next one is drawn
            answer = {"reason": f"Cannot be shown: {error}"[:_LONGEST_REASON]}
        output.write(json.dumps(answer).encode() + b"\n" + picture)
        output.flush()


if __name__ == "__main__":
    main()
