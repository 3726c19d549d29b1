"""What the page of the node shows, read from its index, its server and its counters.

Everything is read over the connections that can only read, in transactions as short as a statement: who
stores and sets never waits for who looks.
"""

from __future__ import annotations

import re
import shutil
from collections import OrderedDict
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Lock
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from pydicom.dataset import Dataset
from pydicom.uid import UID
from sqlalchemy import Integer, and_, bindparam, cast, desc, exists, func, literal_column, or_, select
from sqlalchemy.exc import DatabaseError

from dulcimer.identity import __version__
from dulcimer.node.adapters.further import COMMITMENT
from dulcimer.node.adapters.instances import decode
from dulcimer.node.adapters.printing import JOBS
from dulcimer.node.adapters.schema import (
    FOLDED_NAMES,
    INSTANCES,
    REPORTED_TO,
    REPORTS,
    SERIES,
    SERVICE_INSTANCES,
    STUDIES,
)
from dulcimer.node.adapters.steps import KIND as MPPS
from dulcimer.node.adapters.worklist import KIND as WORKLIST
from dulcimer.services.names import folded
from dulcimer.services.registry import service_for
from dulcimer.services.storage_commitment import PUSH_MODEL
from dulcimer.web import view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Engine

    from dulcimer.node.adapters.changes import Changes
    from dulcimer.node.adapters.meter import Meter
    from dulcimer.node.adapters.recent import RecentLines
    from dulcimer.node.adapters.tallies import Tallies
    from dulcimer.node.config import Config

T = TypeVar("T")

UPS: Final = "ups"
_KINDS: Final[tuple[view.Kind, ...]] = (WORKLIST, MPPS, UPS)

_COLUMN_OF: Final[dict[str, view.Column]] = {
    "SCHEDULED": "SCHEDULED",
    "ARRIVED": "SCHEDULED",
    "READY": "SCHEDULED",
    "": "SCHEDULED",
    "IN PROGRESS": "IN PROGRESS",
    "STARTED": "IN PROGRESS",
    "DEPARTED": "COMPLETED",
    "COMPLETED": "COMPLETED",
    "DISCONTINUED": "DISCONTINUED",
    "CANCELED": "DISCONTINUED",
}
"""Where the states of the three services are on the board (PS3.3 C.4.10, C.4.14, PS3.4 CC.1.1)."""

_MOST_WORDS: Final = 8
_MOST_REPORTS: Final = 500
_CARDS_KEPT: Final = 1000
_LITTLE_SPACE: Final = 256 << 20
_REFRESHED_AFTER: Final = 0.5
_REST: Final = 20
"""How many times as long as it took to count something nobody counts it again."""

_FILM: Final = re.compile(r"([0-9.]{1,64})-(\d{1,4})")
_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})")

_I: Final = INSTANCES.c
_S: Final = STUDIES.c
_K: Final = SERVICE_INSTANCES.c
_STUDY_ROW: Final = literal_column("studies.rowid", Integer)
_INSTANCE_ROW: Final = literal_column("instances.rowid", Integer)

_OF_STATE: Final = (
    select(_K.id, _K.uid, _K.updated, func.length(_K.data))
    .where(_K.kind == bindparam("kind"), _K.state == bindparam("state"))
    .order_by(desc(_K.updated))
    .limit(bindparam("limit"))
)
_DATA: Final = select(_K.data).where(_K.id == bindparam("id"))
_LATEST: Final = (
    select(_K.uid, _K.state, _K.data, _K.created, _K.updated)
    .where(_K.kind == bindparam("kind"))
    .order_by(desc(_K.id))
    .limit(bindparam("limit"))
)


class NodeView:
    """Implements :class:`dulcimer.web.view.View` over the parts of a node.

    Parameters
    ----------
    config
        How the node is configured.
    readers
        Connections that can only read.
    objects, films
        The folders of the stored objects and of the films.
    server
        The server of the associations.
    tallies, meter, lines, changes
        What the associations have done, what was counted and logged, and who wants to know.
    """

    def __init__(
        self,
        config: Config,
        readers: Engine,
        *,
        objects: Path,
        films: Path,
        server: Any,
        tallies: Tallies,
        meter: Meter,
        lines: RecentLines,
        changes: Changes,
    ) -> None:
        self._config = config
        self._readers = readers
        self._objects = objects
        self._films = films
        self._server = server
        self._tallies = tallies
        self._meter = meter
        self._lines = lines
        self._changes = changes
        self._numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._next_number = count(1)
        self._cards: OrderedDict[tuple[Any, ...], view.Step] = OrderedDict()
        self._cards_lock = Lock()
        self._worklist: list[tuple[Any, ...]] | None = None
        self._totals = _Remembered(self._count_totals)
        self._states = _Remembered(self._count_states)

    # ---- the node -------------------------------------------------------------------------------------

    def node(self) -> view.NodeInfo:
        """Describe the node."""
        offered: dict[str, set[str]] = {}
        for context in self._server.contexts:
            uid = UID(str(context.abstract_syntax))
            service = service_for(uid)
            offered.setdefault("Other" if service is None else service.name, set()).add(uid.name)
        host, port = self._server.server_address[:2]
        return view.NodeInfo(
            aet=self._config.aet,
            host=str(host),
            port=int(port),
            tls=self._config.tls is not None,
            version=__version__,
            started=_iso(self._meter.started),
            durability=self._config.durability.value,
            storage="Every storage SOP class is taken, private ones too, in any transfer syntax.",
            services=[view.Service(name, sorted(classes)) for name, classes in sorted(offered.items())],
            accepts_from=list(self._config.allow),
        )

    def overview(self) -> view.Overview:
        """Give the node in numbers."""
        totals, states = self._totals(), self._states()
        columns = _columns(states)
        disk = shutil.disk_usage(self._config.data)
        return view.Overview(
            associations=len(self._server.active_associations),
            **totals,
            scheduled=columns["SCHEDULED"],
            in_progress=columns["IN PROGRESS"],
            completed=columns["COMPLETED"],
            discontinued=columns["DISCONTINUED"],
            print_jobs=sum(number for (kind, _), number in states.items() if kind == JOBS),
            commitments_pending=states.get((COMMITMENT, "PENDING"), 0),
            operations=self._meter.total,
            failures=self._meter.failures,
            disk_free=disk.free,
            disk_total=disk.total,
        )

    def associations(self) -> list[view.Association]:
        """List the associations that are there."""
        now, wall = monotonic(), time()
        found = []
        for each in self._server.active_associations:
            number = self._numbers.get(each)
            if number is None:
                number = self._numbers[each] = next(self._next_number)
            tally = self._tallies.known(each)
            requestor = each.requestor
            found.append(
                view.Association(
                    number=number,
                    calling_aet=str(requestor.ae_title or "").strip(),
                    called_aet=str(each.acceptor.ae_title or "").strip(),
                    address=f"{requestor.address}:{requestor.port}",
                    state="established" if each.is_established else "being negotiated",
                    since="" if tally is None else _iso(wall - (now - tally.began)),
                    doing="" if tally is None else str(tally),
                    bytes=0 if tally is None else tally.bytes,
                )
            )
        return found

    def log(self, limit: int, warnings: bool) -> view.Log:
        """Give the latest lines of the log."""
        return self._lines.latest(limit, warnings)

    def health(self) -> view.Health:
        """Tell whether the index can be read, the disk has room, and the node listens."""
        checks = [self._index_check(), self._disk_check()]
        listens = self._server.socket.fileno() >= 0
        host, port = self._server.server_address[:2]
        checks.append(view.Check("listening", listens, f"{host}:{port}" if listens else "not any more"))
        return view.Health(all(check.ok for check in checks), checks)

    def counters(self) -> view.Counters:
        """Give what is counted."""
        return self._meter.counters(len(self._server.active_associations), self._lines.counts)

    def on_change(self, tell: Callable[[view.Topic], object]) -> None:
        """Have a function called when something may have changed."""
        self._changes.listen(tell)

    def look_for_changes(self) -> None:
        """Look whether another process has put items into the worklist or has changed them."""
        query = (
            select(_K.state, func.count(), func.max(_K.updated)).where(_K.kind == WORKLIST).group_by(_K.state)
        )
        with self._readers.connect() as connection:
            found = [tuple(row) for row in connection.execute(query)]
        before, self._worklist = self._worklist, found
        if before is not None and before != found:
            self._changes.tell("steps")

    def _index_check(self) -> view.Check:
        try:
            with self._readers.connect() as connection:
                connection.execute(select(1)).scalar()
        except DatabaseError as error:
            return view.Check("index", False, str(error.orig))
        return view.Check("index", True, "can be read")

    def _disk_check(self) -> view.Check:
        try:
            free = shutil.disk_usage(self._config.data).free
        except OSError as error:
            return view.Check("disk", False, error.strerror or str(error))
        megabytes = free >> 20
        return view.Check("disk", free >= _LITTLE_SPACE, f"{megabytes} MiB free")

    # ---- what is stored -------------------------------------------------------------------------------

    def studies(self, words: str, before: int, limit: int) -> view.StudyPage:
        """List studies that have every one of some words, the latest first."""
        clauses = [
            _S.study_instance_uid != "",
            exists().where(_I.study_instance_uid == _S.study_instance_uid),
        ]
        clauses += [_has_word(word) for word in words.replace(",", " ").split()[:_MOST_WORDS]]
        if before:
            clauses.append(_STUDY_ROW.__lt__(before))
        query = (
            select(_STUDY_ROW, *_STUDY_COLUMNS).where(*clauses).order_by(desc(_STUDY_ROW)).limit(limit + 1)
        )
        with self._readers.connect() as connection:
            rows = connection.execute(query).all()
        more = rows[limit - 1][0] if len(rows) > limit else 0
        return view.StudyPage([self._study(row[1:]) for row in rows[:limit]], more)

    def study(self, study_instance_uid: str) -> view.StudyDetail | None:
        """Give a study with its series, by their numbers."""
        c = SERIES.c
        held = select(func.count()).where(
            _I.study_instance_uid == c.study_instance_uid, _I.series_instance_uid == c.series_instance_uid
        )
        columns = (c.study_instance_uid, c.series_instance_uid, c.modality, c.series_number)
        query = (
            select(*columns, c.series_description, c.body_part_examined, held.scalar_subquery())
            .where(c.study_instance_uid == study_instance_uid)
            .order_by(cast(c.series_number, Integer), c.series_instance_uid)
        )
        with self._readers.connect() as connection:
            found = connection.execute(
                select(*_STUDY_COLUMNS).where(_S.study_instance_uid == study_instance_uid)
            ).one_or_none()
            series = connection.execute(query).all() if found is not None else []
        if found is None or not study_instance_uid:
            return None
        return view.StudyDetail(self._study(found), [view.Series(*row) for row in series if row[-1]])

    def instances(
        self, study_instance_uid: str, series_instance_uid: str, after: int, limit: int
    ) -> view.InstancePage:
        """List the instances of a series, in the order in which they were stored."""
        query = (
            select(_INSTANCE_ROW, *_INSTANCE_COLUMNS)
            .where(
                _I.study_instance_uid == study_instance_uid,
                _I.series_instance_uid == series_instance_uid,
                _INSTANCE_ROW.__gt__(after),
            )
            .order_by(_INSTANCE_ROW)
            .limit(limit + 1)
        )
        with self._readers.connect() as connection:
            rows = connection.execute(query).all()
        more = rows[limit - 1][0] if len(rows) > limit else 0
        return view.InstancePage([_instance(row[1:]) for row in rows[:limit]], more)

    def instance(self, sop_instance_uid: str) -> view.Instance | None:
        """Give an instance."""
        query = select(*_INSTANCE_COLUMNS).where(_I.sop_instance_uid == sop_instance_uid)
        with self._readers.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _instance(row)

    def object_file(self, sop_instance_uid: str) -> Path | None:
        """Return the file of a stored instance."""
        query = select(_I.path).where(_I.sop_instance_uid == sop_instance_uid)
        with self._readers.connect() as connection:
            path = connection.execute(query).scalar_one_or_none()
        return None if path is None else (self._objects / path).absolute()

    def _study(self, row: Sequence[Any]) -> view.Study:
        uid, name, patient_id, born, sex, date, time_, text, accession, modalities, series, instances = row
        # One from the middle says more of a study than the first, which may be a scout or a report.
        images = (_I.study_instance_uid == uid, _I.rows != "")
        with self._readers.connect() as connection:
            pictures = connection.execute(select(func.count()).where(*images)).scalar_one()
            thumbnail = connection.execute(
                select(_I.sop_instance_uid)
                .where(*(images if pictures else images[:1]))
                .limit(1)
                .offset(pictures // 2)
            ).scalar()
        return view.Study(
            uid,
            name,
            patient_id,
            born,
            sex,
            date,
            time_,
            text,
            accession,
            modalities=sorted(filter(None, (modalities or "").split(","))),
            series=series,
            instances=instances,
            thumbnail=thumbnail or "",
        )

    def _count_totals(self) -> dict[str, int]:
        with self._readers.connect() as connection:
            instances, size = connection.execute(select(func.count(), func.sum(_I.size))).one()
            studies = connection.execute(select(func.count()).select_from(STUDIES)).scalar_one()
            series = connection.execute(select(func.count()).select_from(SERIES)).scalar_one()
        return {"studies": studies, "series": series, "instances": instances, "bytes": int(size or 0)}

    # ---- what the services keep -----------------------------------------------------------------------

    def board(self, limit: int) -> view.Board:
        """Give the latest steps of each column."""
        states = self._states()
        by_column: dict[view.Column, list[view.Step]] = {column: [] for column in view.COLUMNS}
        for kind in _KINDS:
            for state in [state for of, state in states if of == kind]:
                by_column[_column(state)].extend(self._steps(kind, state, limit))
        shown: list[view.Step] = []
        for steps in by_column.values():
            steps.sort(key=lambda step: step.updated, reverse=True)
            shown += steps[:limit]
        return view.Board(shown, dict[str, int](_columns(states).items()))

    def films(self, limit: int) -> list[view.Film]:
        """List the films of the latest print jobs."""
        found: list[view.Film] = []
        for row in self._kept(JOBS, limit):
            job = decode(row.data)
            for number, film in enumerate(job.get("FilmBoxContentSequence") or [], 1):
                uid = f"{row.uid}-{number}"
                found.append(
                    view.Film(
                        uid=uid,
                        status=row.state,
                        status_info=_text(job, "ExecutionStatusInfo"),
                        printer=_text(job, "PrinterName"),
                        originator=_text(job, "Originator"),
                        created=row.created,
                        copies=_text(job, "NumberOfCopies"),
                        priority=_text(job, "PrintPriority"),
                        settings=_settings(job, film),
                        picture=self.film_file(uid) is not None,
                    )
                )
        return found[:limit]

    def film_file(self, uid: str) -> Path | None:
        """Return the picture of a film."""
        if _FILM.fullmatch(uid) is None:
            return None
        path = self._films / f"{uid}-preview.png"
        return path.absolute() if path.is_file() else None

    def commitments(self, limit: int) -> list[view.Commitment]:
        """List the requests for storage commitment, and whether their reports have been delivered."""
        waiting = self._waiting_reports()
        found = []
        for row in self._kept(COMMITMENT, limit):
            request = decode(row.data)
            uid = _text(request, "TransactionUID") or row.uid
            failed = len(request.get("FailedSOPSequence") or [])
            attempts, due = waiting.get(uid, (0, ""))
            state = "pending" if row.state == "PENDING" else "delivering" if uid in waiting else "reported"
            found.append(
                view.Commitment(
                    transaction_uid=row.uid,
                    requester=_text(request, "RequestingAE"),
                    state=state,
                    instances=len(request.get("ReferencedSOPSequence") or []) + failed,
                    failed=failed,
                    attempts=attempts,
                    created=row.created,
                    next_attempt=due,
                )
            )
        return found

    def _waiting_reports(self) -> dict[str, tuple[int, str]]:
        """Return attempts and next attempt by the Transaction UID of the reports that wait for delivery."""
        query = (
            select(REPORTS.c.information, REPORTED_TO.c.attempts, REPORTED_TO.c.due)
            .join_from(REPORTS, REPORTED_TO, REPORTS.c.aet == REPORTED_TO.c.aet)
            .where(REPORTS.c.sop_class_uid == PUSH_MODEL)
            .limit(_MOST_REPORTS)
        )
        with self._readers.connect() as connection:
            rows = connection.execute(query).all()
        return {
            _text(decode(information), "TransactionUID"): (attempts, _iso(due) if attempts else "")
            for information, attempts, due in rows
            if information
        }

    def _kept(self, kind: str, limit: int) -> Iterator[Any]:
        with self._readers.connect() as connection:
            yield from connection.execute(_LATEST, {"kind": kind, "limit": limit}).all()

    def _steps(self, kind: view.Kind, state: str, limit: int) -> Iterator[view.Step]:
        with self._readers.connect() as connection:
            rows = connection.execute(_OF_STATE, {"kind": kind, "state": state, "limit": limit}).all()
            for number, uid, updated, length in rows:
                key = kind, uid, state, updated, length
                card = self._cards.get(key)
                if card is None:
                    data = connection.execute(_DATA, {"id": number}).scalar_one_or_none()
                    if data is None:
                        continue
                    card = _CARDS[kind](uid, state, decode(data), updated)
                    with self._cards_lock:
                        self._cards[key] = card
                        while len(self._cards) > _CARDS_KEPT:
                            self._cards.popitem(last=False)
                yield card

    def _count_states(self) -> dict[tuple[str, str], int]:
        kinds = [*_KINDS, JOBS, COMMITMENT]
        query = select(_K.kind, _K.state, func.count()).where(_K.kind.in_(kinds)).group_by(_K.kind, _K.state)
        with self._readers.connect() as connection:
            return {(kind, state): number for kind, state, number in connection.execute(query)}


class _Remembered(Generic[T]):
    """What a function said, asked again when some time has passed, the more the longer it takes."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._lock = Lock()
        self._until = 0.0
        self._value: T | None = None

    def __call__(self) -> T:
        with self._lock:
            began = monotonic()
            if self._value is None or began >= self._until:
                self._value = self._function()
                took = monotonic() - began
                # What is quick is never old.
                self._until = monotonic() + (took * _REST if took > _REFRESHED_AFTER / _REST else 0.0)
            return self._value


_STUDY_COLUMNS: Final = (
    _S.study_instance_uid,
    _S.patient_name,
    _S.patient_id,
    _S.patient_birth_date,
    _S.patient_sex,
    _S.study_date,
    _S.study_time,
    _S.study_description,
    _S.accession_number,
    select(func.group_concat(SERIES.c.modality.distinct()))
    .where(SERIES.c.study_instance_uid == _S.study_instance_uid)
    .scalar_subquery(),
    select(func.count())
    .select_from(SERIES)
    .where(SERIES.c.study_instance_uid == _S.study_instance_uid)
    .scalar_subquery(),
    select(func.count()).where(_I.study_instance_uid == _S.study_instance_uid).scalar_subquery(),
)

_INSTANCE_COLUMNS: Final = (
    _I.sop_instance_uid,
    _I.sop_class_uid,
    _I.transfer_syntax_uid,
    _I.study_instance_uid,
    _I.series_instance_uid,
    _I.instance_number,
    _I.rows,
    _I.columns,
    _I.number_of_frames,
    _I.size,
    _I.received,
    _I.source_aet,
)


def _instance(row: Sequence[Any]) -> view.Instance:
    instance, sop_class, syntax, *rest = row
    return view.Instance(instance, sop_class, UID(sop_class).name, UID(syntax).name, *rest)


def _has_word(word: str) -> ColumnElement[bool]:
    """Say that a study has a word: in a name, as the beginning of an identifier, in its text, as its date."""
    dated = _DATE.fullmatch(word)
    within, beginning = f"%{_literal(folded(word))}%", f"{_literal(word)}%"
    return or_(
        *(_S[name].like(within, escape="\\") for name in FOLDED_NAMES),
        _S.patient_id.like(beginning, escape="\\"),
        _S.accession_number.like(beginning, escape="\\"),
        _S.study_description.like(f"%{_literal(word)}%", escape="\\"),
        _S.study_date == ("".join(dated.groups()) if dated is not None else word),
        and_(_S.study_instance_uid == word),
    )


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _column(state: str) -> view.Column:
    """Return where a state is; of an item whose steps have several the first that is not over counts."""
    columns = [_COLUMN_OF.get(each.strip(), "SCHEDULED") for each in state.split("\\")]
    return next((column for column in ("IN PROGRESS", "SCHEDULED") if column in columns), columns[0])


def _columns(states: dict[tuple[str, str], int]) -> dict[view.Column, int]:
    totals: dict[view.Column, int] = dict.fromkeys(view.COLUMNS, 0)
    for (kind, state), number in states.items():
        if kind in _KINDS:
            totals[_column(state)] += number
    return totals


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _first(dataset: Dataset, keyword: str) -> Dataset:
    items = dataset.get(keyword)
    return items[0] if items else Dataset()


def _code(dataset: Dataset, keyword: str) -> str:
    item = _first(dataset, keyword)
    return _text(item, "CodeMeaning") or _text(item, "CodeValue")


def _performed(uid: str, state: str, step: Dataset, updated: str) -> view.Step:
    scheduled = _first(step, "ScheduledStepAttributesSequence")
    start = "PerformedProcedureStepStart"
    end = "PerformedProcedureStepEnd"
    return view.Step(
        uid=uid,
        kind=MPPS,
        column=_column(state),
        state=state,
        label=_text(step, "PerformedProcedureStepDescription")
        or _text(scheduled, "ScheduledProcedureStepDescription")
        or _text(scheduled, "RequestedProcedureDescription"),
        patient_name=_text(step, "PatientName"),
        patient_id=_text(step, "PatientID"),
        modality=_text(step, "Modality"),
        station=_text(step, "PerformedStationAETitle"),
        accession_number=_text(scheduled, "AccessionNumber"),
        study_instance_uid=_text(scheduled, "StudyInstanceUID"),
        started=f"{_text(step, start + 'Date')} {_text(step, start + 'Time')}".strip(),
        ended=f"{_text(step, end + 'Date')} {_text(step, end + 'Time')}".strip(),
        progress="",
        updated=updated,
    )


def _workitem(uid: str, state: str, item: Dataset, updated: str) -> view.Step:
    progress = _first(item, "ProcedureStepProgressInformationSequence")
    request = _first(item, "ReferencedRequestSequence")
    performed = _first(item, "UnifiedProcedureStepPerformedProcedureSequence")
    return view.Step(
        uid=uid,
        kind=UPS,
        column=_column(state),
        state=state,
        label=_text(item, "ProcedureStepLabel"),
        patient_name=_text(item, "PatientName"),
        patient_id=_text(item, "PatientID"),
        modality="",
        station=_code(item, "ScheduledStationNameCodeSequence"),
        accession_number=_text(request, "AccessionNumber"),
        study_instance_uid=_text(item, "StudyInstanceUID"),
        started=_text(performed, "PerformedProcedureStepStartDateTime")
        or _text(item, "ScheduledProcedureStepStartDateTime"),
        ended=_text(performed, "PerformedProcedureStepEndDateTime"),
        progress=_percent(_text(progress, "ProcedureStepProgress")),
        updated=updated,
    )


def _scheduled(uid: str, state: str, item: Dataset, updated: str) -> view.Step:
    step = _first(item, "ScheduledProcedureStepSequence")
    start = (
        f"{_text(step, 'ScheduledProcedureStepStartDate')} {_text(step, 'ScheduledProcedureStepStartTime')}"
    )
    return view.Step(
        uid=uid,
        kind=WORKLIST,
        column=_column(state),
        state=state.replace("\\", ", ") or "SCHEDULED",
        label=_text(step, "ScheduledProcedureStepDescription")
        or _text(item, "RequestedProcedureDescription"),
        patient_name=_text(item, "PatientName"),
        patient_id=_text(item, "PatientID"),
        modality=_text(step, "Modality"),
        station=_text(step, "ScheduledStationAETitle"),
        accession_number=_text(item, "AccessionNumber"),
        study_instance_uid=_text(item, "StudyInstanceUID"),
        started=start.strip(),
        ended="",
        progress="",
        updated=updated,
    )


_CARDS: Final[dict[view.Kind, Callable[[str, str, Dataset, str], view.Step]]] = {
    MPPS: _performed,
    UPS: _workitem,
    WORKLIST: _scheduled,
}


def _percent(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return ""
    return f"{number:g}" if 0 <= number <= 100 else ""


_OF_JOB: Final = ("MediumType", "FilmDestination", "FilmSessionLabel")


def _settings(job: Dataset, film: Dataset) -> dict[str, str]:
    """Return what an operator wants to know of a film, by keyword."""
    found = {keyword: _text(job, keyword) for keyword in _OF_JOB if _text(job, keyword)}
    for element in film:
        if element.VR in {"SQ", "UI"} or not element.keyword or element.is_empty:
            continue
        value = element.value
        found[element.keyword] = "\\".join(map(str, value)) if element.VM > 1 else str(value)
    if images := film.get("ImageBoxContentSequence"):
        found["Images"] = str(len(images))
    return found
