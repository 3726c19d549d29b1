"""The geometry of films and images on them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulcimer.services.film import Area, DisplayFormat, combined, display_format, film_size, fit, image_areas
from dulcimer.services.printer import Printer

PLACE = Area(10, 20, 600, 400)


@pytest.mark.parametrize(
    ("identifier", "size"),
    [
        ("8INX10IN", (203.2, 254.0)),
        ("8_5INX11IN", (215.9, 279.4)),
        ("14INX17IN", (355.6, 431.8)),
        ("24CMX30CM", (240.0, 300.0)),
        ("A4", (210.0, 297.0)),
        ("A3", (297.0, 420.0)),
    ],
)
def test_the_name_of_a_film_says_its_size(identifier, size):
    assert film_size(identifier) == pytest.approx(size)
    assert film_size(identifier, "LANDSCAPE") == pytest.approx(size[::-1])


@pytest.mark.parametrize("identifier", ["", "A5", "8X10", "0INX10IN", "14INX17FT"])
def test_what_is_no_film_size_is_refused(identifier):
    with pytest.raises(ValueError, match="no film size"):
        film_size(identifier)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("STANDARD\\2,3", DisplayFormat("STANDARD", (2, 3))),
        ("ROW\\1,3", DisplayFormat("ROW", (1, 3))),
        ("COL\\2,1,2", DisplayFormat("COL", (2, 1, 2))),
        ("SLIDE", DisplayFormat("SLIDE")),
        ("SUPERSLIDE", DisplayFormat("SUPERSLIDE")),
        ("CUSTOM\\1", DisplayFormat("CUSTOM", (1,))),
    ],
)
def test_display_formats_are_read_and_written(text, expected):
    assert display_format(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "STANDARD",
        "STANDARD\\2",
        "STANDARD\\0,1",
        "STANDARD\\2,101",
        "ROW\\",
        "SLIDE\\1",
        "GRID\\1,1",
        "COL\\a",
    ],
)
def test_what_is_no_display_format_is_refused(text):
    with pytest.raises(ValueError, match="no image display format"):
        display_format(text)


def test_standard_counts_across_and_then_down():
    areas = image_areas(display_format("STANDARD\\3,2"), PLACE, 100)
    assert areas[0] == Area(10, 20, 200, 200)
    assert areas[1].left > areas[0].left and areas[1].top == areas[0].top
    assert areas[3] == Area(10, 220, 200, 200)


def test_row_gives_each_row_its_own_number_of_images():
    areas = image_areas(display_format("ROW\\1,3"), PLACE, 100)
    assert [area.width for area in areas] == [600, 200, 200, 200]


def test_col_counts_down_and_then_across():
    areas = image_areas(display_format("COL\\2,1"), PLACE, 100)
    assert areas[0].left == areas[1].left < areas[2].left
    assert [area.height for area in areas] == [200, 200, 400]


def test_slides_have_the_size_of_slides():
    slides = Printer().sheet("14INX17IN", form="SLIDE").images
    assert len(slides) == 48
    assert {(area.width, area.height) for area in slides} == {(425, 283)}
    assert len(Printer().sheet("14INX17IN", form="SUPERSLIDE").images) == 48


def test_custom_formats_are_those_of_the_printer():
    assert len(Printer().sheet("14INX17IN", form="CUSTOM\\1").images) == 4
    with pytest.raises(ValueError, match="no custom format 7"):
        Printer().sheet("14INX17IN", form="CUSTOM\\7")


def test_annotations_take_their_room_from_the_images():
    plain = Printer().sheet("A4")
    noted = Printer().sheet("A4", annotation_format="ANNOTATION")
    assert len(noted.annotations) == 6
    assert noted.images[0].height < plain.images[0].height
    assert min(area.top for area in noted.annotations) >= noted.images[0].top + noted.images[0].height


@given(
    size=st.sampled_from(Printer().film_sizes),
    orientation=st.sampled_from(["PORTRAIT", "LANDSCAPE"]),
    form=st.sampled_from(["STANDARD\\1,1", "STANDARD\\4,5", "ROW\\2,3", "COL\\3,1", "SLIDE", "CUSTOM\\1"]),
    dpi=st.integers(50, 600),
)
def test_boxes_are_on_the_film_and_do_not_overlap(size, orientation, form, dpi):
    sheet = Printer(resolution=dpi).sheet(size, orientation, form)
    for number, one in enumerate(sheet.images):
        assert one.left >= 0 and one.top >= 0
        assert one.left + one.width <= sheet.width and one.top + one.height <= sheet.height
        for other in sheet.images[number + 1 :]:
            beside = one.left + one.width <= other.left or other.left + other.width <= one.left
            below = one.top + one.height <= other.top or other.top + other.height <= one.top
            assert beside or below


def image(columns: int, rows: int) -> Area:
    return Area(0, 0, columns, rows)


def test_a_small_image_fills_its_box():
    assert fit(image(100, 50), (400, 400), 100).target == Area(0, 100, 400, 200)


def test_pixels_that_are_not_square_are_stretched():
    """Pixel Aspect Ratio 2\\1: a pixel is twice as high as wide (PS3.3 C.13.5)."""
    assert fit(image(100, 100), (400, 400), 100, aspect=(2, 1)).target == Area(100, 0, 200, 400)


def test_without_magnification_a_pixel_is_a_pixel():
    assert fit(image(100, 50), (400, 400), 100, magnify=False).target == Area(150, 175, 100, 50)


def test_a_requested_size_is_in_millimetres():
    placed = fit(image(100, 50), (400, 400), 254, requested_width=20)
    assert (placed.target.width, placed.target.height, placed.status) == (200, 100, 0)


@pytest.mark.parametrize(
    ("behaviour", "default", "status", "source", "target"),
    [
        ("", "DECIMATE", 0xB604, (800, 400), (400, 200)),
        ("DECIMATE", "FAIL", 0xB60A, (800, 400), (400, 200)),
        ("CROP", "FAIL", 0xB609, (400, 400), (400, 400)),
        ("", "CROP", 0xB609, (400, 400), (400, 400)),
        ("FAIL", "CROP", 0xC603, (800, 400), (0, 0)),
        ("", "FAIL", 0xC603, (800, 400), (0, 0)),
    ],
)
def test_an_image_with_more_pixels_than_the_box(behaviour, default, status, source, target):
    placed = fit(image(800, 400), (400, 400), 100, behaviour=behaviour, default_behaviour=default)
    assert placed.status == status
    assert (placed.source.width, placed.source.height) == source
    assert (placed.target.width, placed.target.height) == target


@pytest.mark.parametrize(("behaviour", "status"), [("DECIMATE", 0xC603), ("", 0xC603), ("CROP", 0xB609)])
def test_decimate_with_magnification_none_fails(behaviour, status):
    """4.4: DECIMATE with Magnification Type NONE and an image too large shall fail."""
    assert fit(image(800, 400), (400, 400), 100, magnify=False, behaviour=behaviour).status == status


def test_a_requested_size_larger_than_the_box():
    crop = fit(image(100, 100), (400, 400), 254, requested_width=80, behaviour="CROP")
    assert crop.status == 0xB609
    assert crop.source == Area(25, 25, 50, 50)
    assert crop.target == Area(0, 0, 400, 400)


def test_a_combined_image_is_what_encloses_image_and_overlays():
    assert combined(100, 50, [Area(-10, 5, 20, 60)]) == Area(-10, 0, 110, 65)


def test_only_the_combined_image_is_too_large():
    whole = combined(300, 300, [Area(0, 0, 500, 100)])
    placed = fit(whole, (400, 400), 100, magnify=False, behaviour="FAIL", alone=(300, 300))
    assert placed.status == 0xC613
    assert fit(whole, (200, 200), 100, magnify=False, behaviour="FAIL", alone=(300, 300)).status == 0xC603


@given(
    columns=st.integers(1, 3000),
    rows=st.integers(1, 3000),
    box=st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    aspect=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    magnify=st.booleans(),
    requested=st.none() | st.floats(0.1, 1000),
    behaviour=st.sampled_from(["", "DECIMATE", "CROP", "FAIL"]),
)
def test_nothing_is_ever_outside_of_box_or_image(columns, rows, box, aspect, magnify, requested, behaviour):
    placed = fit(
        image(columns, rows),
        box,
        150,
        aspect=aspect,
        magnify=magnify,
        requested_width=requested,
        behaviour=behaviour,
    )
    source, target = placed.source, placed.target
    assert source.left >= 0 and source.left + source.width <= columns
    assert source.top >= 0 and source.top + source.height <= rows
    assert source.width > 0 and source.height > 0
    if placed.status >= 0xC000:
        return
    assert target.left >= 0 and target.width > 0 and target.left + target.width <= box[0]
    assert target.top >= 0 and target.height > 0 and target.top + target.height <= box[1]
