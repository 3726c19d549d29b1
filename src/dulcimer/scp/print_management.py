"""A ready printer: Print Management as SCP (PS3.4 Annex H).

What an association creates is in memory and goes with it; what it has printed is a job. A job is in the spool
before the peer is answered, so one that was acknowledged is printed, after a restart if need be. One thread
prints, by Print Priority and then in the order of the requests.

Where the Standard is silent
----------------------------
- Events go to the association on which the job was made (H.4.5), and not before the request that caused them
  has been answered. Those of the printer go to every association that has negotiated Printer or one of the
  meta SOP classes and has requested something.
- N-GET of an attribute that is not supported: warning 0107H with the tags.
- A job of another association does not exist for a peer: 0112H. A job that is DONE or FAILURE stops existing
  when its event has been answered, or could not be; for the operator it stays in the repository.
- Number of Copies is kept with the job and printed by whoever prints on paper or film; a picture is one file.
"""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dulcimer.data import codec
from dulcimer.errors import Refused
from dulcimer.identity import UID_PREFIX
from dulcimer.scp.repository import MemoryRepository, Repository
from dulcimer.scp.service import Service
from dulcimer.services import print_management as rules
from dulcimer.services.print_management import Hierarchy, Job
from dulcimer.services.printer import Printer

if TYPE_CHECKING:
    from dulcimer.association import Association
    from dulcimer.events import Event
    from dulcimer.services.rules import Level

_LOGGER = logging.getLogger("dulcimer.scp.print")

PrintFilm = Callable[[str, Dataset], None]
"""Prints a film: it is given a name, which is the job's UID and the number of the film, and an item of Film
Box Content Sequence. :class:`dulcimer.printing.folder.FilmFolder` is one."""

_NO_SUCH_INSTANCE: Final = 0x0112
_ATTRIBUTE_LIST_ERROR: Final = 0x0107
_METAS: Final = (rules.GRAYSCALE_META, rules.COLOR_META)
_IMAGE_BOXES: Final = (rules.GRAYSCALE_IMAGE_BOX, rules.COLOR_IMAGE_BOX)
_STORED: Final = codec.encoding_of(codec.EXPLICIT_VR_LITTLE_ENDIAN)
_FINAL: Final = frozenset({rules.DONE, rules.FAILURE})
_BIG_ENDIAN: Final = codec.EXPLICIT_VR_BIG_ENDIAN


class Spool(Protocol):
    """Keeps what jobs are to print until it is printed."""

    def put(self, uid: str, content: Dataset) -> None:
        """Keep the content of a job; it is safe when this returns."""

    def get(self, uid: str) -> Dataset | None:
        """Return the content of a job, None if there is none."""

    def remove(self, uid: str) -> None:
        """Forget the content of a job; if there is none nothing happens."""

    def uids(self) -> list[str]:
        """List the jobs that there is something of."""


class MemorySpool:
    """A spool in memory: jobs are lost with the program."""

    def __init__(self) -> None:
        self._kept: dict[str, Dataset] = {}

    def put(self, uid: str, content: Dataset) -> None:
        self._kept[uid] = content

    def get(self, uid: str) -> Dataset | None:
        return self._kept.get(uid)

    def remove(self, uid: str) -> None:
        self._kept.pop(uid, None)

    def uids(self) -> list[str]:
        return list(self._kept)


class FolderSpool:
    """A spool in a folder: a file for each job.

    Parameters
    ----------
    folder
        The folder; it is made if it is not there.
    flush
        Whether files and folder are flushed to the disk.
    """

    _SUFFIX: Final = ".job"

    def __init__(self, folder: str | os.PathLike[str], *, flush: bool = True) -> None:
        self._folder = Path(folder)
        self._flush = flush
        self._folder.mkdir(parents=True, exist_ok=True)
        for half in self._folder.glob("*.part"):
            half.unlink(missing_ok=True)

    def put(self, uid: str, content: Dataset) -> None:
        path = self._path(uid)
        temporary = path.with_suffix(".part")
        try:
            with temporary.open("wb") as file:
                file.write(codec.encode(content, _STORED))
                if self._flush:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        self._flush_folder()

    def get(self, uid: str) -> Dataset | None:
        from io import BytesIO

        try:
            data = self._path(uid).read_bytes()
        except FileNotFoundError:
            return None
        return codec.decode(BytesIO(data), _STORED)

    def remove(self, uid: str) -> None:
        self._path(uid).unlink(missing_ok=True)

    def uids(self) -> list[str]:
        return sorted(path.name.removesuffix(self._SUFFIX) for path in self._folder.glob(f"*{self._SUFFIX}"))

    def _path(self, uid: str) -> Path:
        return self._folder / f"{uid}{self._SUFFIX}"

    def _flush_folder(self) -> None:
        if not self._flush:
            return
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class PrintService(Service):
    """The SCP of Print Management.

    Both meta SOP classes, Basic Annotation Box, Presentation LUT, Print Job, Printer and Printer
    Configuration Retrieval.

    Parameters
    ----------
    print_film
        Prints a film; called by the service's thread.
    printer
        The printer's characteristics and limits.
    jobs
        Keeps the jobs: the attributes of Print Job, and a summary of the films for the operator; in memory by
        default.
    spool
        Keeps what they are to print; in memory by default.
    level
        How much of the rules is insisted on.

    Notes
    -----
    Hooks (:meth:`~dulcimer.scp.service.Service.on`): ``"job"`` with the UID and the attributes of a job, when
    it was made and whenever its Execution Status has changed; ``"printer"`` with status and information when
    the printer's have.
    """

    contexts: ClassVar[tuple[str, ...]] = (
        *_METAS,
        rules.ANNOTATION_BOX,
        rules.PRESENTATION_LUT,
        rules.PRINT_JOB,
        rules.PRINTER,
        rules.PRINTER_CONFIGURATION,
    )
    sop_classes: ClassVar[frozenset[str]] = frozenset(
        {
            rules.FILM_SESSION,
            rules.FILM_BOX,
            *_IMAGE_BOXES,
            rules.ANNOTATION_BOX,
            rules.PRESENTATION_LUT,
            rules.PRINT_JOB,
            rules.PRINTER,
            rules.PRINTER_CONFIGURATION,
        }
    )
    reports: ClassVar[bool] = True
    noun: ClassVar[str] = "print object"

    def __init__(
        self,
        print_film: PrintFilm,
        printer: Printer | None = None,
        jobs: Repository | None = None,
        spool: Spool | None = None,
        *,
        level: Level = "standard",
    ) -> None:
        super().__init__()
        self.printer = printer or Printer()
        self.jobs: Repository = MemoryRepository() if jobs is None else jobs
        self._print_film = print_film
        self._spool: Spool = MemorySpool() if spool is None else spool
        self._level: Level = level
        self._sessions: dict[Association, _Session] = {}
        self._status = ("NORMAL", "NORMAL")
        self._lock = Lock()
        self._wake = Condition(self._lock)
        self._waiting: list[tuple[int, int, str]] = []
        self._count = 0
        self._closing = False
        self._resume()
        self._worker = Thread(target=self._work, name="printer", daemon=True)
        self._worker.start()

    # ---- operations -----------------------------------------------------------------------------------

    def n_create(self, event: Event) -> tuple[Dataset, Dataset | None]:
        """Create a film session, a film box or a Presentation LUT."""
        hierarchy = self._session(event).hierarchy
        uid = str(event.request.AffectedSOPInstanceUID or "")
        attributes = _native(event)
        match _class_of(event):
            case rules.FILM_SESSION:
                with self._lock:
                    return hierarchy.create_session(attributes, uid)
            case rules.FILM_BOX:
                meta = str(event.context.abstract_syntax)
                return hierarchy.create_film_box(
                    attributes,
                    uid,
                    color=meta == rules.COLOR_META,
                    annotations=_carries(event.assoc, rules.ANNOTATION_BOX),
                )
            case rules.PRESENTATION_LUT:
                return hierarchy.create_lut(attributes, uid)
        raise _no_such_operation()

    def n_set(self, event: Event) -> tuple[Dataset, Dataset | None]:
        """Set a film session, a film box, an image box or an annotation box."""
        hierarchy = self._session(event).hierarchy
        uid = str(event.request.RequestedSOPInstanceUID)
        class_uid = _class_of(event)
        modifications = _native(event)
        if class_uid in _IMAGE_BOXES:
            with self._lock:
                return hierarchy.set_image_box(class_uid, uid, modifications)
        match class_uid:
            case rules.FILM_SESSION:
                with self._lock:
                    return hierarchy.set_session(uid, modifications)
            case rules.FILM_BOX:
                return hierarchy.set_film_box(uid, modifications)
            case rules.ANNOTATION_BOX:
                return hierarchy.set_annotation_box(uid, modifications)
        raise _no_such_operation()

    def n_action(self, event: Event) -> tuple[int, Dataset | None]:
        """Print a film session or a film box."""
        session = self._session(event)
        uid = str(event.request.RequestedSOPInstanceUID)
        action = int(event.action_type or 0)
        with self._lock:
            full = len(self._waiting) >= self.printer.queue_length
        match _class_of(event):
            case rules.FILM_SESSION:
                job = session.hierarchy.print_session(uid, action, queue_is_full=full)
            case rules.FILM_BOX:
                job = session.hierarchy.print_film_box(uid, action, queue_is_full=full)
            case _:
                raise _no_such_operation()
        job_uid = self._queue(job, session, event.assoc)
        session.hierarchy.mark_printed(job)
        reply = None
        if session.has_jobs:
            reply = Dataset()
            reply.ReferencedPrintJobSequence = [rules.reference_to(rules.PRINT_JOB, job_uid)]
        return job.code, reply

    def n_delete(self, event: Event) -> int:
        """Delete a film session, a film box or a Presentation LUT."""
        hierarchy = self._session(event).hierarchy
        uid = str(event.request.RequestedSOPInstanceUID)
        match _class_of(event):
            case rules.FILM_SESSION:
                hierarchy.delete_session(uid)
            case rules.FILM_BOX:
                hierarchy.delete_film_box(uid)
            case rules.PRESENTATION_LUT:
                hierarchy.delete_lut(uid)
            case _:
                raise _no_such_operation()
        return rules.SUCCESS

    def n_get(self, event: Event) -> tuple[Dataset, Dataset]:
        """Get attributes of the printer, its configuration, or a job of this association."""
        uid = str(event.request.RequestedSOPInstanceUID)
        session = self._session(event)
        match _class_of(event):
            case rules.PRINTER:
                _expect(uid, rules.PRINTER_INSTANCE)
                found = self.printer.attributes(*self._status)
            case rules.PRINTER_CONFIGURATION:
                _expect(uid, rules.PRINTER_CONFIGURATION_INSTANCE)
                found = self.printer.configuration(self.contexts)
            case rules.PRINT_JOB:
                job = self.jobs.get(uid) if uid in session.jobs else None
                if job is None:
                    raise Refused(_NO_SUCH_INSTANCE, "There is no such print job")
                found = _for_peers(job)
            case _:
                raise _no_such_operation()
        return _chosen(found, event.attribute_identifiers)

    def association_ended(self, association: Association) -> None:
        """Forget what an association has created; its jobs are printed all the same (H.2.4)."""
        with self._lock:
            session = self._sessions.pop(association, None)
        if session is not None:
            session.close()

    # ---- for the operator -----------------------------------------------------------------------------

    @property
    def status(self) -> tuple[str, str]:
        """Printer Status and Printer Status Info."""
        return self._status

    def set_status(self, status: str, information: str = "NORMAL") -> None:
        """Change the printer's status and report it to the peers (H.4.6.2).

        Parameters
        ----------
        status
            ``"NORMAL"``, ``"WARNING"`` or ``"FAILURE"``.
        information
            A term of PS3.3 C.13.9.1 that says why.
        """
        number = rules.PRINTER_EVENTS[status]
        with self._lock:
            if (status, information) == self._status:
                return
            self._status = (status, information)
            sessions = list(self._sessions.values())
        report = None
        if status != "NORMAL":
            report = Dataset()
            report.PrinterStatusInfo = information
            report.PrinterName = self.printer.name
        for session in sessions:
            session.report_printer(number, report)
        self.tell("printer", status, information)

    def wait_until_printed(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits to be printed; False if it took longer than ``timeout`` seconds."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._waiting, timeout)

    def close(self) -> None:
        """End the threads. The film that is being printed is finished; what waits stays in the spool."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
            sessions = list(self._sessions.values())
            self._sessions.clear()
        self._worker.join()
        for session in sessions:
            session.close()

    # ---- jobs -----------------------------------------------------------------------------------------

    def _session(self, event: Event) -> _Session:
        association = event.assoc
        with self._lock:
            session = self._sessions.get(association)
            if session is None:
                hierarchy = Hierarchy(
                    self.printer, self._level, free_memory=self._free_memory, new_uid=_new_uid
                )
                session = self._sessions[association] = _Session(association, hierarchy)
            return session

    def _free_memory(self) -> int:
        """How many bytes no association has; called with the lock held where several may ask at once."""
        return self.printer.memory - sum(each.hierarchy.memory for each in list(self._sessions.values()))

    def _queue(self, job: Job, session: _Session, association: Association) -> str:
        """Make a job: first what it prints, then the job itself, and only then somebody knows of it."""
        uid = _new_uid()
        now = datetime.now()
        attributes = Dataset()
        attributes.ExecutionStatus = rules.PENDING
        attributes.ExecutionStatusInfo = "QUEUED"
        attributes.CreationDate = now.strftime("%Y%m%d")
        attributes.CreationTime = now.strftime("%H%M%S.%f")
        attributes.PrintPriority = str(job.content.PrintPriority)
        attributes.PrinterName = self.printer.name
        attributes.Originator = str(association.remote["ae_title"])
        summary = _summary(job.content)
        attributes.update(summary)
        try:
            self._spool.put(uid, job.content)
        except OSError as error:
            _LOGGER.error("The job cannot be kept: %s", error.strerror or error)
            raise Refused(0x0213, f"The job cannot be kept: {error.strerror}") from error
        try:
            with self.jobs.transaction() as transaction:
                transaction.put(uid, attributes)
        except BaseException:
            self._spool.remove(uid)
            raise
        session.follow(uid)
        session.report_job(uid, attributes)
        self.tell("job", uid, attributes)
        # Last: what follows is the other thread's to tell.
        self._append(uid, str(job.content.PrintPriority))
        return uid

    def _append(self, uid: str, priority: str) -> None:
        rank = rules.PRIORITIES.index(priority) if priority in rules.PRIORITIES else 1
        with self._wake:
            self._count += 1
            self._waiting.append((rank, self._count, uid))
            self._wake.notify_all()

    def _resume(self) -> None:
        """Take up the jobs that an earlier run has left, and forget contents that no job needs."""
        left = set()
        for uid, job in self.jobs.all():
            if str(job.ExecutionStatus) not in _FINAL:
                left.add(uid)
                rank = rules.PRIORITIES.index(str(job.PrintPriority))
                self._count += 1
                self._waiting.append((rank, self._count, uid))
        for uid in self._spool.uids():
            if uid not in left:
                self._spool.remove(uid)

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: bool(self._waiting) or self._closing)
                if self._closing:
                    return
                entry = min(self._waiting)
            try:
                self._print(entry[2])
            except Exception:  # the thread must outlive whatever a repository or a spool raises
                _LOGGER.exception("The print job %s cannot be printed", entry[2])
            finally:
                with self._wake:
                    self._waiting.remove(entry)
                    self._wake.notify_all()

    def _print(self, uid: str) -> None:
        self._change(uid, rules.PRINTING, "NORMAL")
        try:
            content = self._spool.get(uid)
            if content is None:
                raise ValueError("nothing is left of what it was to print")
            for number, film in enumerate(content.FilmBoxContentSequence, 1):
                self._print_film(f"{uid}-{number}", film)
        except OSError as error:
            _LOGGER.error("The print job %s: %s", uid, error.strerror or error)
            self._change(uid, rules.FAILURE, "CHECK PRINTER")
            self.set_status("FAILURE", "RECEIVER FULL")
        except MemoryError:
            _LOGGER.error("The print job %s: not enough memory", uid)
            self._change(uid, rules.FAILURE, "INSUFFIC MEMORY")
        except Exception as error:
            _LOGGER.error("The print job %s: %s", uid, error, exc_info=not isinstance(error, ValueError))
            self._change(uid, rules.FAILURE, "INVALID PAGE DES")
        else:
            self._change(uid, rules.DONE, "NORMAL")
            self.set_status("NORMAL")
        self._spool.remove(uid)

    def _change(self, uid: str, status: str, information: str) -> None:
        with self.jobs.transaction() as transaction:
            job = transaction.get(uid)
            if job is None:
                return
            job.ExecutionStatus = status
            job.ExecutionStatusInfo = information
            transaction.put(uid, job)
        with self._lock:
            sessions = list(self._sessions.values())
        for session in sessions:
            session.report_job(uid, job)
        self.tell("job", uid, job)


class _Session:
    """What the service knows of an association: what it has created, its jobs, and events on their way."""

    def __init__(self, association: Association, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self.jobs: set[str] = set()
        self.has_jobs = _carries(association, rules.PRINT_JOB)
        self._association = association
        self._printer_context = next(
            (each for each in (rules.PRINTER, *_METAS) if _carries(association, each)), ""
        )
        self._events: list[tuple[str, str, str, int, Dataset | None]] = []
        self._wake = Condition()
        self._held = False
        self._closed = False
        self._thread: Thread | None = None

    def follow(self, uid: str) -> None:
        """Have events of a job reported; called while the request for it is handled."""
        if not self.has_jobs:
            return
        self.jobs.add(uid)
        with self._wake:
            self._held = True

        def answered() -> None:
            with self._wake:
                self._held = False
                self._wake.notify_all()

        self._association.when_answered(answered)

    def report_job(self, uid: str, job: Dataset) -> None:
        """Report the status of a job if it is one of ours."""
        if uid not in self.jobs:
            return
        report = Dataset()
        report.ExecutionStatusInfo = str(job.ExecutionStatusInfo)
        report.PrinterName = str(job.PrinterName)
        if job.get("FilmSessionLabel"):
            report.SpecificCharacterSet = "ISO_IR 192"
            report.FilmSessionLabel = str(job.FilmSessionLabel)
        status = str(job.ExecutionStatus)
        self._add((rules.PRINT_JOB, rules.PRINT_JOB, uid, rules.JOB_EVENTS[status], report))

    def report_printer(self, number: int, report: Dataset | None) -> None:
        """Report the status of the printer if the peer has negotiated it."""
        if self._printer_context:
            self._add((self._printer_context, rules.PRINTER, rules.PRINTER_INSTANCE, number, report))

    def close(self) -> None:
        """End the thread, which may be waiting for an answer that will not come."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    def _add(self, event: tuple[str, str, str, int, Dataset | None]) -> None:
        with self._wake:
            if self._closed:
                return
            self._events.append(event)
            if self._thread is None:
                self._thread = Thread(target=self._send, name="print-events", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def _send(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or (bool(self._events) and not self._held))
                if self._closed:
                    return
                context, class_uid, uid, number, report = self._events.pop(0)
            try:
                self._association.send_n_event_report(report, number, class_uid, uid, meta_uid=context)
            except (RuntimeError, ValueError) as error:
                _LOGGER.debug("Event %d of %s was not reported: %s", number, uid, error)
            if class_uid == rules.PRINT_JOB and number in (
                rules.JOB_EVENTS[rules.DONE],
                rules.JOB_EVENTS[rules.FAILURE],
            ):
                self.jobs.discard(uid)


def films_of(job: Dataset) -> Iterator[Dataset]:
    """Go through the settings of the films of a job, as its repository has them."""
    yield from job.get("FilmBoxContentSequence") or []


def _summary(content: Dataset) -> Dataset:
    """Return what an operator may want to know of the films: all but pixels and tables."""
    summary = Dataset()
    summary.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("NumberOfCopies", "MediumType", "FilmDestination", "FilmSessionLabel", "OwnerID"):
        if keyword in content:
            summary[keyword] = content[keyword]
    films = []
    for film in content.FilmBoxContentSequence:
        item = Dataset()
        for element in film:
            if element.keyword == "ImageBoxContentSequence":
                item.ImageBoxContentSequence = [_without_pixels(box) for box in element.value]
            elif element.keyword != "PresentationLUTContentSequence":
                item[element.tag] = deepcopy(element)
        films.append(item)
    summary.FilmBoxContentSequence = films
    return summary


def _without_pixels(box: Dataset) -> Dataset:
    item = Dataset()
    for element in box:
        if element.VR != "SQ":
            item[element.tag] = element
    return item


_JOB_ATTRIBUTES: Final = (
    "ExecutionStatus",
    "ExecutionStatusInfo",
    "PrintPriority",
    "CreationDate",
    "CreationTime",
    "PrinterName",
    "Originator",
)


def _for_peers(job: Dataset) -> Dataset:
    """Return the attributes of Table H.4-14."""
    answer = Dataset()
    for keyword in _JOB_ATTRIBUTES:
        if keyword in job:
            answer[keyword] = job[keyword]
    return answer


def _chosen(found: Dataset, identifiers: list[Any]) -> tuple[Dataset, Dataset]:
    """Choose the attributes that were asked for; without any, all."""
    status = Dataset()
    status.Status = rules.SUCCESS
    if not identifiers:
        return status, found
    answer = Dataset()
    missing = []
    for tag in identifiers:
        if tag in found:
            answer[tag] = found[tag]
        else:
            missing.append(tag)
    if missing:
        status.Status = _ATTRIBUTE_LIST_ERROR
        status.AttributeIdentifierList = missing
    return status, answer


def _expect(uid: str, well_known: str) -> None:
    if uid != well_known:
        raise Refused(_NO_SUCH_INSTANCE, f"The instance is {well_known}")


def _carries(association: Association, abstract_syntax: str) -> bool:
    return any(context.abstract_syntax == abstract_syntax for context in association.accepted_contexts)


def _class_of(event: Event) -> str:
    """Return the SOP class that a command names; where it names none, that of its context."""
    request = event.request
    uid = getattr(request, "RequestedSOPClassUID", None) or request.AffectedSOPClassUID
    return str(uid or event.context.abstract_syntax)


def _no_such_operation() -> Refused:
    return Refused(rules.UNRECOGNIZED_OPERATION, "Not an operation of this SOP class")


def _new_uid() -> str:
    return str(generate_uid(prefix=UID_PREFIX))


def _native(event: Event) -> Dataset:
    """Return the data set of a request, its words in little endian whatever they came in."""
    dataset: Dataset = event.attribute_list
    if str(event.context.transfer_syntax) == _BIG_ENDIAN:
        dataset = deepcopy(dataset)
        _swap_words(dataset)
    return dataset


def _swap_words(dataset: Dataset) -> None:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _swap_words(item)
        elif element.VR == "OW" and isinstance(element.value, bytes):
            words = array("H", element.value)
            words.byteswap()
            element.value = words.tobytes()
