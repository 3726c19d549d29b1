"""Films as pictures."""

from __future__ import annotations

import zlib
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset

from dulcimer.printing import pdf
from dulcimer.printing.density import Viewing, just_noticeable, table
from dulcimer.printing.folder import FilmFolder
from dulcimer.printing.rendering import render
from dulcimer.services import print_management as rules
from dulcimer.services.print_management import Hierarchy
from dulcimer.services.printer import Printer
from support.films import coloured, dataset, film_box, grey, image_box, lut_table, reference

# 8INX10IN: 400 × 500 pixels, all of it for images.
PRINTER = Printer(resolution=50, high_resolution=100, margin=0, gap=0)
SESSION, FILM, LUT = "1.2.3.1", "1.2.3.2", "1.2.3.3"
VIEWING = Viewing(20, 320, 2000, 10)


def printed(
    *images: Dataset | None,
    layout: str = "STANDARD\\1,1",
    printer: Printer = PRINTER,
    lut: Dataset | None = None,
    box: dict[str, Any] | None = None,
    annotations: tuple[str, ...] = (),
    **film: Any,
) -> Dataset:
    """Print images by the rules, and return the film that is to be rendered."""
    hierarchy = Hierarchy(printer)
    hierarchy.create_session(Dataset(), SESSION)
    attributes = film_box(SESSION, layout, **{"FilmSizeID": "8INX10IN", **film})
    if lut is not None:
        hierarchy.create_lut(lut, LUT)
        attributes.ReferencedPresentationLUTSequence = [reference(rules.PRESENTATION_LUT, LUT)]
    color = any(image is not None and image.SamplesPerPixel == 3 for image in images)
    hierarchy.create_film_box(attributes, FILM, color=color, annotations=True)
    made = hierarchy.film_boxes[0]
    for position, (uid, image) in enumerate(zip(made.images, images, strict=False), 1):
        if image is not None:
            hierarchy.set_image_box(
                made.images[uid].class_uid, uid, image_box(image, position, **(box or {}))
            )
    for position, (uid, text) in enumerate(zip(made.annotations, annotations, strict=False), 1):
        hierarchy.set_annotation_box(uid, dataset(AnnotationPosition=position, TextString=text))
    film_printed: Dataset = hierarchy.print_film_box(FILM, 1).content.FilmBoxContentSequence[0]
    return film_printed


def pixels(*images: Dataset | None, printer: Printer = PRINTER, **settings: Any) -> np.ndarray[Any, Any]:
    return np.asarray(render(printed(*images, printer=printer, **settings), printer).picture)


def gradient(columns: int = 256, rows: int = 256, bits: int = 8) -> Dataset:
    top = (1 << bits) - 1
    line = np.linspace(0, top, columns).astype(np.uint8 if bits == 8 else "<u2")
    image = grey(columns, rows, bits)
    image.PixelData = np.tile(line, (rows, 1)).tobytes()
    return image


def test_the_display_function_is_that_of_the_standard():
    """The index of the luminance of an index is that index (PS3.14 7.1 has both functions)."""
    a, c, e, g, m = -1.3011877, 8.0242636e-2, 1.3646699e-1, -2.5468404e-2, 1.3635334e-3
    b, d, f, h, k = -2.5840191e-2, -1.0320229e-1, 2.8745620e-2, -3.1978977e-3, 1.2992634e-4
    for index in (1, 2, 10, 100, 300, 500, 700, 1023):
        x = np.log(index)
        above = a + c * x + e * x**2 + g * x**3 + m * x**4
        below = 1 + b * x + d * x**2 + f * x**3 + h * x**4 + k * x**5
        assert just_noticeable(10 ** (above / below)) == pytest.approx(index, abs=0.3)


def test_black_is_the_highest_density_and_white_the_lowest():
    assert VIEWING.named("BLACK") == VIEWING.grey(320) == 0
    assert VIEWING.named("WHITE") == VIEWING.grey(20) == 1
    assert 0 < VIEWING.named("150") < 1


def test_p_values_are_evenly_spread_and_densities_are_not():
    identity = table(8, VIEWING, (20, 320))
    assert identity == pytest.approx(np.linspace(0, 1, 256))
    assert table(8, VIEWING, (20, 320), shape="LIN OD") == pytest.approx(
        VIEWING.grey(np.linspace(20, 320, 256))
    )


def test_a_film_is_as_large_as_it_says():
    film = render(printed(grey(4, 4)), PRINTER)
    assert (film.picture.size, film.picture.mode, film.dpi) == ((400, 500), "L", 50)
    assert render(printed(grey(4, 4), FilmOrientation="LANDSCAPE"), PRINTER).picture.size == (500, 400)
    high = render(printed(grey(4, 4), RequestedResolutionID="HIGH"), PRINTER)
    assert (high.picture.size, high.dpi) == ((800, 1000), 100)


def test_a_grey_image_fills_the_width_of_its_box_in_the_middle():
    found = pixels(gradient(), BorderDensity="WHITE")
    assert (found[49] == 255).all() and (found[450] == 255).all()
    middle = found[250].astype(int)
    assert middle[0] <= 1 and middle[-1] >= 254
    assert (np.diff(middle) >= 0).all()


def test_polarity_and_monochrome1_invert_and_cancel_each_other():
    normal = pixels(gradient(400, 500))
    inverse = pixels(gradient(400, 500), box={"Polarity": "REVERSE"})
    assert np.abs(normal.astype(int) + inverse - 255).max() <= 1
    one = gradient(400, 500)
    one.PhotometricInterpretation = "MONOCHROME1"
    assert (pixels(one) == inverse).all()
    assert (pixels(one, box={"Polarity": "REVERSE"}) == normal).all()


def test_a_presentation_lut_is_applied():
    normal = pixels(gradient(400, 500))
    inverted = pixels(gradient(400, 500), lut=lut_table(256, 12))
    assert np.abs(normal.astype(int) + inverted - 255).max() <= 1


def test_linear_density_gets_darker_and_that_faster_than_the_eye_sees():
    """Values of LIN OD go from Min Density to Max Density (PS3.3 C.11.4)."""
    linear = pixels(gradient(400, 500), lut=dataset(PresentationLUTShape="LIN OD"))[250].astype(int)
    assert (linear[0], linear[-1]) == (255, 0)
    assert (np.diff(linear) <= 0).all()
    assert linear[200] < 255 / 2 - 20


def test_min_and_max_density_narrow_the_range():
    found = pixels(gradient(400, 500), MinDensity=50, MaxDensity=150)[250]
    assert found[0] == round(float(VIEWING.grey(150)) * 255)
    assert found[-1] == round(float(VIEWING.grey(50)) * 255)


def test_twelve_bits_and_a_film_of_sixteen():
    deep = replace(PRINTER, bits=16)
    film = render(printed(gradient(400, 500, 12), printer=deep), deep)
    found = np.asarray(film.picture)
    assert found.dtype == np.uint16
    assert found.min() == 0 and found.max() == 65535
    assert len(np.unique(found)) > 256
    assert pixels(gradient(400, 500, 12)).dtype == np.uint8


def test_the_borders_and_the_empty_boxes_have_their_densities():
    found = pixels(grey(4, 4), None, layout="STANDARD\\2,1", BorderDensity="WHITE", EmptyImageDensity="150")
    assert found[0, 0] == 255
    assert (found[:, 200:] == round(VIEWING.named("150") * 255)).all()


@pytest.mark.parametrize(
    ("magnification", "levels"), [("REPLICATE", 2), ("NONE", 2), ("BILINEAR", 20), ("CUBIC", 20)]
)
def test_magnification(magnification, levels):
    image = grey(2, 1)
    image.PixelData = b"\x00\xff"
    found = pixels(image, MagnificationType=magnification)
    assert len(np.unique(found)) == levels if levels == 2 else len(np.unique(found)) >= levels
    white = int((found == 255).sum())
    assert white == {"REPLICATE": 200 * 200, "NONE": 1}.get(magnification, white)


def test_smoothing_makes_a_difference_to_cubic():
    image = grey(2, 1)
    image.PixelData = b"\x40\xc0"
    sharp = pixels(image, SmoothingType="SHARP")
    smooth = pixels(image, SmoothingType="SMOOTH")
    assert (sharp != smooth).any()


def test_pixels_that_are_not_square():
    image = grey(100, 100, fill=255, PixelAspectRatio=[2, 1])
    ys, xs = np.nonzero(pixels(image))
    assert (np.ptp(xs) + 1, np.ptp(ys) + 1) == (250, 500)


def test_a_requested_size():
    """50 mm are 98 pixels at 50 per inch."""
    ys, xs = np.nonzero(pixels(grey(10, 20, fill=255), box={"RequestedImageSize": "50"}))
    assert (np.ptp(xs) + 1, np.ptp(ys) + 1) == (98, 197)


def test_cropped_and_decimated():
    image = gradient(800, 100)
    cropped = pixels(image, box={"RequestedDecimateCropBehavior": "CROP"})[250]
    assert (cropped[0], cropped[-1]) == (63, 191)
    decimated = pixels(image, box={"RequestedDecimateCropBehavior": "DECIMATE"})[250]
    assert decimated[0] <= 1 and decimated[-1] >= 254


def test_trim_surrounds_each_image():
    plain = pixels(grey(10, 10), layout="STANDARD\\1,1", box={"RequestedImageSize": "50"})
    trimmed = pixels(grey(10, 10), layout="STANDARD\\1,1", box={"RequestedImageSize": "50"}, Trim="YES")
    assert not plain.any()
    ys, xs = np.nonzero(trimmed)
    assert set(trimmed[ys, xs]) == {255}
    assert np.ptp(xs) + 1 == 98 + 2


def test_annotations_are_written():
    blank = pixels(grey(4, 4), AnnotationDisplayFormatID="2", annotations=("", ""))
    written = pixels(grey(4, 4), AnnotationDisplayFormatID="2", annotations=("Hello Grüße", "x" * 500))
    assert not blank.any()
    ys, _ = np.nonzero(written)
    assert ys.min() >= 500 - 12
    deep = replace(PRINTER, bits=16)
    assert (
        pixels(grey(4, 4), printer=deep, AnnotationDisplayFormatID="2", annotations=("Hello",)).max() > 60000
    )


def test_overlays_are_drawn_in_white_around_and_on_the_image():
    image = grey(100, 100)
    image.add_new(0x60000010, "US", 10)
    image.add_new(0x60000011, "US", 10)
    image.add_new(0x60000050, "SS", [1, 101])
    image.add_new(0x60003000, "OW", b"\xff" * 14)
    found = pixels(image, MagnificationType="NONE")
    assert int((found == 255).sum()) == 100
    deep = replace(PRINTER, bits=16)
    assert int((pixels(image, printer=deep, MagnificationType="NONE") == 65535).sum()) == 100


def test_colour():
    found = pixels(coloured(4, 4, b"\xff\x80\x00"))
    assert found.shape == (500, 400, 3)
    assert found[250, 200].tolist() == [255, 128, 0]
    assert found[0, 0].tolist() == [0, 0, 0]
    reverse = pixels(coloured(4, 4, b"\xff\x80\x00"), box={"Polarity": "REVERSE"})
    assert reverse[250, 200].tolist() == [0, 127, 255]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_whatever_the_rules_accept_is_rendered(data):
    """Sizes, bits, tables and settings at random: no crash, and the film has its size."""
    bits = data.draw(st.sampled_from([8, 12]))
    columns, rows = data.draw(st.integers(1, 600)), data.draw(st.integers(1, 600))
    image = grey(columns, rows, bits)
    image.PixelData = data.draw(st.integers(0, 255)).to_bytes(1, "little") * len(image.PixelData)
    image.PhotometricInterpretation = data.draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"]))
    if data.draw(st.booleans()):
        image.PixelAspectRatio = [data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))]
    lut = data.draw(
        st.none()
        | st.sampled_from(["IDENTITY", "LIN OD"]).map(lambda shape: dataset(PresentationLUTShape=shape))
        | st.tuples(st.sampled_from([256, 4096]), st.integers(10, 16)).map(lambda pair: lut_table(*pair))
    )
    printer = replace(PRINTER, bits=data.draw(st.sampled_from([8, 16])), resolution=30)
    box = {"RequestedDecimateCropBehavior": data.draw(st.sampled_from(["CROP", "DECIMATE"]))}
    if data.draw(st.booleans()):
        box["RequestedImageSize"] = str(data.draw(st.integers(1, 500)))
    magnification = data.draw(st.sampled_from(["REPLICATE", "BILINEAR", "CUBIC"]))
    film = printed(
        image,
        None,
        layout=data.draw(st.sampled_from(["STANDARD\\1,1", "STANDARD\\2,1", "ROW\\1,2", "COL\\1,2"])),
        printer=printer,
        lut=lut,
        box=box,
        MagnificationType=magnification,
        Trim=data.draw(st.sampled_from(["YES", "NO"])),
        Illumination=data.draw(st.integers(1, 65535)),
        ReflectedAmbientLight=data.draw(st.integers(0, 65535)),
        BorderDensity=data.draw(st.sampled_from(["BLACK", "WHITE", "0", "150", "65535"])),
    )
    assert render(film, printer).picture.size == (240, 300)


def test_files_are_whole_and_the_page_has_the_picture(tmp_path):
    folder = FilmFolder(tmp_path / "films", PRINTER)
    folder("1.2.3-1", printed(gradient()))
    assert sorted(path.name for path in folder.folder.iterdir()) == [
        "1.2.3-1-preview.png",
        "1.2.3-1.pdf",
        "1.2.3-1.png",
    ]
    with Image.open(folder.folder / "1.2.3-1.png") as picture:
        expected = np.asarray(picture)
        assert picture.size == (400, 500)
        assert picture.info["dpi"] == pytest.approx((50, 50), abs=0.05)
    page = (folder.folder / "1.2.3-1.pdf").read_bytes()
    assert b"/MediaBox[0 0 576.000 720.000]" in page
    start = page.index(b"stream\n", page.index(b"/Subtype/Image")) + 7
    lines = zlib.decompress(page[start : page.index(b"\nendstream", start)])
    assert len(lines) == 500 * 401
    assert int(page[page.index(b"startxref") + 10 :].split()[0]) == page.index(b"xref\n0 6")
    assert (expected == pixels(gradient())).all()


def test_a_film_of_sixteen_bits_becomes_files_too(tmp_path):
    deep = replace(PRINTER, bits=16)
    FilmFolder(tmp_path, deep)("deep", printed(gradient(bits=12), printer=deep))
    with Image.open(tmp_path / "deep.png") as picture:
        assert picture.mode == "I;16"
    with Image.open(tmp_path / "deep-preview.png") as picture:
        assert picture.mode == "L"
        assert np.asarray(picture).max() == 255
    assert b"/BitsPerComponent 16" in (tmp_path / "deep.pdf").read_bytes()


def test_what_was_left_half_is_removed_at_the_start(tmp_path):
    (tmp_path / ".x.png.part").write_bytes(b"half")
    FilmFolder(tmp_path, PRINTER)
    assert not list(tmp_path.iterdir())


def test_only_plain_png_becomes_a_page():
    buffer = BytesIO()
    Image.new("P", (2, 2)).save(buffer, "PNG")
    with pytest.raises(ValueError, match="grey and RGB"):
        pdf.page(buffer.getvalue(), 50)
    with pytest.raises(ValueError, match="no PNG"):
        pdf.page(b"GIF89a", 50)
