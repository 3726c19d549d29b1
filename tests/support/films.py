"""Film sessions, film boxes and images for the tests of printing."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from dulcimer.services import print_management as rules


def reference(class_uid: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = class_uid
    item.ReferencedSOPInstanceUID = uid
    return item


def dataset(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def film_box(session: str, layout: str = "STANDARD\\1,1", **values: Any) -> Dataset:
    made = dataset(ImageDisplayFormat=layout, **values)
    made.ReferencedFilmSessionSequence = [reference(rules.FILM_SESSION, session)]
    return made


def grey(columns: int, rows: int, bits: int = 8, fill: int = 0, **values: Any) -> Dataset:
    """Make an item of Basic Grayscale Image Sequence."""
    made = dataset(
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=rows,
        Columns=columns,
        BitsAllocated=8 if bits == 8 else 16,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=0,
    )
    pixel = fill.to_bytes(1 if bits == 8 else 2, "little")
    data = pixel * (columns * rows)
    made.add_new(0x7FE00010, "OW", data + b"\0" * (len(data) % 2))
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def coloured(columns: int, rows: int, pixel: bytes = b"\xff\0\0") -> Dataset:
    """Make an item of Basic Color Image Sequence."""
    made = dataset(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=1,
        Rows=rows,
        Columns=columns,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
    )
    data = b"".join(bytes([plane]) * (columns * rows) for plane in pixel)
    made.add_new(0x7FE00010, "OW", data + b"\0" * (len(data) % 2))
    return made


def image_box(image: Dataset | None, position: int = 1, **values: Any) -> Dataset:
    """Make the Modification List of an image box; no image erases the picture."""
    made = dataset(ImageBoxPosition=position, **values)
    color = image is not None and "PlanarConfiguration" in image
    keyword = "BasicColorImageSequence" if color else "BasicGrayscaleImageSequence"
    setattr(made, keyword, [] if image is None else [image])
    return made


def lut_table(entries: int = 256, bits: int = 12, first: int = 0) -> Dataset:
    """Make a Presentation LUT with a table that inverts."""
    item = Dataset()
    item.add_new(0x00283002, "US", [entries, first, bits])
    top = (1 << bits) - 1
    values = [round(top - top * at / max(entries - 1, 1)) for at in range(entries)]
    item.add_new(0x00283006, "OW", b"".join(value.to_bytes(2, "little") for value in values))
    return dataset(PresentationLUTSequence=[item])
