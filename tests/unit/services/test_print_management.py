"""The rules of Print Management; numbers in names are sections of the collection of rules of N-SET: 4.1 usage
pairs, 4.2 film session, 4.3 film box, 4.4 image boxes, 4.5 annotation box, 4.6 what has no N-SET."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.services import print_management as rules
from dulcimer.services.print_management import Hierarchy
from dulcimer.services.printer import Printer
from support.films import coloured, dataset, film_box, grey, image_box, lut_table, reference

SESSION = "1.2.3.1"
FILM = "1.2.3.2"
GREY = rules.GRAYSCALE_IMAGE_BOX
COLOR = rules.COLOR_IMAGE_BOX

# One inch is 100 pixels: an 8INX10IN film without margins has a box of 800 × 1000.
PRINTER = Printer(resolution=100, high_resolution=200, margin=0, gap=0)


def made(printer: Printer = PRINTER, level: Any = "standard", **session: Any) -> Hierarchy:
    """Make a hierarchy with a film session."""
    hierarchy = Hierarchy(printer, level)
    hierarchy.create_session(dataset(**session), SESSION)
    return hierarchy


def with_film(
    layout: str = "STANDARD\\1,1",
    printer: Printer = PRINTER,
    level: Any = "standard",
    *,
    color: bool = False,
    **values: Any,
) -> Hierarchy:
    """Make a hierarchy with a film box, 8INX10IN."""
    hierarchy = made(printer, level)
    attributes = film_box(SESSION, layout, **{"FilmSizeID": "8INX10IN", **values})
    hierarchy.create_film_box(attributes, FILM, color=color, annotations=True)
    return hierarchy


def boxes(hierarchy: Hierarchy) -> list[str]:
    return list(hierarchy.film_boxes[-1].images)


def refused(status: int, operation: Any, *arguments: Any, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        operation(*arguments, **options)
    assert caught.value.status == status, caught.value
    return caught.value


def set_image(hierarchy: Hierarchy, image: Dataset | None, position: int = 1, **values: Any) -> Any:
    uid = boxes(hierarchy)[position - 1]
    return hierarchy.set_image_box(GREY, uid, image_box(image, position, **values))


class TestUsagePairs:
    """4.1."""

    def test_4_1_a_mandatory_attribute_is_missing(self):
        hierarchy = made()
        attributes = film_box(SESSION)
        del attributes.ImageDisplayFormat
        assert refused(0x0120, hierarchy.create_film_box, attributes).attributes == (0x20100010,)

    def test_4_1_a_mandatory_attribute_has_a_value_that_is_not_supported(self):
        refusal = refused(0x0106, made().create_film_box, film_box(SESSION, "GRID\\1,1"))
        assert refusal.values is not None and "ImageDisplayFormat" in refusal.values

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [("FilmSizeID", "1INX1IN"), ("FilmOrientation", "ASKEW")],
    )
    def test_4_1_another_film_is_never_printed_in_its_place(self, keyword, value):
        refusal = refused(0x0106, made().create_film_box, film_box(SESSION, **{keyword: value}))
        assert refusal.values is not None and refusal.values[keyword].value == value

    @pytest.mark.parametrize(
        ("keyword", "value", "default"),
        [
            ("MagnificationType", "MAGIC", "CUBIC"),
            ("BorderDensity", "GREEN", "BLACK"),
            ("Trim", "MAYBE", "NO"),
            ("SmoothingType", "140", "NORMAL"),
        ],
    )
    def test_4_1_the_default_is_used_with_a_warning(self, keyword, value, default):
        answer = made().create_film_box(film_box(SESSION, **{keyword: value}), FILM)
        assert answer.code == 0x0116
        assert answer.dataset is not None and answer.dataset[keyword].value == default
        assert answer.dataset.ReferencedImageBoxSequence

    def test_4_1_strict_refuses_values_and_attributes(self):
        hierarchy = made(level="strict")
        refused(0x0106, hierarchy.create_film_box, film_box(SESSION, MagnificationType="MAGIC"))
        refusal = refused(0x0105, hierarchy.create_film_box, film_box(SESSION, PatientName="Doe"))
        assert refusal.attributes == (0x00100010,)

    def test_4_1_an_attribute_that_is_not_supported_is_left_out_with_a_warning(self):
        answer = made().create_film_box(film_box(SESSION, PatientName="Doe", ICCProfile=b"\0\0"), FILM)
        assert answer.code == 0x0107
        assert set(answer.status.AttributeIdentifierList) == {0x00100010, 0x00282000}
        assert "PatientName" not in answer.dataset

    def test_4_1_lenient_takes_what_it_can(self):
        hierarchy = Hierarchy(PRINTER, "lenient")
        hierarchy.create_session(Dataset())
        bare = dataset(ImageDisplayFormat="STANDARD\\1,1", FilmSizeID="1INX1IN")
        assert hierarchy.create_film_box(bare).code == 0x0116
        refused(0x0106, hierarchy.create_film_box, Dataset())

    def test_4_1_what_is_not_for_the_scu_is_not_taken_from_it(self):
        attributes = film_box(SESSION)
        attributes.ReferencedImageBoxSequence = [reference(GREY, "1.2.3.99")]
        hierarchy = made()
        answer = hierarchy.create_film_box(attributes, FILM)
        assert boxes(hierarchy) != ["1.2.3.99"] and answer.code == 0

    def test_4_1_zero_length_asks_for_the_default(self):
        answer = made().create_film_box(film_box(SESSION, FilmSizeID="", MagnificationType=None), FILM)
        assert (answer.dataset.FilmSizeID, answer.dataset.MagnificationType) == ("14INX17IN", "CUBIC")

    def test_4_1_the_uids_of_the_command_do_not_belong_in_the_data_set(self):
        assert made().create_film_box(film_box(SESSION, SOPInstanceUID=FILM), FILM).code == 0
        refused(0x0105, made(level="strict").create_film_box, film_box(SESSION, SOPInstanceUID=FILM), FILM)

    def test_4_1_the_class_of_the_image_boxes_is_that_of_the_context(self):
        answer = made().create_film_box(film_box(SESSION), FILM, color=True)
        assert answer.dataset.ReferencedImageBoxSequence[0].ReferencedSOPClassUID == COLOR


class TestFilmSession:
    """4.2."""

    def test_4_2_the_answer_has_the_values_in_force(self):
        answer = Hierarchy(PRINTER).create_session(dataset(NumberOfCopies=2))
        assert answer.dataset.NumberOfCopies == 2
        assert answer.dataset.PrintPriority == "MED"
        assert answer.status.AffectedSOPInstanceUID

    def test_4_2_one_at_a_time(self):
        hierarchy = made()
        refused(0x0111, hierarchy.create_session, Dataset(), SESSION)
        refused(0x0110, hierarchy.create_session, Dataset(), "1.2.3.7")
        hierarchy.delete_session(SESSION)
        hierarchy.create_session(Dataset(), SESSION)

    def test_4_2_a_film_box_needs_its_session(self):
        refused(0x0106, Hierarchy(PRINTER).create_film_box, film_box(SESSION))
        refused(0x0106, made().create_film_box, film_box("1.2.3.7"))

    def test_4_2_it_is_set(self):
        hierarchy = made()
        answer = hierarchy.set_session(SESSION, dataset(NumberOfCopies=3))
        assert (answer.code, answer.dataset.NumberOfCopies) == (0, 3)
        assert hierarchy.session.NumberOfCopies == 3
        refused(0x0112, hierarchy.set_session, "1.2.3.7", Dataset())

    def test_4_2_memory_allocation_is_not_supported(self):
        answer = Hierarchy(PRINTER).create_session(dataset(MemoryAllocation=1))
        assert answer.code == 0xB600
        assert "MemoryAllocation" not in answer.dataset
        assert made().set_session(SESSION, dataset(MemoryAllocation=1)).code == 0xB600

    def test_4_2_memory_allocation_is_impossible_now_or_for_ever(self):
        printer = Printer(allocates_memory=True, memory=1 << 20)
        assert Hierarchy(printer).create_session(dataset(MemoryAllocation=1024)).code == 0
        refused(0x0106, Hierarchy(printer).create_session, dataset(MemoryAllocation=1025))
        crowded = Hierarchy(printer, free_memory=lambda: 1 << 19)
        refused(0x0213, crowded.create_session, dataset(MemoryAllocation=1024))
        assert crowded.session_uid == ""

    def test_4_2_print_needs_a_film_box(self):
        refused(0xC600, made().print_session, SESSION, 1)

    def test_4_2_an_empty_page_is_printed_with_a_warning(self):
        job = with_film().print_session(SESSION, 1)
        assert job.code == 0xB602
        assert len(job.content.FilmBoxContentSequence) == 1

    def test_4_2_films_that_do_not_stay_together(self):
        printer = Printer(resolution=100, collates=False)
        hierarchy = with_film(printer=printer)
        set_image(hierarchy, grey(10, 10))
        assert hierarchy.print_session(SESSION, 1).code == 0
        hierarchy.create_film_box(film_box(SESSION), "1.2.3.5")
        set_image(hierarchy, grey(10, 10))
        assert hierarchy.print_session(SESSION, 1).code == 0xB601

    def test_4_2_the_queue_is_full(self):
        refused(0xC601, with_film().print_session, SESSION, 1, queue_is_full=True)

    def test_4_2_size_warnings_and_failures_of_a_session(self):
        hierarchy = with_film()
        set_image(hierarchy, grey(900, 100))
        assert hierarchy.print_session(SESSION, 1).code == 0xB604
        hierarchy.set_film_box(FILM, dataset(MagnificationType="NONE"))
        refused(0xC603, hierarchy.print_session, SESSION, 1)

    def test_4_2_there_is_one_action(self):
        refused(0x0123, with_film().print_session, SESSION, 2)

    def test_4_2_a_printer_without_session_printing(self):
        refused(0x0211, made(Printer(prints_sessions=False)).print_session, SESSION, 1)

    def test_4_2_what_is_printed_is_a_copy(self):
        hierarchy = with_film()
        set_image(hierarchy, grey(2, 2, fill=7))
        content = hierarchy.print_session(SESSION, 1).content
        hierarchy.set_film_box(FILM, dataset(BorderDensity="WHITE"))
        set_image(hierarchy, None)
        (film,) = content.FilmBoxContentSequence
        assert film.BorderDensity == "BLACK"
        assert film.ImageBoxContentSequence[0].BasicGrayscaleImageSequence[0].PixelData == b"\7" * 4

    def test_4_2_deleting_it_removes_everything_below(self):
        hierarchy = with_film()
        (image,) = boxes(hierarchy)
        hierarchy.delete_session(SESSION)
        refused(0x0112, hierarchy.set_image_box, GREY, image, image_box(None))
        refused(0x0112, hierarchy.print_film_box, FILM, 1)
        refused(0x0112, hierarchy.delete_session, SESSION)


class TestFilmBox:
    """4.3."""

    def test_4_3_the_answer_has_the_boxes(self):
        hierarchy = made()
        attributes = film_box(SESSION, "STANDARD\\2,3", AnnotationDisplayFormatID="2")
        answer = hierarchy.create_film_box(attributes, annotations=True)
        assert len(answer.dataset.ReferencedImageBoxSequence) == 6
        assert len(answer.dataset.ReferencedBasicAnnotationBoxSequence) == 2
        assert hierarchy.session.ReferencedFilmBoxSequence[0].ReferencedSOPInstanceUID == (
            answer.status.AffectedSOPInstanceUID
        )

    def test_4_3_no_annotation_boxes_unless_they_were_negotiated(self):
        answer = made().create_film_box(film_box(SESSION, AnnotationDisplayFormatID="2"))
        assert "ReferencedBasicAnnotationBoxSequence" not in answer.dataset

    def test_4_3_the_previous_one_is_not_printed(self):
        printer = Printer(resolution=100, prints_sessions=False)
        hierarchy = with_film(printer=printer)
        refused(0xC616, hierarchy.create_film_box, film_box(SESSION))
        hierarchy.mark_printed(hierarchy.print_film_box(FILM, 1))
        hierarchy.create_film_box(film_box(SESSION))

    @pytest.mark.parametrize(
        ("values", "clipped"),
        [({"MaxDensity": 400}, ("MaxDensity", 320)), ({"MinDensity": 5}, ("MinDensity", 20))],
    )
    def test_4_3_densities_are_clipped(self, values, clipped):
        answer = made().create_film_box(film_box(SESSION, **values), FILM)
        assert answer.code == 0xB605
        assert answer.dataset[clipped[0]].value == clipped[1]
        hierarchy = with_film()
        assert hierarchy.set_film_box(FILM, dataset(**values)).code == 0xB605

    def test_4_3_min_density_is_below_max_density(self):
        refused(0x0106, made().create_film_box, film_box(SESSION, MinDensity=200, MaxDensity=100))

    def test_4_3_only_the_last_one_is_set_printed_and_deleted(self):
        hierarchy = with_film()
        hierarchy.create_film_box(film_box(SESSION), "1.2.3.5")
        refused(0x0110, hierarchy.set_film_box, FILM, dataset(Trim="YES"))
        refused(0x0110, hierarchy.print_film_box, FILM, 1)
        refused(0x0110, hierarchy.delete_film_box, FILM)
        hierarchy.delete_film_box("1.2.3.5")
        hierarchy.set_film_box(FILM, dataset(Trim="YES"))
        assert len(hierarchy.session.ReferencedFilmBoxSequence) == 1

    @pytest.mark.parametrize(
        "values",
        [
            {"MagnificationType": "BILINEAR"},
            {"MinDensity": 30},
            {"MaxDensity": 300},
            {"ConfigurationInformation": "CS001"},
            {"SmoothingType": "SHARP"},
            {"BorderDensity": "150"},
            {"EmptyImageDensity": "WHITE"},
            {"Trim": "YES"},
            {"Illumination": 3000},
            {"ReflectedAmbientLight": 20},
        ],
    )
    def test_4_3_what_is_settable(self, values):
        hierarchy = with_film()
        answer = hierarchy.set_film_box(FILM, dataset(**values))
        assert answer.code == 0
        ((keyword, value),) = values.items()
        assert hierarchy.film_boxes[-1].attributes[keyword].value == value

    @pytest.mark.parametrize(
        "values",
        [
            {"ImageDisplayFormat": "STANDARD\\2,2"},
            {"FilmOrientation": "LANDSCAPE"},
            {"FilmSizeID": "A4"},
            {"AnnotationDisplayFormatID": "2"},
            {"RequestedResolutionID": "HIGH"},
            {"ReferencedFilmSessionSequence": [reference(rules.FILM_SESSION, "1.2.3.7")]},
            {"ReferencedImageBoxSequence": [reference(GREY, "1.2.3.7")]},
            {"ReferencedBasicAnnotationBoxSequence": [reference(rules.ANNOTATION_BOX, "1.2.3.7")]},
        ],
    )
    def test_4_3_what_is_not_settable(self, values):
        hierarchy = with_film()
        refused(0x0105, hierarchy.set_film_box, FILM, dataset(**values, Trim="YES"))
        assert hierarchy.film_boxes[-1].attributes.Trim == "NO"

    def test_4_3_what_is_not_settable_may_be_repeated_unless_strict(self):
        same = {"FilmSizeID": "8INX10IN"}
        assert with_film().set_film_box(FILM, dataset(**same)).code == 0
        refused(0x0105, with_film(level="strict").set_film_box, FILM, dataset(**same))

    def test_4_3_the_presentation_lut_is_settable(self):
        hierarchy = with_film()
        change = dataset(ReferencedPresentationLUTSequence=[reference(rules.PRESENTATION_LUT, "1.2.3.8")])
        refused(0x0106, hierarchy.set_film_box, FILM, change)
        hierarchy.create_lut(dataset(PresentationLUTShape="IDENTITY"), "1.2.3.8")
        assert hierarchy.set_film_box(FILM, change).code == 0

    def test_4_3_an_empty_page_is_printed_with_a_warning(self):
        assert with_film().print_film_box(FILM, 1).code == 0xB603

    def test_4_3_the_queue_is_full(self):
        refused(0xC602, with_film().print_film_box, FILM, 1, queue_is_full=True)

    @pytest.mark.parametrize(("behaviour", "status"), [("", 0xB604), ("CROP", 0xB609), ("DECIMATE", 0xB60A)])
    def test_4_3_size_warnings_are_repeated_when_it_is_printed(self, behaviour, status):
        hierarchy = with_film()
        values = {"RequestedDecimateCropBehavior": behaviour} if behaviour else {}
        assert set_image(hierarchy, grey(900, 100), **values).code == status
        assert hierarchy.print_film_box(FILM, 1).code == status

    def test_4_3_a_change_of_the_film_box_may_make_an_image_too_large(self):
        hierarchy = with_film()
        set_image(hierarchy, grey(900, 100))
        hierarchy.set_film_box(FILM, dataset(MagnificationType="NONE"))
        refused(0xC603, hierarchy.print_film_box, FILM, 1)

    def test_4_3_a_change_of_the_film_box_may_make_a_combined_image_too_large(self):
        hierarchy = with_film()
        set_image(hierarchy, with_overlay(grey(700, 700), columns=900, rows=10))
        hierarchy.set_film_box(FILM, dataset(MagnificationType="NONE"))
        refused(0xC613, hierarchy.print_film_box, FILM, 1)

    def test_4_3_uids_are_not_used_twice(self):
        refused(0x0111, with_film().create_film_box, film_box(SESSION), FILM)

    def test_4_3_the_boxes_are_larger_with_high_resolution(self):
        """A display format on one film has more printer pixels at Requested Resolution ID HIGH."""
        hierarchy = with_film(RequestedResolutionID="HIGH")
        assert hierarchy.film_boxes[0].sheet.images[0][2:] == (1600, 2000)
        assert set_image(hierarchy, grey(900, 100)).code == 0


def with_overlay(image: Dataset, columns: int, rows: int, left: int = 1, top: int = 1) -> Dataset:
    image.add_new(0x60000010, "US", rows)
    image.add_new(0x60000011, "US", columns)
    image.add_new(0x60000050, "SS", [top, left])
    count = -(-columns * rows // 16) * 2
    image.add_new(0x60003000, "OW", b"\xff" * count)
    return image


class TestImageBoxes:
    """4.4."""

    def test_4_4_an_image_is_set_superseded_and_erased(self):
        hierarchy = with_film()
        (uid,) = boxes(hierarchy)
        for image in (grey(4, 4, fill=1), grey(6, 6, fill=2)):
            assert set_image(hierarchy, image).code == 0
            assert hierarchy.film_boxes[0].images[uid].image.Rows == image.Rows
        assert set_image(hierarchy, None).code == 0
        assert hierarchy.film_boxes[0].images[uid].image is None

    def test_4_4_position_and_image_are_in_every_n_set(self):
        hierarchy = with_film()
        (uid,) = boxes(hierarchy)
        modifications = image_box(grey(4, 4))
        del modifications.ImageBoxPosition
        assert refused(0x0120, hierarchy.set_image_box, GREY, uid, modifications).attributes == (0x20200010,)
        modifications = dataset(ImageBoxPosition=1)
        assert refused(0x0120, hierarchy.set_image_box, GREY, uid, modifications).attributes == (0x20200110,)
        modifications = image_box(grey(4, 4))
        modifications.ImageBoxPosition = None
        refused(0x0121, hierarchy.set_image_box, GREY, uid, modifications)

    def test_4_4_only_boxes_of_the_last_film_box(self):
        hierarchy = with_film()
        (first,) = boxes(hierarchy)
        hierarchy.create_film_box(film_box(SESSION), "1.2.3.5")
        refused(0x0110, hierarchy.set_image_box, GREY, first, image_box(grey(4, 4)))

    def test_4_4_the_box_is_there_and_of_the_class(self):
        hierarchy = with_film()
        refused(0x0112, hierarchy.set_image_box, GREY, "1.2.3.9", image_box(grey(4, 4)))
        refused(0x0119, hierarchy.set_image_box, COLOR, boxes(hierarchy)[0], image_box(coloured(4, 4)))

    def test_4_4_positions_are_those_of_the_film_and_taken_once(self):
        hierarchy = with_film("STANDARD\\1,2")
        first, second = boxes(hierarchy)
        refused(0x0106, hierarchy.set_image_box, GREY, first, image_box(grey(4, 4), 3))
        hierarchy.set_image_box(GREY, first, image_box(grey(4, 4), 2))
        refused(0x0106, hierarchy.set_image_box, GREY, second, image_box(grey(4, 4), 2))
        hierarchy.set_image_box(GREY, second, image_box(grey(4, 4), 1))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"SamplesPerPixel": 3},
            {"PhotometricInterpretation": "RGB"},
            {"BitsStored": 10},
            {"HighBit": 5},
            {"PixelRepresentation": 1},
            {"BitsAllocated": 16},
            {"Rows": 5},
            {"Columns": 0},
            {"PixelAspectRatio": [1, 0]},
        ],
    )
    def test_4_4_pixels_are_what_a_printer_takes(self, wrong):
        hierarchy = with_film()
        image = grey(4, 4)
        for keyword, value in wrong.items():
            setattr(image, keyword, value)
        refusal = refused(0x0106, set_image, hierarchy, image)
        assert refusal.values is not None and len(refusal.values)

    def test_4_4_twelve_bits(self):
        assert set_image(with_film(), grey(5, 3, 12)).code == 0

    @pytest.mark.parametrize(
        ("values", "status"),
        [
            ({}, 0xB604),
            ({"RequestedDecimateCropBehavior": "CROP"}, 0xB609),
            ({"RequestedDecimateCropBehavior": "DECIMATE"}, 0xB60A),
            ({"RequestedImageSize": "300"}, 0xB604),
        ],
    )
    def test_4_4_warnings_of_size(self, values, status):
        """The box has 800 × 1000 pixels, or 203 × 254 mm."""
        size = (100, 100) if "RequestedImageSize" in values else (801, 300)
        assert set_image(with_film(), grey(*size), **values).code == status

    @pytest.mark.parametrize(
        ("film", "values"),
        [
            ({}, {"RequestedDecimateCropBehavior": "FAIL"}),
            ({"MagnificationType": "NONE"}, {"RequestedDecimateCropBehavior": "DECIMATE"}),
            ({}, {"MagnificationType": "NONE", "RequestedDecimateCropBehavior": "DECIMATE"}),
            ({"MagnificationType": "NONE"}, {}),
        ],
    )
    def test_4_4_an_image_that_is_too_large(self, film, values):
        hierarchy = with_film(**film)
        refused(0xC603, set_image, hierarchy, grey(801, 300), **values)
        assert hierarchy.film_boxes[0].images[boxes(hierarchy)[0]].image is None

    def test_4_4_it_is_exactly_as_large_as_the_box(self):
        assert set_image(with_film(), grey(800, 1000), RequestedDecimateCropBehavior="FAIL").code == 0

    def test_4_4_magnification_of_the_image_box_goes_before_that_of_the_film_box(self):
        hierarchy = with_film(MagnificationType="NONE")
        assert set_image(hierarchy, grey(801, 300), MagnificationType="CUBIC").code == 0xB604

    def test_4_4_a_combined_image_that_is_too_large(self):
        hierarchy = with_film()
        image = with_overlay(grey(700, 700), columns=100, rows=100, left=750)
        refused(0xC613, set_image, hierarchy, image, RequestedDecimateCropBehavior="FAIL")
        image = with_overlay(grey(700, 700), columns=100, rows=100, left=750)
        assert set_image(hierarchy, image, RequestedDecimateCropBehavior="DECIMATE").code == 0xB60A

    def test_4_4_there_is_no_memory_for_it(self):
        hierarchy = with_film("STANDARD\\1,2", Printer(resolution=100, memory=10_000))
        first, second = boxes(hierarchy)
        assert hierarchy.set_image_box(GREY, first, image_box(grey(80, 80))).code == 0
        refused(0xC605, hierarchy.set_image_box, GREY, second, image_box(grey(80, 80), 2))
        # What it supersedes is free again.
        assert hierarchy.set_image_box(GREY, first, image_box(grey(100, 100))).code == 0
        assert hierarchy.memory == 10_000

    def test_4_4_what_overlays_add_takes_memory_too(self):
        hierarchy = with_film(printer=Printer(resolution=100, memory=10_000))
        refused(0xC605, set_image, hierarchy, with_overlay(grey(10, 10), columns=200, rows=100))
        assert set_image(hierarchy, with_overlay(grey(10, 10), columns=99, rows=100)).code == 0

    def test_4_4_images_fit_into_the_memory_that_was_allocated(self):
        hierarchy = made(
            Printer(resolution=100, allocates_memory=True, memory=1 << 20), MemoryAllocation=1024
        )
        hierarchy.create_film_box(film_box(SESSION, "STANDARD\\1,2"), FILM)
        assert set_image(hierarchy, grey(800, 800)).code == 0
        assert hierarchy.memory == 1 << 20
        refused(0xC605, set_image, hierarchy, grey(800, 800), 2)

    def test_4_4_densities_are_clipped(self):
        hierarchy = with_film()
        assert set_image(hierarchy, grey(4, 4), MaxDensity=999).code == 0xB605
        assert hierarchy.film_boxes[0].images[boxes(hierarchy)[0]].attributes.MaxDensity == 320

    def test_4_4_min_density_of_the_box_is_below_max_density_of_the_film(self):
        refused(0x0106, set_image, with_film(MaxDensity=200), grey(4, 4), MinDensity=250)

    def test_4_4_polarity_and_behaviour_are_not_replaced(self):
        refused(0x0106, set_image, with_film(), grey(4, 4), Polarity="POSITIVE")
        refused(0x0106, set_image, with_film(), grey(4, 4), RequestedDecimateCropBehavior="SHRINK")

    def test_4_4_its_presentation_lut(self):
        hierarchy = with_film()
        lut = [reference(rules.PRESENTATION_LUT, "1.2.3.8")]
        refused(0x0106, set_image, hierarchy, grey(4, 4), ReferencedPresentationLUTSequence=lut)
        hierarchy.create_lut(lut_table(), "1.2.3.8")
        set_image(hierarchy, grey(4, 4), ReferencedPresentationLUTSequence=lut)
        (film,) = hierarchy.print_film_box(FILM, 1).content.FilmBoxContentSequence
        copy = film.ImageBoxContentSequence[0].PresentationLUTContentSequence[0]
        assert copy.PresentationLUTSequence[0].LUTDescriptor == [256, 0, 12]

    def test_4_4_colour(self):
        hierarchy = with_film(color=True)
        (uid,) = boxes(hierarchy)
        assert hierarchy.set_image_box(COLOR, uid, image_box(coloured(4, 4))).code == 0
        too_large = image_box(coloured(801, 10), RequestedDecimateCropBehavior="CROP")
        assert hierarchy.set_image_box(COLOR, uid, too_large).code == 0xB609
        wrong = coloured(4, 4)
        wrong.PlanarConfiguration = 0
        refused(0x0106, hierarchy.set_image_box, COLOR, uid, image_box(wrong))


class TestAnnotationBox:
    """4.5."""

    def hierarchy(self) -> tuple[Hierarchy, list[str]]:
        hierarchy = with_film(AnnotationDisplayFormatID="2")
        return hierarchy, list(hierarchy.film_boxes[0].annotations)

    def test_4_5_a_text_is_set_and_erased(self):
        hierarchy, (first, _) = self.hierarchy()
        for text in ("Hello", ""):
            change = dataset(AnnotationPosition=1, TextString=text)
            assert hierarchy.set_annotation_box(first, change).code == 0
            (film,) = hierarchy.print_film_box(FILM, 1).content.FilmBoxContentSequence
            assert film.AnnotationContentSequence[0].TextString == text

    def test_4_5_the_position_is_mandatory(self):
        hierarchy, (first, _) = self.hierarchy()
        refusal = refused(0x0120, hierarchy.set_annotation_box, first, dataset(TextString="Hello"))
        assert refusal.attributes == (0x20300010,)
        refused(0x0106, hierarchy.set_annotation_box, first, dataset(AnnotationPosition=3))

    def test_4_5_only_boxes_of_the_last_film_box(self):
        hierarchy, (first, _) = self.hierarchy()
        hierarchy.create_film_box(film_box(SESSION))
        refused(0x0110, hierarchy.set_annotation_box, first, dataset(AnnotationPosition=1))
        refused(0x0112, hierarchy.set_annotation_box, "1.2.3.9", dataset(AnnotationPosition=1))

    def test_4_5_the_copy_is_in_one_character_set(self):
        hierarchy, (first, _) = self.hierarchy()
        change = Dataset()
        change.SpecificCharacterSet = "ISO_IR 100"
        change.AnnotationPosition = 1
        change.TextString = "Grüße"
        hierarchy.set_annotation_box(first, change)
        content = hierarchy.print_film_box(FILM, 1).content
        assert content.SpecificCharacterSet == "ISO_IR 192"
        assert content.FilmBoxContentSequence[0].AnnotationContentSequence[0].TextString == "Grüße"


class TestPresentationLUT:
    """4.6."""

    def test_4_6_shapes_and_tables(self):
        hierarchy = Hierarchy(PRINTER)
        for lut in (
            dataset(PresentationLUTShape="IDENTITY"),
            dataset(PresentationLUTShape="LIN OD"),
            lut_table(256, 10),
            lut_table(4096, 16),
        ):
            assert hierarchy.create_lut(lut).code == 0
        assert len(hierarchy.luts) == 4

    def test_4_6_exactly_one_of_sequence_and_shape(self):
        hierarchy = Hierarchy(PRINTER)
        refusal = refused(0x0120, hierarchy.create_lut, Dataset())
        assert refusal.attributes == (0x20500010, 0x20500020)
        both = lut_table()
        both.PresentationLUTShape = "IDENTITY"
        refused(0x0105, hierarchy.create_lut, both)

    @pytest.mark.parametrize("values", [(255, 12, 0), (256, 9, 0), (256, 12, 1)])
    def test_4_6_tables_that_cannot_be(self, values):
        refused(0x0106, Hierarchy(PRINTER).create_lut, lut_table(*values))

    def test_4_6_a_shape_that_is_none(self):
        refused(0x0106, Hierarchy(PRINTER).create_lut, dataset(PresentationLUTShape="ROUND"))

    def test_4_6_it_is_not_deleted_while_it_is_referenced(self):
        hierarchy = made()
        hierarchy.create_lut(dataset(PresentationLUTShape="IDENTITY"), "1.2.3.8")
        attributes = film_box(SESSION)
        attributes.ReferencedPresentationLUTSequence = [reference(rules.PRESENTATION_LUT, "1.2.3.8")]
        hierarchy.create_film_box(attributes, FILM)
        refused(0x0110, hierarchy.delete_lut, "1.2.3.8")
        hierarchy.delete_film_box(FILM)
        hierarchy.delete_lut("1.2.3.8")
        refused(0x0112, hierarchy.delete_lut, "1.2.3.8")


class TestSteps(RuleBasedStateMachine):
    """Any order of operations: what is refused changes nothing, and what is there hangs together."""

    def __init__(self) -> None:
        super().__init__()
        self.hierarchy = Hierarchy(Printer(resolution=50, memory=40_000))

    def attempt(self, operation: Any, *arguments: Any) -> None:
        before = self.picture()
        try:
            operation(*arguments)
        except Refused:
            assert self.picture() == before

    def picture(self) -> Any:
        hierarchy = self.hierarchy
        return (
            hierarchy.session_uid,
            str(hierarchy.session),
            sorted(hierarchy.luts),
            [
                (film.uid, str(film.attributes), [str(box.attributes) for box in film.images.values()])
                for film in hierarchy.film_boxes
            ],
        )

    @rule(uid=st.sampled_from(["", SESSION, "1.2.3.7"]), copies=st.integers(0, 200))
    def create_session(self, uid, copies):
        self.attempt(self.hierarchy.create_session, dataset(NumberOfCopies=copies), uid)

    @rule(layout=st.sampled_from(["STANDARD\\1,2", "ROW\\1,2", "NONE"]), size=st.sampled_from(["A4", "A9"]))
    def create_film_box(self, layout, size):
        attributes = film_box(self.hierarchy.session_uid or SESSION, layout, FilmSizeID=size)
        self.attempt(self.hierarchy.create_film_box, attributes)

    @rule(
        which=st.integers(0, 3),
        columns=st.integers(0, 500),
        rows=st.integers(1, 80),
        position=st.integers(0, 3),
        behaviour=st.sampled_from(["CROP", "DECIMATE", "FAIL", "NO"]),
    )
    def set_image(self, which, columns, rows, position, behaviour):
        uids = [uid for film in self.hierarchy.film_boxes for uid in film.images] or ["1.2.3.9"]
        change = image_box(grey(columns, rows), position, RequestedDecimateCropBehavior=behaviour)
        self.attempt(self.hierarchy.set_image_box, GREY, uids[which % len(uids)], change)

    @rule(which=st.integers(0, 2), magnification=st.sampled_from(["NONE", "CUBIC"]))
    def set_film_box(self, which, magnification):
        uids = [film.uid for film in self.hierarchy.film_boxes] or ["1.2.3.9"]
        self.attempt(
            self.hierarchy.set_film_box, uids[which % len(uids)], dataset(MagnificationType=magnification)
        )

    @rule()
    @precondition(lambda self: self.hierarchy.film_boxes)
    def print_and_delete(self):
        uid = self.hierarchy.film_boxes[-1].uid
        self.attempt(self.hierarchy.print_film_box, uid, 1)
        self.attempt(self.hierarchy.delete_film_box, uid)

    @rule()
    def delete_session(self):
        self.attempt(self.hierarchy.delete_session, self.hierarchy.session_uid or SESSION)

    @invariant()
    def it_hangs_together(self):
        hierarchy = self.hierarchy
        assert bool(hierarchy.session_uid) or not hierarchy.film_boxes
        assert hierarchy.memory <= hierarchy.printer.memory
        for film in hierarchy.film_boxes:
            assert len(film.images) == len(film.sheet.images)
            positions = [box.position for box in film.images.values() if box.image is not None]
            assert len(positions) == len(set(positions))


TestHierarchySteps = TestSteps.TestCase
del TestSteps
