"""The rules of Print Management (PS3.4 Annex H), over data sets: no network, no threads, no files.

A :class:`Hierarchy` is what one association has created: a film session, its film boxes with their image and
annotation boxes, and Presentation LUTs. Its methods are the operations; they raise
:class:`~dulcimer.errors.Refused` or return an :class:`Answer`, and change nothing unless they succeed::

    film session ──┬── film box 1 ──┬── image boxes, annotation boxes
                   │                └── (may no longer be set, printed or deleted: there is a later one)
                   └── film box 2 …
    Presentation LUT, referenced by film boxes and image boxes

Whether an image fits into its box is computed from the pixels that the box has on the printer
(:mod:`dulcimer.services.film`), when the image is set and once more when the film is printed, since the film
box may have been set in between.

How strict
----------
``"strict"``
    Values that the printer does not support are refused with 0106H and attributes that it does not with
    0105H.
``"standard"`` (default)
    So are values whose replacement would make another film (medium, size, orientation, display format,
    polarity, Decimate/Crop behaviour). Other values are replaced by the printer's default with warning 0116H,
    attributes that are not supported are left out with warning 0107H; H.2.4 allows both.
``"lenient"``
    Only a display format that is none is refused.

Where the Standard is silent
----------------------------
- An operation on a film box, or a box of one, that is not the last created: 0110H. When the last one is
  deleted, the one before it is the last.
- A second film session on an association: 0110H; 0111H if it has the UID of the first.
- N-SET of a film box attribute that Table H.4-6 does not list for N-SET (H.4.2.2.2): 0105H, unless it repeats
  the value and the level is not strict.
- The data set of a warning (0107H, 0116H, B600H, B605H) has the values in force, for an N-CREATE all of them:
  the references to the created boxes would be lost otherwise.
- If several warnings are due, the one of the SOP class is given, then 0116H, then 0107H.
- A film box that names a film session which is not there: 0106H. So is an Image Box Position that the film
  does not have or that another box with an image has.
- A Presentation LUT that is referenced cannot be deleted: 0110H. Both or neither of sequence and shape: 0105H
  and 0120H. B605H, which H.4.9 lists for it, cannot come about: it has no densities.
- An image too large without a requested behaviour: the printer's own, B604H if that makes it smaller. B60AH
  says that it was made smaller on request.
- Magnification Type NONE with an image too large and no requested behaviour: as DECIMATE, C603H.
- The combined print image is what encloses an image and the overlay planes (60xx) in its item, as those of
  the retired overlay boxes; C613H if only that is too large.
- Film session printing with an empty page: B602H, it is printed empty. Sizes are reported by the first film
  that has something to report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dulcimer.errors import Refused
from dulcimer.services import film as geometry
from dulcimer.services.film import Area, Fit, display_format
from dulcimer.services.rules import Finding, Kind, Level, check
from dulcimer.services.rules.tables import table_for

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement

    from dulcimer.services.printer import Printer, Sheet

FILM_SESSION: Final = "1.2.840.10008.5.1.1.1"
FILM_BOX: Final = "1.2.840.10008.5.1.1.2"
GRAYSCALE_IMAGE_BOX: Final = "1.2.840.10008.5.1.1.4"
COLOR_IMAGE_BOX: Final = "1.2.840.10008.5.1.1.4.1"
ANNOTATION_BOX: Final = "1.2.840.10008.5.1.1.15"
PRESENTATION_LUT: Final = "1.2.840.10008.5.1.1.23"
PRINT_JOB: Final = "1.2.840.10008.5.1.1.14"
PRINTER: Final = "1.2.840.10008.5.1.1.16"
PRINTER_INSTANCE: Final = "1.2.840.10008.5.1.1.17"
PRINTER_CONFIGURATION: Final = "1.2.840.10008.5.1.1.16.376"
PRINTER_CONFIGURATION_INSTANCE: Final = "1.2.840.10008.5.1.1.17.376"
GRAYSCALE_META: Final = "1.2.840.10008.5.1.1.9"
COLOR_META: Final = "1.2.840.10008.5.1.1.18"

SUCCESS: Final = 0x0000
NO_SUCH_ATTRIBUTE: Final = 0x0105
INVALID_VALUE: Final = 0x0106
ATTRIBUTE_LIST_ERROR: Final = 0x0107
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_INSTANCE: Final = 0x0111
NO_SUCH_INSTANCE: Final = 0x0112
OUT_OF_RANGE: Final = 0x0116
CLASS_INSTANCE_CONFLICT: Final = 0x0119
MISSING_ATTRIBUTE: Final = 0x0120
NO_SUCH_ACTION: Final = 0x0123
UNRECOGNIZED_OPERATION: Final = 0x0211
RESOURCE_LIMITATION: Final = 0x0213
NO_MEMORY_ALLOCATION: Final = 0xB600
NO_COLLATION: Final = 0xB601
SESSION_HAS_EMPTY_PAGE: Final = 0xB602
EMPTY_PAGE: Final = 0xB603
DENSITY_CLIPPED: Final = 0xB605
NO_FILM_BOX: Final = 0xC600
SESSION_QUEUE_FULL: Final = 0xC601
BOX_QUEUE_FULL: Final = 0xC602
NOT_ENOUGH_MEMORY: Final = 0xC605
PREVIOUS_NOT_PRINTED: Final = 0xC616

PRINT: Final = 1
"""Action Type ID of Print."""

PENDING: Final = "PENDING"
PRINTING: Final = "PRINTING"
DONE: Final = "DONE"
FAILURE: Final = "FAILURE"
JOB_EVENTS: Final = {PENDING: 1, PRINTING: 2, DONE: 3, FAILURE: 4}
"""Event Type ID of each Execution Status (H.4.5)."""
PRINTER_EVENTS: Final = {"NORMAL": 1, "WARNING": 2, "FAILURE": 3}
"""Event Type ID of each Printer Status (H.4.6)."""

PRIORITIES: Final = ("HIGH", "MED", "LOW")
MAGNIFICATIONS: Final = frozenset({"REPLICATE", "BILINEAR", "CUBIC", "NONE"})
BEHAVIOURS: Final = frozenset({"DECIMATE", "CROP", "FAIL"})

DEFAULT_ILLUMINATION: Final = 2000
DEFAULT_REFLECTION: Final = 10
"""Illumination and Reflected Ambient Light where none is asked for, in cd/m² (PS3.3 C.13.3)."""

_IMAGE_SEQUENCE: Final = {
    GRAYSCALE_IMAGE_BOX: "BasicGrayscaleImageSequence",
    COLOR_IMAGE_BOX: "BasicColorImageSequence",
}
_SOP_COMMON: Final = (0x0008_0016, 0x0008_0018)
_LUT_SEQUENCE: Final = 0x2050_0010
_LUT_SHAPE: Final = 0x2050_0020
_LUT_ENTRIES: Final = frozenset({256, 4096})
_LUT_BITS: Final = range(10, 17)
_OVERLAYS: Final = range(0x6000, 0x6020, 2)
_ANOTHER_FILM: Final = frozenset(
    {"FilmSizeID", "MediumType", "FilmOrientation", "Polarity", "RequestedDecimateCropBehavior"}
)
"""What would be another film if it were replaced by a default."""
_NOT_SUPPORTED: Final = frozenset({"ICCProfile"})
"""Attributes of the usage U/U that nothing here makes use of."""
_DENSITIES: Final = ("MinDensity", "MaxDensity")
_SIZE_WARNINGS: Final = frozenset({geometry.DEMAGNIFIED, geometry.CROPPED, geometry.DECIMATED})


class Answer(NamedTuple):
    """What a request is answered: status with the elements that go with it, and the data set."""

    status: Dataset
    dataset: Dataset | None = None

    @property
    def code(self) -> int:
        """The status code."""
        return int(self.status.Status)


class Job(NamedTuple):
    """What a Print action makes: the answer's warning, the films, which nothing changes any more, and the
    UIDs of their film boxes."""

    code: int
    content: Dataset
    film_boxes: tuple[str, ...]


@dataclass
class ImageBox:
    """An image box: its SOP class and instance, its default position, and what was set."""

    uid: str
    class_uid: str
    position: int
    attributes: Dataset = field(default_factory=Dataset)

    @property
    def image(self) -> Dataset | None:
        """The item with the pixels; None while there is no image."""
        items = self.attributes.get(_IMAGE_SEQUENCE[self.class_uid])
        return items[0] if items else None

    @property
    def memory(self) -> int:
        """How many bytes its image takes, with what overlays add around it."""
        image = self.image
        if image is None:
            return 0
        whole = geometry.combined(int(image.Columns), int(image.Rows), overlay_areas(image))
        pixel = int(image.SamplesPerPixel) * int(image.BitsAllocated) // 8
        return max(len(image.PixelData), whole.width * whole.height * pixel)


@dataclass
class AnnotationBox:
    """An annotation box: its instance, its default position, and what was set."""

    uid: str
    position: int
    attributes: Dataset = field(default_factory=Dataset)


@dataclass
class FilmBox:
    """A film box with its boxes, and whether it has been printed."""

    uid: str
    attributes: Dataset
    sheet: Sheet
    images: dict[str, ImageBox]
    annotations: dict[str, AnnotationBox]
    printed: bool = False


class Hierarchy:
    """What one association has created.

    Parameters
    ----------
    printer
        The printer's characteristics and limits.
    level
        How much is insisted on.
    free_memory
        Returns how many bytes are free besides what this hierarchy has; by default all of the printer's
        memory is its own.
    new_uid
        Makes UIDs for what the SCP creates.
    """

    def __init__(
        self,
        printer: Printer,
        level: Level = "standard",
        *,
        free_memory: Callable[[], int] | None = None,
        new_uid: Callable[[], str] = lambda: str(generate_uid()),
    ) -> None:
        self.printer = printer
        self.level: Level = level
        self.session_uid = ""
        self.session = Dataset()
        self.film_boxes: list[FilmBox] = []
        self.luts: dict[str, Dataset] = {}
        self._free_memory = free_memory or (lambda: printer.memory - self.memory)
        self._new_uid = new_uid

    @property
    def memory(self) -> int:
        """How many bytes its images and its allocation take."""
        return max(self._images(), self._allocated(self.session))

    # ---- Basic Film Session (H.4.1) -------------------------------------------------------------------

    def create_session(self, attributes: Dataset, uid: str = "") -> Answer:
        """N-CREATE of the film session.

        Raises
        ------
        Refused
            0110H or 0111H if there is one, 0105H, 0106H, 0213H.
        """
        if self.session_uid:
            if uid == self.session_uid:
                raise Refused(DUPLICATE_INSTANCE, "There is a film session with this UID")
            raise Refused(PROCESSING_FAILURE, "An association has one film session at a time")
        self._check_new(uid)
        given = self._accepted("N-CREATE", FILM_SESSION, attributes)
        session = given.over(self._session_defaults())
        self._allocate(session, given)
        self.session_uid = uid or self._new_uid()
        self.session = session
        return given.answer(session, self.session_uid)

    def set_session(self, uid: str, modifications: Dataset) -> Answer:
        """N-SET of the film session.

        Raises
        ------
        Refused
            0112H if there is no such session, 0105H, 0106H, 0213H.
        """
        self._check_session(uid)
        given = self._accepted("N-SET", FILM_SESSION, modifications, self.session)
        session = given.over(self.session)
        self._allocate(session, given)
        self.session = session
        return given.answer(given.of(session))

    def print_session(self, uid: str, action: int, *, queue_is_full: bool = False) -> Job:
        """N-ACTION Print of the film session: all its films.

        Raises
        ------
        Refused
            C600H without film box, C601H if the queue is full, C603H or C613H if an image is too large;
            0112H, 0123H, 0211H.
        """
        self._check_session(uid)
        if not self.printer.prints_sessions:
            raise Refused(UNRECOGNIZED_OPERATION, "Film boxes are printed one by one here")
        _check_action(action)
        if not self.film_boxes:
            raise Refused(NO_FILM_BOX, "The film session has no film box")
        sizes = [self._sizes(box) for box in self.film_boxes]
        if queue_is_full:
            raise Refused(SESSION_QUEUE_FULL, "The print queue is full")
        codes = [next((code for code in sizes if code), SUCCESS)]
        if any(not _has_images(box) for box in self.film_boxes):
            codes.append(SESSION_HAS_EMPTY_PAGE)
        copies = int(self.session.NumberOfCopies)
        if not self.printer.collates and (len(self.film_boxes) > 1 or copies > 1):
            codes.append(NO_COLLATION)
        return self._job(next((code for code in codes if code), SUCCESS), self.film_boxes)

    def delete_session(self, uid: str) -> None:
        """N-DELETE of the film session, with everything below it.

        Raises
        ------
        Refused
            0112H if there is no such session.
        """
        self._check_session(uid)
        self.session_uid = ""
        self.session = Dataset()
        self.film_boxes = []

    # ---- Basic Film Box (H.4.2) -----------------------------------------------------------------------

    def create_film_box(
        self, attributes: Dataset, uid: str = "", *, color: bool = False, annotations: bool = False
    ) -> Answer:
        """N-CREATE of a film box, with its image and annotation boxes.

        Parameters
        ----------
        attributes
            The Attribute List.
        uid
            Affected SOP Instance UID, empty to have one made up.
        color
            Whether the request came on a context of the color meta SOP class (H.3.2.2).
        annotations
            Whether Basic Annotation Box was negotiated.

        Raises
        ------
        Refused
            C616H if the previous film box is not printed and sessions cannot be; 0105H, 0106H, 0111H, 0120H.
        """
        self._check_new(uid)
        given = self._accepted("N-CREATE", FILM_BOX, attributes)
        named = _referenced(given.values, "ReferencedFilmSessionSequence")
        if not self.session_uid or (
            named != self.session_uid and not (self.level == "lenient" and not named)
        ):
            if "ReferencedFilmSessionSequence" not in given.values:
                raise Refused(INVALID_VALUE, "There is no film session")
            raise _invalid(given.values["ReferencedFilmSessionSequence"], "There is no such film session")
        if self.film_boxes and not self.film_boxes[-1].printed and not self.printer.prints_sessions:
            raise Refused(PREVIOUS_NOT_PRINTED, "The previous film box has not been printed")
        if not annotations:
            given.values.pop(0x2010_0030, None)
        box = given.over(self._film_box_defaults())
        try:
            form = display_format(str(box.get("ImageDisplayFormat") or ""))
            sheet = self.printer.sheet(
                str(box.FilmSizeID),
                str(box.FilmOrientation),
                str(form),
                str(box.RequestedResolutionID),
                str(box.get("AnnotationDisplayFormatID") or ""),
            )
        except ValueError as error:
            box.setdefault("ImageDisplayFormat", "")
            raise _invalid(box["ImageDisplayFormat"], str(error)) from None
        self._check_densities(box, given)
        self._check_lut(box)
        image_class = COLOR_IMAGE_BOX if color else GRAYSCALE_IMAGE_BOX
        images = [ImageBox(self._new_uid(), image_class, at) for at in range(1, len(sheet.images) + 1)]
        notes = [AnnotationBox(self._new_uid(), at) for at in range(1, len(sheet.annotations) + 1)]
        box.ReferencedImageBoxSequence = [reference_to(image_class, each.uid) for each in images]
        if annotations:
            box.ReferencedBasicAnnotationBoxSequence = [
                reference_to(ANNOTATION_BOX, each.uid) for each in notes
            ]
        film = FilmBox(
            uid or self._new_uid(),
            box,
            sheet,
            {each.uid: each for each in images},
            {each.uid: each for each in notes},
        )
        self.film_boxes.append(film)
        self._refer_to_film_boxes()
        return given.answer(box, film.uid)

    def set_film_box(self, uid: str, modifications: Dataset) -> Answer:
        """N-SET of the last film box.

        Raises
        ------
        Refused
            0110H if it is not the last, 0112H if there is none, 0105H, 0106H.
        """
        box = self._last(uid)
        given = self._accepted("N-SET", FILM_BOX, modifications, box.attributes)
        attributes = given.over(box.attributes)
        self._check_densities(attributes, given)
        self._check_lut(attributes)
        box.attributes = attributes
        return given.answer(given.of(attributes))

    def print_film_box(self, uid: str, action: int, *, queue_is_full: bool = False) -> Job:
        """N-ACTION Print of the last film box.

        Raises
        ------
        Refused
            C602H if the queue is full, C603H or C613H if an image is too large; 0110H, 0112H, 0123H.
        """
        box = self._last(uid)
        _check_action(action)
        code = self._sizes(box)
        if queue_is_full:
            raise Refused(BOX_QUEUE_FULL, "The print queue is full")
        return self._job(code if _has_images(box) else EMPTY_PAGE, [box])

    def mark_printed(self, job: Job) -> None:
        """Take note that a job is safely queued."""
        for box in self.film_boxes:
            box.printed = box.printed or box.uid in job.film_boxes

    def delete_film_box(self, uid: str) -> None:
        """N-DELETE of the last film box, with its boxes.

        Raises
        ------
        Refused
            0110H if it is not the last, 0112H if there is none.
        """
        self.film_boxes.remove(self._last(uid))
        self._refer_to_film_boxes()

    # ---- image boxes (H.4.3) --------------------------------------------------------------------------

    def set_image_box(self, class_uid: str, uid: str, modifications: Dataset) -> Answer:
        """N-SET of an image box of the last film box.

        Raises
        ------
        Refused
            C603H or C613H if the image is too large, C605H if there is no memory for it; 0110H if the film
            box is not the last, 0112H, 0119H, 0105H, 0106H, 0120H, 0121H.
        """
        film, box = self._image_box(class_uid, uid)
        given = self._accepted("N-SET", class_uid, modifications)
        keyword = _IMAGE_SEQUENCE[class_uid]
        attributes = given.over(box.attributes)
        attributes.setdefault("ImageBoxPosition", box.position)
        self._check_position(film, box, attributes, keyword)
        self._check_densities(attributes, given, film.attributes)
        self._check_lut(attributes)
        changed = ImageBox(box.uid, box.class_uid, int(attributes.ImageBoxPosition), attributes)
        if changed.image is not None:
            _check_pixels(changed.image, keyword)
            wanted = max(self._images() - box.memory + changed.memory, self._allocated(self.session))
            if wanted > self._free_memory() + self.memory:
                raise Refused(NOT_ENOUGH_MEMORY, "Not enough printer memory for the image")
            given.note(self._fit(film, changed).status)
        film.images[uid] = changed
        return given.answer(given.of(attributes, without=keyword))

    # ---- Basic Annotation Box (H.4.4) -----------------------------------------------------------------

    def set_annotation_box(self, uid: str, modifications: Dataset) -> Answer:
        """N-SET of an annotation box of the last film box.

        Raises
        ------
        Refused
            0110H if the film box is not the last, 0112H, 0106H, 0120H.
        """
        film = next((film for film in self.film_boxes if uid in film.annotations), None)
        if film is None:
            raise Refused(NO_SUCH_INSTANCE, "There is no such annotation box")
        self._check_last(film)
        given = self._accepted("N-SET", ANNOTATION_BOX, modifications)
        box = film.annotations[uid]
        given.values.setdefault("AnnotationPosition", film.annotations[uid].position)
        position = int(given.values.AnnotationPosition)
        others = {each.position for each in film.annotations.values() if each is not box and each.attributes}
        if not 1 <= position <= len(film.annotations) or position in others:
            raise _invalid(given.values["AnnotationPosition"], "Not a position that is free on this film")
        attributes = given.over(box.attributes)
        film.annotations[uid] = AnnotationBox(uid, position, attributes)
        return given.answer(given.of(attributes))

    # ---- Presentation LUT (H.4.9) ---------------------------------------------------------------------

    def create_lut(self, attributes: Dataset, uid: str = "") -> Answer:
        """N-CREATE of a Presentation LUT.

        Raises
        ------
        Refused
            0105H with both sequence and shape, 0120H with neither, 0106H for a table that cannot be; 0111H.
        """
        self._check_new(uid)
        has_table = bool(attributes.get("PresentationLUTSequence"))
        has_shape = bool(attributes.get("PresentationLUTShape"))
        if has_table and has_shape:
            raise Refused(NO_SUCH_ATTRIBUTE, "Sequence or shape, not both", attributes=(_LUT_SHAPE,))
        if not has_table and not has_shape:
            raise Refused(
                MISSING_ATTRIBUTE, "Neither sequence nor shape", attributes=(_LUT_SEQUENCE, _LUT_SHAPE)
            )
        given = self._accepted("N-CREATE", PRESENTATION_LUT, attributes)
        lut = given.over(Dataset())
        if has_table:
            _check_table(lut)
        elif str(lut.PresentationLUTShape) not in ("IDENTITY", "LIN OD"):
            raise _invalid(lut["PresentationLUTShape"], "The shapes are IDENTITY and LIN OD")
        made = uid or self._new_uid()
        self.luts[made] = lut
        return given.answer(lut, made)

    def delete_lut(self, uid: str) -> None:
        """N-DELETE of a Presentation LUT.

        Raises
        ------
        Refused
            0110H while it is referenced, 0112H if there is none.
        """
        if uid not in self.luts:
            raise Refused(NO_SUCH_INSTANCE, "There is no such Presentation LUT")
        if uid in set(self._referenced_luts()):
            raise Refused(PROCESSING_FAILURE, "The Presentation LUT is referenced")
        del self.luts[uid]

    # ---- what the operations have in common -----------------------------------------------------------

    def _accepted(
        self, operation: str, class_uid: str, dataset: Dataset, stored: Dataset | None = None
    ) -> _Given:
        """Compare a data set with its table (H.2.4) and take what the printer supports."""
        copy = deepcopy(dataset)
        for tag in _SOP_COMMON:
            if tag in copy:
                if self.level == "strict":
                    raise Refused(
                        NO_SUCH_ATTRIBUTE, f"{keyword_for_tag(tag)} is of the command", attributes=(tag,)
                    )
                del copy[tag]
        found = check(operation, class_uid, copy, level=self.level)
        found.without(_about_support).enforce(copy)
        given = _Given(copy)
        for finding in found:
            tag = finding.path[0]
            if finding.kind is Kind.UNDEFINED and len(finding.path) == 1:
                if self.level == "strict":
                    raise Refused(NO_SUCH_ATTRIBUTE, "Not for the SCU to set", attributes=(tag,))
                copy.pop(tag, None)
            elif finding.kind is Kind.UNKNOWN and len(finding.path) == 1:
                self._leave_out(operation, class_uid, copy, tag, stored, given)
        for element in list(copy):
            if element.is_empty and element.VR != "SQ" and element.keyword != "TextString":
                # Zero length asks for the printer's choice.
                del copy[element.tag]
            elif element.keyword in _NOT_SUPPORTED:
                self._leave_out(operation, class_uid, copy, element.tag, None, given)
            elif not self._supports(element):
                hard = self.level == "strict" or (
                    self.level == "standard" and element.keyword in _ANOTHER_FILM
                )
                if hard:
                    raise _invalid(element, f"{element.keyword} is not supported by the printer")
                del copy[element.tag]
                given.replaced.append(element.tag)
        return given

    def _leave_out(
        self, operation: str, class_uid: str, copy: Dataset, tag: int, stored: Dataset | None, given: _Given
    ) -> None:
        created = table_for(class_uid, "N-CREATE")
        if operation == "N-SET" and stored is not None and created is not None and tag in created.rows:
            repeats = tag in stored and stored[tag] == copy[tag] and self.level != "strict"
            if not repeats:
                raise Refused(NO_SUCH_ATTRIBUTE, "Cannot be set any more", attributes=(tag,))
            del copy[tag]
            return
        if self.level == "strict":
            raise Refused(NO_SUCH_ATTRIBUTE, "The attribute is not supported", attributes=(tag,))
        del copy[tag]
        given.unknown.append(tag)

    def _supports(self, element: DataElement) -> bool:
        printer = self.printer
        value = str(element.value).strip()
        match element.keyword:
            case "NumberOfCopies":
                return _is_number(value, 1, printer.most_copies)
            case "PrintPriority":
                return value in PRIORITIES
            case "MediumType":
                return value in printer.media
            case "FilmDestination":
                return printer.has_destination(value)
            case "FilmOrientation":
                return value in ("PORTRAIT", "LANDSCAPE")
            case "FilmSizeID":
                return value in printer.film_sizes
            case "MagnificationType":
                return value in MAGNIFICATIONS
            case "SmoothingType":
                return value in printer.smoothing_types
            case "BorderDensity" | "EmptyImageDensity":
                return value in ("BLACK", "WHITE") or _is_number(value, 0, 0xFFFF)
            case "Trim":
                return value in ("YES", "NO")
            case "RequestedResolutionID":
                return value == "STANDARD" or (value == "HIGH" and printer.high_resolution is not None)
            case "AnnotationDisplayFormatID":
                return value in printer.annotation_formats
            case "Polarity":
                return value in ("NORMAL", "REVERSE")
            case "RequestedDecimateCropBehavior":
                return value in BEHAVIOURS
            case "RequestedImageSize":
                return element.VM == 1 and 0 < float(element.value) < 1e5
            case "Illumination":
                return _is_number(value, 1, 0xFFFF)
        return True

    def _session_defaults(self) -> Dataset:
        session = Dataset()
        session.NumberOfCopies = 1
        session.PrintPriority = "MED"
        session.MediumType = self.printer.media[0]
        session.FilmDestination = self.printer.destinations[0]
        session.ReferencedFilmBoxSequence = []
        return session

    def _film_box_defaults(self) -> Dataset:
        printer = self.printer
        box = Dataset()
        box.FilmOrientation = "PORTRAIT"
        box.FilmSizeID = printer.film_sizes[0]
        box.MagnificationType = printer.magnification
        box.SmoothingType = printer.smoothing_types[0]
        box.MinDensity = printer.min_density
        box.MaxDensity = printer.max_density
        box.BorderDensity = "BLACK"
        box.EmptyImageDensity = "BLACK"
        box.Trim = "NO"
        box.Illumination = DEFAULT_ILLUMINATION
        box.ReflectedAmbientLight = DEFAULT_REFLECTION
        box.RequestedResolutionID = "STANDARD"
        return box

    def _images(self) -> int:
        return sum(box.memory for film in self.film_boxes for box in film.images.values())

    def _allocated(self, session: Dataset) -> int:
        if not self.printer.allocates_memory:
            return 0
        return int(session.get("MemoryAllocation") or 0) * 1024

    def _allocate(self, session: Dataset, given: _Given) -> None:
        wanted = session.get("MemoryAllocation")
        if "MemoryAllocation" not in given.values or wanted is None:
            return
        if not self.printer.allocates_memory:
            del session.MemoryAllocation
            given.note(NO_MEMORY_ALLOCATION)
            return
        size = int(wanted) * 1024
        if size > self.printer.memory:
            raise _invalid(session["MemoryAllocation"], "The printer has less memory than that")
        if size > self._free_memory() + self.memory:
            raise Refused(RESOURCE_LIMITATION, "That much memory is not free now")

    def _check_densities(self, dataset: Dataset, given: _Given, film: Dataset | None = None) -> None:
        """Keep densities within what the printer can do (B605H)."""
        least, most = self.printer.min_density, self.printer.max_density
        for keyword in _DENSITIES:
            value = dataset.get(keyword)
            if value is not None and not least <= int(value) <= most:
                setattr(dataset, keyword, min(max(int(value), least), most))
                given.note(DENSITY_CLIPPED)
        low, high = (_inherited(dataset, film, keyword) for keyword in _DENSITIES)
        if low is not None and high is not None and int(low) >= int(high):
            keyword = "MinDensity" if "MinDensity" in dataset else "MaxDensity"
            if keyword in dataset:
                raise _invalid(dataset[keyword], "Min Density is not less than Max Density")

    def _check_lut(self, dataset: Dataset) -> None:
        for item in dataset.get("ReferencedPresentationLUTSequence") or []:
            if str(item.get("ReferencedSOPInstanceUID", "")) not in self.luts:
                raise _invalid(
                    dataset["ReferencedPresentationLUTSequence"], "There is no such Presentation LUT"
                )

    def _check_position(self, film: FilmBox, box: ImageBox, attributes: Dataset, keyword: str) -> None:
        position = int(attributes.ImageBoxPosition)
        taken = {each.position for each in film.images.values() if each is not box and each.image is not None}
        wanted = bool(attributes.get(keyword))
        if not 1 <= position <= len(film.images) or (wanted and position in taken):
            raise _invalid(attributes["ImageBoxPosition"], "Not a position that is free on this film")

    def _check_new(self, uid: str) -> None:
        known = {self.session_uid, *self.luts}
        for film in self.film_boxes:
            known |= {film.uid, *film.images, *film.annotations}
        if uid and uid in known:
            raise Refused(DUPLICATE_INSTANCE, "There is an instance with this UID")

    def _check_session(self, uid: str) -> None:
        if not self.session_uid or uid != self.session_uid:
            raise Refused(NO_SUCH_INSTANCE, "There is no such film session")

    def _check_last(self, film: FilmBox) -> None:
        if film is not self.film_boxes[-1]:
            raise Refused(PROCESSING_FAILURE, "Only the film box created last can be used")

    def _last(self, uid: str) -> FilmBox:
        film = next((film for film in self.film_boxes if film.uid == uid), None)
        if film is None:
            raise Refused(NO_SUCH_INSTANCE, "There is no such film box")
        self._check_last(film)
        return film

    def _image_box(self, class_uid: str, uid: str) -> tuple[FilmBox, ImageBox]:
        film = next((film for film in self.film_boxes if uid in film.images), None)
        if film is None:
            raise Refused(NO_SUCH_INSTANCE, "There is no such image box")
        box = film.images[uid]
        if box.class_uid != class_uid:
            raise Refused(CLASS_INSTANCE_CONFLICT, "The image box is of the other class")
        self._check_last(film)
        return film, box

    def _referenced_luts(self) -> Iterator[str]:
        for film in self.film_boxes:
            for dataset in (film.attributes, *(box.attributes for box in film.images.values())):
                for item in dataset.get("ReferencedPresentationLUTSequence") or []:
                    yield str(item.get("ReferencedSOPInstanceUID", ""))

    def _refer_to_film_boxes(self) -> None:
        self.session.ReferencedFilmBoxSequence = [
            reference_to(FILM_BOX, film.uid) for film in self.film_boxes
        ]

    # ---- what is printed ------------------------------------------------------------------------------

    def _fit(self, film: FilmBox, box: ImageBox) -> Fit:
        assert box.image is not None
        area = film.sheet.images[box.position - 1]
        placed = place(box.attributes, box.image, film.attributes, area, film.sheet.dpi, self.printer)
        if placed.status not in _SIZE_WARNINGS and placed.status:
            raise Refused(placed.status, "The image is larger than the image box")
        return placed

    def _sizes(self, film: FilmBox) -> int:
        """Look once more whether the images fit, and return the first warning."""
        boxes = sorted(film.images.values(), key=lambda box: box.position)
        codes = [self._fit(film, box).status for box in boxes if box.image is not None]
        return next((code for code in codes if code), SUCCESS)

    def _job(self, code: int, films: list[FilmBox]) -> Job:
        return Job(code, self._content(films), tuple(film.uid for film in films))

    def _content(self, films: list[FilmBox]) -> Dataset:
        """Copy films with all that is needed to print them, as one data set."""
        content = Dataset()
        content.SpecificCharacterSet = "ISO_IR 192"
        for keyword in ("NumberOfCopies", "PrintPriority", "MediumType", "FilmDestination"):
            setattr(content, keyword, self.session.get(keyword))
        for keyword in ("FilmSessionLabel", "OwnerID"):
            if keyword in self.session:
                setattr(content, keyword, str(self.session[keyword].value))
        content.FilmBoxContentSequence = [self._film_content(film) for film in films]
        return content

    def _film_content(self, film: FilmBox) -> Dataset:
        item = self._with_lut(film.attributes)
        item.ImageBoxContentSequence = [
            self._with_lut(box.attributes)
            for box in sorted(film.images.values(), key=lambda box: box.position)
            if box.image is not None
        ]
        item.AnnotationContentSequence = [
            _annotation(box)
            for box in sorted(film.annotations.values(), key=lambda box: box.position)
            if box.attributes
        ]
        return item

    def _with_lut(self, attributes: Dataset) -> Dataset:
        copy = deepcopy(attributes)
        for item in attributes.get("ReferencedPresentationLUTSequence") or []:
            copy.PresentationLUTContentSequence = [deepcopy(self.luts[str(item.ReferencedSOPInstanceUID)])]
        for keyword in (
            "ReferencedPresentationLUTSequence",
            "ReferencedFilmSessionSequence",
            "ReferencedImageBoxSequence",
            "ReferencedBasicAnnotationBoxSequence",
            "SpecificCharacterSet",
        ):
            if keyword in copy:
                delattr(copy, keyword)
        return copy


def place(box: Dataset, image: Dataset, film: Dataset, area: Area, dpi: float, printer: Printer) -> Fit:
    """Place an image in its image box, and tell the status of that.

    Parameters
    ----------
    box, image
        The attributes of the image box, and the item with the pixels.
    film
        The attributes of the film box.
    area
        The image box in printer pixels.
    dpi
        Printer pixels per inch.
    printer
        The printer, for its defaults.
    """
    columns, rows = int(image.Columns), int(image.Rows)
    overlays = overlay_areas(image)
    whole = geometry.combined(columns, rows, overlays)
    aspect = image.get("PixelAspectRatio")
    down, across = (float(each) for each in aspect) if aspect else (1.0, 1.0)
    width = box.get("RequestedImageSize")
    return geometry.fit(
        whole,
        (area.width, area.height),
        dpi,
        aspect=(down, across),
        magnify=_inherited(box, film, "MagnificationType") != "NONE",
        requested_width=None if width is None else float(width),
        behaviour=str(box.get("RequestedDecimateCropBehavior") or ""),
        default_behaviour=printer.decimate_crop,
        alone=(columns, rows) if overlays else None,
    )


def overlay_areas(image: Dataset) -> list[Area]:
    """Return where the overlay planes of an image are, in its pixels (PS3.3 C.9.2)."""
    areas = []
    for group in _OVERLAYS:
        tags = [group << 16 | element for element in (0x0010, 0x0011, 0x0050, 0x3000)]
        if not all(tag in image for tag in tags):
            continue
        rows, columns, origin, _ = (image[tag].value for tag in tags)
        top, left = (int(each) for each in origin)
        areas.append(Area(left - 1, top - 1, int(columns), int(rows)))
    return areas


def reference_to(class_uid: str, uid: str) -> Dataset:
    """Return an item that references an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID = class_uid
    item.ReferencedSOPInstanceUID = uid
    return item


class _Given:
    """What a request gives, without what is not supported, and the warnings that there are so far."""

    def __init__(self, values: Dataset) -> None:
        self.values = values
        self.unknown: list[int] = []
        self.replaced: list[int] = []
        self._special = SUCCESS

    def note(self, code: int) -> None:
        """Take note of a warning of the SOP class; the first one is given."""
        self._special = self._special or code

    def over(self, stored: Dataset) -> Dataset:
        """Return a copy of an instance with the given values in place of its own."""
        copy = deepcopy(stored)
        copy.update(self.values)
        return copy

    def of(self, attributes: Dataset, *, without: str = "") -> Dataset:
        """Return the values in force of the attributes that were named."""
        answer = Dataset()
        for tag in [*(element.tag for element in self.values), *self.replaced]:
            if tag in attributes and attributes[tag].keyword != without:
                answer[tag] = attributes[tag]
        return answer

    def answer(self, dataset: Dataset, uid: str = "") -> Answer:
        """Return the answer; an N-CREATE names the instance."""
        status = Dataset()
        status.Status = self._special or (
            OUT_OF_RANGE if self.replaced else ATTRIBUTE_LIST_ERROR if self.unknown else SUCCESS
        )
        if self.unknown:
            status.AttributeIdentifierList = list(self.unknown)
        if uid:
            status.AffectedSOPInstanceUID = uid
        return Answer(status, deepcopy(dataset) if len(dataset) else None)


def _about_support(finding: Finding) -> bool:
    # What the printer makes of values and attributes at the top is decided one by one.
    if len(finding.path) != 1:
        return False
    return finding.kind in (Kind.WRONG_VALUE, Kind.OTHER_TERM, Kind.UNKNOWN, Kind.UNDEFINED)


def _check_action(action: int) -> None:
    if action != PRINT:
        raise Refused(NO_SUCH_ACTION, "The only action is 1, Print")


def _check_pixels(image: Dataset, keyword: str) -> None:
    """Refuse an image whose pixels are not as many as it says (0106H)."""
    rows, columns = int(image.Rows), int(image.Columns)
    size = rows * columns * int(image.SamplesPerPixel) * (int(image.BitsAllocated) // 8)
    have = len(image.PixelData)
    aspect = image.get("PixelAspectRatio")
    ratio_is_wrong = aspect is not None and (len(aspect) != 2 or min(float(each) for each in aspect) <= 0)
    if size and size <= have <= size + 1 and not ratio_is_wrong:
        return
    wrong = Dataset()
    for name in ("Rows", "Columns", "BitsAllocated", "PixelAspectRatio"):
        if name in image:
            wrong[name] = image[name]
    values = Dataset()
    setattr(values, keyword, [wrong])
    raise Refused(INVALID_VALUE, f"{have} bytes of pixels, not {size}", values=values)


def _check_table(lut: Dataset) -> None:
    item = lut.PresentationLUTSequence[0]
    descriptor = [int(each) for each in item.LUTDescriptor]
    data = item.LUTData
    entries = len(data) // 2 if isinstance(data, (bytes, bytearray)) else len(data)
    if (
        len(descriptor) != 3
        or descriptor[0] not in _LUT_ENTRIES
        or descriptor[1] != 0
        or descriptor[2] not in _LUT_BITS
        or entries < descriptor[0]
    ):
        wrong = Dataset()
        wrong.LUTDescriptor = descriptor
        values = Dataset()
        values.PresentationLUTSequence = [wrong]
        raise Refused(INVALID_VALUE, "256 or 4096 entries of 10 to 16 bits, from 0", values=values)


def _has_images(film: FilmBox) -> bool:
    return any(box.image is not None for box in film.images.values())


def _annotation(box: AnnotationBox) -> Dataset:
    item = Dataset()
    item.AnnotationPosition = box.position
    # Decoded here: the whole copy is in one character set.
    item.TextString = str(box.attributes.get("TextString") or "")
    return item


def _referenced(dataset: Dataset, keyword: str) -> str:
    """Return the SOP Instance UID that the first item of a sequence references, empty if none does."""
    items = dataset.get(keyword)
    return str(items[0].get("ReferencedSOPInstanceUID", "")) if items else ""


def _inherited(box: Dataset, film: Dataset | None, keyword: str) -> Any:
    """Return a value of an image box, else that of its film box (H.4.3)."""
    value = box.get(keyword)
    return value if value not in (None, "") or film is None else film.get(keyword)


def _is_number(text: str, least: int, most: int) -> bool:
    return text.isdecimal() and least <= int(text) <= most


def _invalid(element: DataElement, comment: str) -> Refused:
    values = Dataset()
    values[element.tag] = deepcopy(element)
    return Refused(INVALID_VALUE, comment, values=values)
