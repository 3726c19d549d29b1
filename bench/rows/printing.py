"""Rendering a film against the bare resampling of the same pixels with the same library."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from bench.model import OURS, Options, Row, in_turn
from dulcimer.printing.rendering import render
from dulcimer.services import print_management as rules
from dulcimer.services.print_management import Hierarchy
from dulcimer.services.printer import Printer

_PEER = "Pillow"
_SIDE = 512
_LAYOUT = "STANDARD\\4,5"
_FILM_SIZE = "14INX17IN"


def rows(options: Options) -> Iterator[Row]:
    """Measure a film of 4 × 5 images at 300 dpi, with 8 and with 12 bits."""
    for bits in (8, 12):
        title = f"Film of 4 × 5 images of 512 × 512, {bits} bits"
        printer = Printer()
        film = _film(printer, bits)
        resample = _resampling(film, printer)
        contestants = {OURS: _timed(partial(render, film, printer)), _PEER: _timed(resample)}
        samples = in_turn(options, title, contestants)
        row = Row(f"film-{bits}", title, "ms", samples)
        row.note = "Pillow: resampling alone; dulcimer: the film with LUTs, borders, lines and a text"
        yield row.within(OURS, _PEER, 2)


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) * 1e3

    return run


def _film(printer: Printer, bits: int) -> Dataset:
    hierarchy = Hierarchy(printer)
    hierarchy.create_session(Dataset(), "1.2.1")
    box = Dataset()
    box.ImageDisplayFormat = _LAYOUT
    box.FilmSizeID = _FILM_SIZE
    box.Trim = "YES"
    box.AnnotationDisplayFormatID = "LABEL"
    box.ReferencedFilmSessionSequence = [rules.reference_to(rules.FILM_SESSION, "1.2.1")]
    hierarchy.create_film_box(box, "1.2.2", annotations=True)
    (made,) = hierarchy.film_boxes
    for position, uid in enumerate(made.images, 1):
        change = Dataset()
        change.ImageBoxPosition = position
        change.BasicGrayscaleImageSequence = [_image(bits, position)]
        hierarchy.set_image_box(rules.GRAYSCALE_IMAGE_BOX, uid, change)
    text = Dataset()
    text.AnnotationPosition = 1
    text.TextString = "A film of the benchmark"
    hierarchy.set_annotation_box(next(iter(made.annotations)), text)
    film: Dataset = hierarchy.print_film_box("1.2.2", rules.PRINT).content.FilmBoxContentSequence[0]
    return film


def _image(bits: int, seed: int) -> Dataset:
    item = Dataset()
    item.SamplesPerPixel = 1
    item.PhotometricInterpretation = "MONOCHROME2"
    item.Rows = item.Columns = _SIDE
    item.BitsAllocated = 8 if bits == 8 else 16
    item.BitsStored = bits
    item.HighBit = bits - 1
    item.PixelRepresentation = 0
    values = np.random.default_rng(seed).integers(0, 1 << bits, _SIDE * _SIDE)
    item.add_new(0x7FE00010, "OW", values.astype("u1" if bits == 8 else "<u2").tobytes())
    return item


def _resampling(film: Dataset, printer: Printer) -> Callable[[], object]:
    """Return what resamples the images of a film to the sizes that they have on it, and nothing else."""
    sheet = printer.sheet(film.FilmSizeID, form=film.ImageDisplayFormat, annotation_format="LABEL")
    work = []
    for box in film.ImageBoxContentSequence:
        image = box.BasicGrayscaleImageSequence[0]
        area = sheet.images[int(box.ImageBoxPosition) - 1]
        target = rules.place(box, image, film, area, sheet.dpi, printer).target
        kind = "u1" if image.BitsAllocated == 8 else "<u2"
        pixels = np.frombuffer(image.PixelData, kind) >> (int(image.BitsStored) - 8)
        source = Image.fromarray(pixels.astype(np.uint8).reshape(_SIDE, _SIDE))
        work.append((source, (target.width, target.height)))

    def run() -> object:
        return [source.resize(size, Image.Resampling.BICUBIC) for source, size in work]

    return run
