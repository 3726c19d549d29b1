"""A ready SCP of Media Creation Management (PS3.4 Annex S): media are file-sets in folders (PS3.10)."""

from __future__ import annotations

import logging
import shutil
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid

from dulcimer.errors import Refused
from dulcimer.identity import UID_PREFIX
from dulcimer.scp.repository import MemoryRepository, Repository
from dulcimer.scp.service import Service
from dulcimer.services import media_creation as rules
from dulcimer.services.storage_commitment import NO_SUCH_INSTANCE, Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dulcimer.events import Event
    from dulcimer.services.rules import Level

_LOGGER = logging.getLogger("dulcimer.scp.media_creation")

_DUPLICATE: Final = 0x0111
_NO_SUCH_ACTION: Final = 0x0123
_OPTIONAL_UNSUPPORTED: Final = 0x0001

_KEYS: Final = (
    ("PatientID", "UNKNOWN"),
    ("StudyDate", "19000101"),
    ("StudyTime", "000000"),
    ("StudyID", "1"),
    ("Modality", "OT"),
    ("SeriesNumber", 1),
)
"""Keys of directory records that have to have a value (PS3.3 F.5), and what stands for an unknown one."""

Instances = Callable[[str, str], Path | None]
"""Gives the Part 10 file of an instance by its SOP class and instance UID, None if there is none."""


class MediaCreationService(Service):
    """Takes requests for media and writes each as a folder with a DICOMDIR.

    The folder is below ``folder``, named by the SOP Instance UID of the request; it appears when it is
    complete. A request that was under way when the program ended is begun again. With ``iso`` there is an
    image of it beside the folder, ``<UID>.iso``.

    Hooks (:meth:`~dulcimer.scp.service.Service.on`): ``"requested"`` with the instance UID and AE title;
    ``"done"`` with the instance UID and the folder; ``"failed"`` with the instance UID and why.

    Parameters
    ----------
    instances
        Gives the files of instances.
    folder
        Where the media go.
    repository
        Keeps the requests; in memory by default.
    level
        How strictly requests are checked.
    iso
        Whether ISO 9660 images are made too, which needs pycdlib (``pip install 'dulcimer[media]'``).
    """

    contexts = (rules.MEDIA_CREATION,)
    sop_classes = frozenset({rules.MEDIA_CREATION})
    noun = "media request"

    def __init__(
        self,
        instances: Instances,
        folder: Path,
        repository: Repository | None = None,
        *,
        level: Level = "standard",
        iso: bool = False,
    ) -> None:
        super().__init__()
        self._iso = iso
        self._instances = instances
        self._folder = Path(folder)
        self._repository: Repository = MemoryRepository() if repository is None else repository
        self._level: Level = level
        self._waiting: deque[str] = deque()
        self._wake = Condition()
        self._worker: Thread | None = None
        self._closing = False
        for uid, request in self._repository.all():
            if rules.status_of(request) in (rules.PENDING, rules.CREATING):
                self._begin(uid)

    def n_create(self, event: Event) -> tuple[Dataset, None]:
        """Take a request (S.3.2.1)."""
        uid = str(event.request.AffectedSOPInstanceUID or generate_uid(prefix=UID_PREFIX))
        request, notes = rules.create(event.attribute_list, level=self._level)
        for note in notes:
            _LOGGER.info("media %s: %s", uid, note)
        with self._repository.transaction() as transaction:
            if transaction.get(uid) is not None:
                raise Refused(_DUPLICATE, "This media creation request exists already")
            transaction.put(uid, request)
        self.tell("requested", uid, str(event.assoc.remote["ae_title"]).strip())
        status = Dataset()
        status.Status = 0x0000
        status.AffectedSOPInstanceUID = uid
        return status, None

    def n_action(self, event: Event) -> tuple[int, None]:
        """Initiate (S.3.2.2) or cancel (S.3.2.3) the creation of media."""
        uid = str(event.request.RequestedSOPInstanceUID)
        action = event.action_type
        if action not in (rules.INITIATE, rules.CANCEL):
            raise Refused(_NO_SUCH_ACTION, "The actions are 1, initiate, and 2, cancel")
        with self._repository.transaction() as transaction:
            stored = _found(transaction.get(uid))
            if action == rules.INITIATE:
                transaction.put(uid, rules.initiate(stored, event.action_information, level=self._level))
            else:
                rules.cancel(stored)
                transaction.delete(uid)
        if action == rules.INITIATE:
            self._begin(uid)
        return 0x0000, None

    def n_get(self, event: Event) -> tuple[int, Dataset]:
        """Give the state of a request (S.3.2.4)."""
        stored = _found(self._repository.get(str(event.request.RequestedSOPInstanceUID)))
        identifiers: Sequence[int] = event.attribute_identifiers or []
        answer, unsupported = rules.retrieve(stored, identifiers)
        return (_OPTIONAL_UNSUPPORTED if unsupported else 0x0000), answer

    def close(self) -> None:
        """End the thread once the media that it writes are complete. What waits is written later."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join()

    def _begin(self, uid: str) -> None:
        with self._wake:
            self._waiting.append(uid)
            if self._worker is None and not self._closing:
                self._worker = Thread(target=self._work, name="media-creation", daemon=True)
                self._worker.start()
            self._wake.notify_all()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                if self._closing:
                    return
                uid = self._waiting.popleft()
            try:
                self._make(uid)
            except Exception as error:  # the thread must outlive whatever files and pydicom raise
                _LOGGER.exception("The media of %s cannot be created", uid)
                self._end(uid, lambda stored: rules.failed(stored, rules.MEDIA_FAILURE))
                self.tell("failed", uid, str(error))

    def _make(self, uid: str) -> None:
        with self._repository.transaction() as transaction:
            stored = transaction.get(uid)
            if stored is None or rules.status_of(stored) not in (rules.PENDING, rules.CREATING):
                return
            transaction.put(uid, rules.begun(stored))
        files: list[Path] = []
        missing: list[Failed] = []
        for reference in rules.references(stored):
            path = self._instances(*reference)
            if path is None:
                missing.append(Failed(*reference, NO_SUCH_INSTANCE))
            else:
                files.append(path)
        if missing:
            self._end(uid, lambda stored: rules.failed(stored, rules.NO_INSTANCE, missing))
            self.tell("failed", uid, f"{len(missing)} instances are not there")
            return
        file_set_id = str(stored.get("StorageMediaFileSetID") or "")
        file_set_uid = str(stored.get("StorageMediaFileSetUID") or "") or str(generate_uid(prefix=UID_PREFIX))
        target = self._folder / uid
        write_file_set(files, target, file_set_id, file_set_uid)
        if self._iso:
            write_iso(target, target.with_name(f"{uid}.iso"), file_set_id)
        self._end(uid, lambda stored: rules.finished(stored, [(file_set_id, file_set_uid)]))
        self.tell("done", uid, target)

    def _end(self, uid: str, change: Callable[[Dataset], Dataset]) -> None:
        with self._repository.transaction() as transaction:
            stored = transaction.get(uid)
            if stored is not None:
                transaction.put(uid, change(stored))


def write_file_set(files: Sequence[Path], target: Path, file_set_id: str = "", uid: str = "") -> None:
    """Write instances as a file-set: a folder with a DICOMDIR (PS3.10 8, PS3.3 Annex F).

    Parameters
    ----------
    files
        Part 10 files of the instances.
    target
        The folder, which appears when it is complete and replaces one of that name.
    file_set_id, uid
        File-set ID and Media Storage SOP Instance UID of the DICOMDIR; made up if empty.
    """
    from pydicom.fileset import FileSet

    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    file_set = FileSet()
    for number, path in enumerate(files, 1):
        staged = file_set.add(_for_directory(path, number))
        # The directory may need values that the instance has not; the instance stays what it is.
        shutil.copyfile(path, staged.path)
    if file_set_id:
        file_set.ID = file_set_id
    if uid:
        file_set.UID = UID(uid)
    # pydicom leaves its folders of temporary files to the garbage collector, which complains.
    temporary = [file_set._stage["t"]]  # noqa: SLF001
    file_set.write(partial)
    temporary.append(file_set._stage["t"])  # noqa: SLF001
    for each in temporary:
        each.cleanup()
    if target.exists():
        shutil.rmtree(target)
    partial.rename(target)


def write_iso(folder: Path, image: Path, volume: str = "") -> None:
    """Write a folder with a file-set as an ISO 9660 image of level 1 (PS3.12 Annexes F and following).

    Parameters
    ----------
    folder
        The folder.
    image
        The image, which appears when it is complete and replaces a file of that name.
    volume
        The volume identifier: the File-set ID as far as that can be one.

    Raises
    ------
    ModuleNotFoundError
        If pycdlib is not installed.
    """
    import pycdlib

    name = "".join(each if each.isascii() and each.isalnum() else "_" for each in volume.upper())
    partial = image.with_name(image.name + ".partial")
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=1, vol_ident=name)
    try:
        for path in sorted(folder.rglob("*")):
            place = "/" + path.relative_to(folder).as_posix().upper()
            if path.is_dir():
                iso.add_directory(place)
            else:
                iso.add_file(str(path), f"{place}.;1")
        iso.write(str(partial))
    finally:
        iso.close()
    partial.replace(image)


def _for_directory(path: Path, number: int) -> Dataset:
    """Read what the directory records are made of, with something for keys that have to have a value."""
    dataset = dcmread(path, stop_before_pixels=True)
    for keyword, value in (*_KEYS, ("InstanceNumber", number)):
        if dataset.get(keyword) in (None, ""):
            setattr(dataset, keyword, value)
    return dataset


def _found(stored: Dataset | None) -> Dataset:
    if stored is None:
        raise Refused(NO_SUCH_INSTANCE, "No such media creation request")
    return stored
