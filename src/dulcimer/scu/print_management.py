"""A client of printers: Print Management as SCU (PS3.4 Annex H).

::

    association = ae.associate(host, port, contexts=contexts(), ae_title="PRINTER")
    with PrintSession(association, copies=2) as session:
        for job in session.print_images(paths, layout="STANDARD\\\\4,5", film_size="14INX17IN"):
            job.wait(60)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from threading import Condition
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dulcimer import events as evt
from dulcimer.errors import Refused
from dulcimer.identity import UID_PREFIX
from dulcimer.presentation import build_context
from dulcimer.scu.answers import accepted, illegal
from dulcimer.scu.errors import IllegalStep, Refusal, meaning_of
from dulcimer.services import print_management as rules
from dulcimer.services.film import display_format
from dulcimer.services.rules import check

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from dulcimer.association import Association
    from dulcimer.events import Event
    from dulcimer.presentation import PresentationContext

_STATUS_OF_EVENT: Final = {number: status for status, number in rules.JOB_EVENTS.items()}
_PRINTER_STATUS_OF_EVENT: Final = {number: status for status, number in rules.PRINTER_EVENTS.items()}
_FINAL: Final = frozenset({rules.DONE, rules.FAILURE})
_ENDINGS: Final = (evt.EVT_RELEASED, evt.EVT_ABORTED)
_OPTIONAL: Final = (
    rules.ANNOTATION_BOX,
    rules.PRESENTATION_LUT,
    rules.PRINT_JOB,
    rules.PRINTER_CONFIGURATION,
)
_IMAGE_BOX: Final = {
    False: (rules.GRAYSCALE_IMAGE_BOX, "BasicGrayscaleImageSequence"),
    True: (rules.COLOR_IMAGE_BOX, "BasicColorImageSequence"),
}
"""SOP class and sequence of an image box, by whether it is for colour."""
_SHAPES: Final = ("IDENTITY", "LIN OD")


def contexts(*, color: bool | None = None) -> list[PresentationContext]:
    """Return the presentation contexts to propose to a printer.

    Parameters
    ----------
    color
        Whether for colour or for grey images; None for both.
    """
    metas = [
        meta
        for meta, wanted in (
            (rules.GRAYSCALE_META, color is not True),
            (rules.COLOR_META, color is not False),
        )
        if wanted
    ]
    return [build_context(uid) for uid in (*metas, *_OPTIONAL)]


class Warned(NamedTuple):
    """A warning of the printer: what was asked for, the status and what it means."""

    operation: str
    status: int
    meaning: str

    def __str__(self) -> str:
        return f"{self.operation}: {self.status:04X} {self.meaning}"


class PrintJob:
    """A job of the printer.

    Attributes
    ----------
    uid
        Its SOP Instance UID; empty where the printer does not tell of its jobs.
    warnings
        What the printer remarked about its films.
    """

    def __init__(self, uid: str, session: PrintSession) -> None:
        self.uid = uid
        self.warnings: list[Warned] = []
        self._session = session

    @property
    def status(self) -> str:
        """Execution Status as last reported: PENDING, PRINTING, DONE or FAILURE; empty if not reported."""
        return self._session.reported(self.uid)[0]

    @property
    def information(self) -> str:
        """Execution Status Info as last reported."""
        return self._session.reported(self.uid)[1]

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job is DONE or FAILURE.

        False if ``timeout`` seconds have passed before, the association has ended, or nothing is reported.
        """
        return bool(self.uid) and self._session.wait_for(self.uid, timeout)

    def get(self) -> Dataset:
        """Get the attributes of the job (H.4.5.2.2)."""
        if not self.uid:
            raise IllegalStep("the printer does not tell of its jobs: Print Job was not negotiated")
        return self._session.get(rules.PRINT_JOB, self.uid, "get the print job")

    def __repr__(self) -> str:
        return f"<PrintJob {self.uid or '(no UID)'} {self.status or '(not reported)'}>"


class FilmBox:
    """A film box at the printer.

    Attributes
    ----------
    uid
        Its SOP Instance UID.
    images, annotations
        The SOP Instance UIDs of its image and annotation boxes, in the order of their positions.
    attributes
        The Attribute List that the printer answered with.
    """

    def __init__(
        self, uid: str, attributes: Dataset, images: Sequence[tuple[str, str]], annotations: Sequence[str]
    ) -> None:
        self.uid = uid
        self.attributes = attributes
        self.images = tuple(images)
        self.annotations = tuple(annotations)
        self.has_images = False


class PrintSession:
    """A film session at a printer, which is created with the first film.

    Parameters
    ----------
    association
        An established association on which :func:`contexts` were proposed. Its handler of
        ``evt.EVT_N_EVENT_REPORT`` is the session's until :meth:`close`.
    color
        Whether its images are in colour.
    copies, priority, medium, destination, label, owner
        Number of Copies, Print Priority, Medium Type, Film Destination, Film Session Label and Owner ID; the
        printer's choice where they are not given.
    further
        Other attributes of the film session, by keyword.

    Attributes
    ----------
    warnings
        What the printer has remarked so far.

    Raises
    ------
    IllegalStep
        If the meta SOP class was not accepted.
    """

    def __init__(
        self,
        association: Association,
        *,
        color: bool = False,
        copies: int | None = None,
        priority: str = "",
        medium: str = "",
        destination: str = "",
        label: str = "",
        owner: str = "",
        further: Mapping[str, Any] | None = None,
    ) -> None:
        self.association = association
        self.warnings: list[Warned] = []
        self.printer_status = ("", "")
        self._color = color
        self._meta = rules.COLOR_META if color else rules.GRAYSCALE_META
        self._accepted = {context.abstract_syntax for context in association.accepted_contexts}
        if self._meta not in self._accepted:
            raise IllegalStep(f"the printer does not print {'colour' if color else 'grey'} images")
        self._attributes = _with_values(
            {
                "NumberOfCopies": copies,
                "PrintPriority": priority,
                "MediumType": medium,
                "FilmDestination": destination,
                "FilmSessionLabel": label,
                "OwnerID": owner,
                **(further or {}),
            }
        )
        self._uid = ""
        self._films: list[FilmBox] = []
        self._luts: set[str] = set()
        self._reported: dict[str, tuple[str, str]] = {}
        self._news = Condition()
        self._former = association.bound(evt.EVT_N_EVENT_REPORT)
        association.bind(evt.EVT_N_EVENT_REPORT, self._report)
        for ending in _ENDINGS:
            association.bind(ending, self._ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- everything at once ---------------------------------------------------------------------------

    def print_images(
        self,
        images: Iterable[Dataset | str | Path],
        layout: str = "STANDARD\\1,1",
        film_size: str = "",
        orientation: str = "",
        magnification: str = "",
        *,
        bits: int = 8,
        window: tuple[float, float] | None = None,
        smoothing: str = "",
        polarity: str = "",
        decimate_crop: str = "",
        image_size: float | None = None,
        border: str = "",
        empty: str = "",
        min_density: int | None = None,
        max_density: int | None = None,
        trim: bool | None = None,
        resolution: str = "",
        presentation_lut: str = "",
        annotation_format: str = "",
        annotations: Sequence[str] = (),
        together: bool = False,
    ) -> list[PrintJob]:
        """Print images, on as many films as they need.

        Parameters
        ----------
        images
            Instances with pixels or Part 10 files of them; every frame is an image.
        layout
            Image Display Format: ``STANDARD\\C,R``, ``ROW\\R1,R2…``, ``COL\\C1,C2…`` and what else the
            printer has.
        film_size, orientation, magnification, smoothing, resolution
            Film Size ID, Film Orientation, Magnification Type, Smoothing Type, Requested Resolution ID.
        bits
            8 or 12 for grey images.
        window
            Window Center and Window Width in place of the instances' own.
        polarity, decimate_crop
            Polarity, Requested Decimate/Crop Behavior.
        image_size
            Requested Image Size: the width of an image in mm.
        border, empty
            Border Density, Empty Image Density: ``BLACK``, ``WHITE`` or hundredths of OD.
        min_density, max_density
            In hundredths of OD.
        trim
            Whether there is a line around each image.
        presentation_lut
            ``IDENTITY`` or ``LIN OD``.
        annotation_format, annotations
            Annotation Display Format ID, and the texts for the annotation boxes that it stands for.
        together
            Whether the films are one job: printed as a film session, not one by one.

        Returns
        -------
        list of PrintJob
            A job for each film, or one for all of them.

        Raises
        ------
        IllegalStep
            For a value that cannot be; nothing was sent.
        dulcimer.printing.preparing.NotPrintable
            For an image that cannot be decoded.
        Refusal
            If the printer refuses a step.
        dulcimer.errors.AssociationError
            If the association ends.
        """
        from dulcimer.printing.preparing import images as prepared

        _check_layout(layout)
        if bits not in (8, 12):
            raise IllegalStep(f"grey images for printing have 8 or 12 bits, not {bits}")
        if presentation_lut and presentation_lut not in _SHAPES:
            raise IllegalStep(f"Presentation LUT Shape is IDENTITY or LIN OD, not {presentation_lut}")
        items = iter(prepared(images, color=self._color, bits=12 if bits == 12 else 8, window=window))
        # The first one before anything is sent: it may be the one that cannot be decoded.
        first = next(items, None)
        if first is None:
            return []
        items = chain([first], items)
        settings = _with_values(
            {
                "FilmSizeID": film_size,
                "FilmOrientation": orientation,
                "MagnificationType": magnification,
                "SmoothingType": smoothing,
                "BorderDensity": border,
                "EmptyImageDensity": empty,
                "MinDensity": min_density,
                "MaxDensity": max_density,
                "Trim": None if trim is None else "YES" if trim else "NO",
                "RequestedResolutionID": resolution,
            }
        )
        of_image = _with_values(
            {
                "Polarity": polarity,
                "RequestedDecimateCropBehavior": decimate_crop,
                "RequestedImageSize": image_size,
            }
        )
        self._check_settings(layout, settings, of_image, first)
        lut = self.create_lut(presentation_lut) if presentation_lut else ""
        jobs: list[PrintJob] = []
        while (image := next(items, None)) is not None:
            film = self.create_film_box(
                layout,
                annotation_format=annotation_format,
                lut=lut,
                further={element.keyword: element.value for element in settings},
            )
            images_of_film = chain([image], items)
            for position, item in enumerate(islice(images_of_film, len(film.images)), 1):
                self.set_image(position, item, {each.keyword: each.value for each in of_image})
            for position, text in enumerate(annotations[: len(film.annotations)], 1):
                self.annotate(position, text)
            if not together:
                jobs.append(self.print_film_box())
                self._try(self.delete_film_box)
        if together:
            jobs.append(self.print_session())
        return jobs

    def _check_settings(self, layout: str, film: Dataset, box: Dataset, image: Dataset) -> None:
        """Look whether all that print_images is going to send is legal, as far as it is known already."""
        draft = Dataset()
        draft.update(film)
        draft.ImageDisplayFormat = layout
        draft.ReferencedFilmSessionSequence = [rules.reference_to(rules.FILM_SESSION, _new_uid())]
        self._legal("N-CREATE", rules.FILM_BOX, draft)
        draft = Dataset()
        draft.update(box)
        draft.ImageBoxPosition = 1
        class_uid, keyword = _IMAGE_BOX[self._color]
        setattr(draft, keyword, [image])
        self._legal("N-SET", class_uid, draft)

    # ---- step by step ---------------------------------------------------------------------------------

    @property
    def film(self) -> FilmBox | None:
        """The film box that can be set, printed and deleted: the last one."""
        return self._films[-1] if self._films else None

    def create_session(self) -> None:
        """Create the film session (H.4.1.2.1).

        Raises
        ------
        IllegalStep
            If there is one.
        Refusal, dulcimer.errors.AssociationError
            If it was not created.
        """
        if self._uid:
            raise IllegalStep("an association has one film session at a time")
        self._legal("N-CREATE", rules.FILM_SESSION, self._attributes)
        self._uid, _ = self._create(self._attributes, rules.FILM_SESSION, "create the film session")

    def create_film_box(
        self,
        layout: str = "STANDARD\\1,1",
        *,
        annotation_format: str = "",
        lut: str = "",
        further: Mapping[str, Any] | None = None,
    ) -> FilmBox:
        """Create a film box, which is then the one that can be set and printed (H.4.2.2.1).

        Parameters
        ----------
        layout
            Image Display Format.
        annotation_format
            Annotation Display Format ID.
        lut
            The UID of a Presentation LUT, from :meth:`create_lut`.
        further
            Other attributes, by keyword.

        Raises
        ------
        IllegalStep, Refusal, dulcimer.errors.AssociationError
            As for the other steps.
        """
        _check_layout(layout)
        if annotation_format and rules.ANNOTATION_BOX not in self._accepted:
            raise IllegalStep("the printer has no annotations: Basic Annotation Box was not accepted")
        if lut and lut not in self._luts:
            raise IllegalStep("there is no such Presentation LUT")
        attributes = _with_values({"ImageDisplayFormat": layout, **(further or {})})
        if annotation_format:
            attributes.AnnotationDisplayFormatID = annotation_format
        if lut:
            attributes.ReferencedPresentationLUTSequence = [rules.reference_to(rules.PRESENTATION_LUT, lut)]
        # What it refers to is there by then.
        attributes.ReferencedFilmSessionSequence = [
            rules.reference_to(rules.FILM_SESSION, self._uid or _new_uid())
        ]
        self._legal("N-CREATE", rules.FILM_BOX, attributes)
        if not self._uid:
            self.create_session()
            attributes.ReferencedFilmSessionSequence = [rules.reference_to(rules.FILM_SESSION, self._uid)]
        uid, created = self._create(attributes, rules.FILM_BOX, "create a film box")
        references = created.get("ReferencedImageBoxSequence") or []
        film = FilmBox(
            uid,
            created,
            [(str(each.ReferencedSOPClassUID), str(each.ReferencedSOPInstanceUID)) for each in references],
            [
                str(each.ReferencedSOPInstanceUID)
                for each in created.get("ReferencedBasicAnnotationBoxSequence") or []
            ],
        )
        self._films.append(film)
        return film

    def set_film_box(self, attributes: Mapping[str, Any]) -> Dataset:
        """Set attributes of the last film box, by keyword; return the values in force (H.4.2.2.2)."""
        film = self._last()
        dataset = _with_values(attributes)
        self._legal("N-SET", rules.FILM_BOX, dataset, whole=True)
        return self._set(dataset, rules.FILM_BOX, film.uid, "set the film box", self._meta)

    def set_image(
        self, position: int, image: Dataset | None, attributes: Mapping[str, Any] | None = None
    ) -> Dataset:
        """Put an image into a box of the last film box, or take it out (H.4.3).

        Parameters
        ----------
        position
            Image Box Position, from 1.
        image
            An item of Basic Grayscale or Basic Color Image Sequence, as
            :func:`dulcimer.printing.preparing.images` makes it; None erases the picture.
        attributes
            Other attributes of the image box, by keyword.
        """
        film = self._last()
        if not 1 <= position <= len(film.images):
            raise IllegalStep(f"the film has {len(film.images)} image boxes, and no position {position}")
        class_uid, uid = film.images[position - 1]
        dataset = _with_values({"ImageBoxPosition": position, **(attributes or {})})
        _, keyword = _IMAGE_BOX[class_uid == rules.COLOR_IMAGE_BOX]
        setattr(dataset, keyword, [] if image is None else [image])
        self._legal("N-SET", class_uid, dataset)
        answer = self._set(dataset, class_uid, uid, f"set image {position}", self._meta)
        film.has_images = film.has_images or image is not None
        return answer

    def annotate(self, position: int, text: str) -> Dataset:
        """Write into an annotation box of the last film box; an empty text erases (H.4.4)."""
        film = self._last()
        if not 1 <= position <= len(film.annotations):
            raise IllegalStep(f"the film has {len(film.annotations)} annotation boxes, no {position}")
        dataset = Dataset()
        if not text.isascii():
            dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.AnnotationPosition = position
        dataset.TextString = text
        uid = film.annotations[position - 1]
        return self._set(
            dataset, rules.ANNOTATION_BOX, uid, f"set annotation {position}", rules.ANNOTATION_BOX
        )

    def create_lut(self, shape: str = "", table: Dataset | None = None) -> str:
        """Create a Presentation LUT and return its UID (H.4.9).

        Parameters
        ----------
        shape
            ``IDENTITY`` or ``LIN OD``.
        table
            An item of Presentation LUT Sequence, in place of a shape.
        """
        if rules.PRESENTATION_LUT not in self._accepted:
            raise IllegalStep("the printer has no Presentation LUTs: the SOP class was not accepted")
        if bool(shape) == (table is not None):
            raise IllegalStep("a Presentation LUT has either a shape or a table")
        if shape and shape not in _SHAPES:
            raise IllegalStep(f"Presentation LUT Shape is IDENTITY or LIN OD, not {shape}")
        lut = Dataset()
        if table is not None:
            lut.PresentationLUTSequence = [table]
        else:
            lut.PresentationLUTShape = shape
        uid, _ = self._create(
            lut, rules.PRESENTATION_LUT, "create a Presentation LUT", rules.PRESENTATION_LUT
        )
        self._luts.add(uid)
        return uid

    def delete_lut(self, uid: str) -> None:
        """Delete a Presentation LUT that nothing references any more."""
        if uid not in self._luts:
            raise IllegalStep("there is no such Presentation LUT")
        self._delete(rules.PRESENTATION_LUT, uid, "delete the Presentation LUT", rules.PRESENTATION_LUT)
        self._luts.discard(uid)

    def print_film_box(self) -> PrintJob:
        """Print the last film box (H.4.2.2.3)."""
        film = self._last()
        return self._print(rules.FILM_BOX, film.uid, "print the film box")

    def print_session(self) -> PrintJob:
        """Print all film boxes of the session as one job (H.4.1.2.4)."""
        if not self._films:
            raise IllegalStep("the film session has no film box")
        return self._print(rules.FILM_SESSION, self._uid, "print the film session")

    def delete_film_box(self) -> None:
        """Delete the last film box (H.4.2.2.4)."""
        film = self._last()
        self._delete(rules.FILM_BOX, film.uid, "delete the film box", self._meta)
        self._films.pop()

    def delete_session(self) -> None:
        """Delete the film session with its film boxes (H.4.1.2.3)."""
        if not self._uid:
            raise IllegalStep("there is no film session")
        self._delete(rules.FILM_SESSION, self._uid, "delete the film session", self._meta)
        self._uid, self._films = "", []

    def printer(self) -> Dataset:
        """Get the attributes of the printer (H.4.6.2.2)."""
        meta = rules.PRINTER if rules.PRINTER in self._accepted else self._meta
        return self.get(rules.PRINTER, rules.PRINTER_INSTANCE, "get the printer", meta)

    def configuration(self) -> Dataset:
        """Get the configuration of the printer (H.4.11)."""
        if rules.PRINTER_CONFIGURATION not in self._accepted:
            raise IllegalStep("the printer does not tell its configuration: the SOP class was not accepted")
        return self.get(
            rules.PRINTER_CONFIGURATION, rules.PRINTER_CONFIGURATION_INSTANCE, "get the configuration"
        )

    def close(self) -> None:
        """Delete the film session if there is one; the association stays. Jobs go on."""
        if self.association.is_established and self._uid:
            self._try(self.delete_session)
        self._uid, self._films = "", []
        if self._awaited and self.association.is_established:
            # Somebody may still wait for a job.
            return
        self.association.unbind(evt.EVT_N_EVENT_REPORT, self._report)
        if self._former is not None:
            self.association.bind(evt.EVT_N_EVENT_REPORT, *self._former)
        for ending in _ENDINGS:
            self.association.unbind(ending, self._ended)

    # ---- for the jobs ---------------------------------------------------------------------------------

    def reported(self, uid: str) -> tuple[str, str]:
        """Return Execution Status and Execution Status Info of a job as last reported."""
        with self._news:
            return self._reported.get(uid, ("", ""))

    def wait_for(self, uid: str, timeout: float | None = None) -> bool:
        """Wait until a job is reported as DONE or FAILURE, or the association has ended."""
        deadline = None if timeout is None else monotonic() + timeout
        with self._news:
            while self._reported.get(uid, ("", ""))[0] not in _FINAL:
                left = None if deadline is None else deadline - monotonic()
                if not self.association.is_established or (left is not None and left <= 0):
                    return False
                self._news.wait(left)
            return True

    def get(self, class_uid: str, uid: str, operation: str, meta: str | None = None) -> Dataset:
        """Get all attributes of an instance of the printer."""
        status, found = self.association.send_n_get([], class_uid, uid, meta_uid=meta)
        self._judge(class_uid, operation, status, found)
        return found or Dataset()

    # ---- requests and answers -------------------------------------------------------------------------

    @property
    def _awaited(self) -> bool:
        with self._news:
            return any(status not in _FINAL for status, _ in self._reported.values())

    def _create(
        self, dataset: Dataset, class_uid: str, operation: str, context: str = ""
    ) -> tuple[str, Dataset]:
        uid = _new_uid()
        status, created = self.association.send_n_create(
            dataset if len(dataset) else None, class_uid, uid, meta_uid=context or self._meta
        )
        self._judge(class_uid, operation, status, created)
        return uid, created or Dataset()

    def _set(self, dataset: Dataset, class_uid: str, uid: str, operation: str, context: str) -> Dataset:
        status, values = self.association.send_n_set(dataset, class_uid, uid, meta_uid=context)
        self._judge(class_uid, operation, status, values)
        return values or Dataset()

    def _delete(self, class_uid: str, uid: str, operation: str, context: str) -> None:
        status = self.association.send_n_delete(class_uid, uid, meta_uid=context)
        self._judge(class_uid, operation, status, None)

    def _print(self, class_uid: str, uid: str, operation: str) -> PrintJob:
        before = len(self.warnings)
        status, reply = self.association.send_n_action(None, rules.PRINT, class_uid, uid, meta_uid=self._meta)
        self._judge(class_uid, operation, status, reply)
        references = (reply or Dataset()).get("ReferencedPrintJobSequence") or []
        job_uid = str(references[0].ReferencedSOPInstanceUID) if references else ""
        if job_uid:
            with self._news:
                self._reported.setdefault(job_uid, ("", ""))
        job = PrintJob(job_uid, self)
        job.warnings = self.warnings[before:]
        return job

    def _judge(self, class_uid: str, operation: str, status: Dataset, values: Dataset | None) -> None:
        code = accepted(self.association, class_uid, operation, status, values)
        if code:
            self.warnings.append(Warned(operation, code, meaning_of(class_uid, code)))

    def _try(self, step: Any) -> None:
        """Take a step that a printer need not support."""
        with suppress(Refusal):
            step()

    def _last(self) -> FilmBox:
        if not self._films:
            raise IllegalStep("there is no film box")
        return self._films[-1]

    @staticmethod
    def _legal(operation: str, class_uid: str, dataset: Dataset, *, whole: bool = False) -> None:
        """Refuse what the table of the operation does not allow."""
        try:
            check(operation, class_uid, dataset, level="strict" if whole else "standard").enforce(dataset)
        except Refused as refused:
            raise illegal(refused) from None

    def _ended(self, event: Event) -> None:
        with self._news:
            self._news.notify_all()

    def _report(self, event: Event) -> tuple[int, None]:
        """Take an N-EVENT-REPORT of a job or of the printer."""
        number = event.event_type or 0
        information = event.event_information
        uid = str(event.request.AffectedSOPInstanceUID)
        with self._news:
            if str(event.request.AffectedSOPClassUID) == rules.PRINT_JOB:
                if number in _STATUS_OF_EVENT:
                    self._reported[uid] = (
                        _STATUS_OF_EVENT[number],
                        str(information.get("ExecutionStatusInfo") or ""),
                    )
            elif number in _PRINTER_STATUS_OF_EVENT:
                self.printer_status = (
                    _PRINTER_STATUS_OF_EVENT[number],
                    str(information.get("PrinterStatusInfo") or ""),
                )
            self._news.notify_all()
        return 0x0000, None


def _with_values(values: Mapping[str, Any]) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        if value is None or (isinstance(value, str) and not value):
            continue
        setattr(dataset, keyword, value)
    if not all(str(element.value).isascii() for element in dataset if element.VR != "SQ"):
        dataset.SpecificCharacterSet = "ISO_IR 192"
    return dataset


def _check_layout(layout: str) -> None:
    try:
        display_format(layout)
    except ValueError as error:
        raise IllegalStep(
            f"{error}; there are STANDARD\\C,R, ROW\\R1,R2…, COL\\C1,C2…, SLIDE, SUPERSLIDE and CUSTOM\\i"
        ) from None


def _new_uid() -> str:
    return str(generate_uid(prefix=UID_PREFIX))
