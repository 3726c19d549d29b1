"""Performed procedure steps in SQLite: their repository, lists of them, and the instances that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset
from sqlalchemy import delete, desc, func, insert, select

from dulcimer.node.adapters.instances import SqlRepository, decode
from dulcimer.node.adapters.schema import INSTANCES, NAMED_INSTANCES, SERVICE_INSTANCES
from dulcimer.node.domain.model import NamedInstance, Step
from dulcimer.services import mpps

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from dulcimer.node.adapters.database import Database

KIND: Final = "mpps"

_I: Final = SERVICE_INSTANCES.c
_N: Final = NAMED_INSTANCES.c


def steps_in(database: Database) -> SqlRepository:
    """Return the repository of the performed procedure steps; it keeps track of the instances they name."""
    return SqlRepository(database, KIND, mpps.status_of, _name_instances)


def _name_instances(connection: Connection, step_uid: str, step: Dataset | None) -> None:
    now = set() if step is None else set(mpps.named_instances(step))
    query = select(_N.sop_instance_uid).where(_N.step_uid == step_uid)
    before = set(connection.execute(query).scalars())
    if before - now:
        connection.execute(delete(NAMED_INSTANCES).where(_N.step_uid == step_uid))
        before = set()
    if now - before:
        connection.execute(
            insert(NAMED_INSTANCES),
            [{"step_uid": step_uid, "sop_instance_uid": uid} for uid in sorted(now - before)],
        )


def instances_of_step(engine: Engine, step_uid: str) -> list[NamedInstance]:
    """List the instances that a step names, and whether they have been received, in whichever order."""
    query = (
        select(_N.sop_instance_uid, INSTANCES.c.sop_instance_uid.is_not(None))
        .join_from(
            NAMED_INSTANCES, INSTANCES, INSTANCES.c.sop_instance_uid == _N.sop_instance_uid, isouter=True
        )
        .where(_N.step_uid == step_uid)
        .order_by(_N.sop_instance_uid)
    )
    with engine.connect() as connection:
        return [NamedInstance(uid, bool(received)) for uid, received in connection.execute(query)]


def step_of_instance(engine: Engine, instance_uid: str) -> str | None:
    """Return the step that names an instance, the latest one of several; None if none does."""
    query = (
        select(_N.step_uid)
        .join_from(
            NAMED_INSTANCES,
            SERVICE_INSTANCES,
            (_I.uid == _N.step_uid) & (_I.kind == KIND),
        )
        .where(_N.sop_instance_uid == instance_uid)
        .order_by(desc(_I.id))
        .limit(1)
    )
    with engine.connect() as connection:
        return connection.execute(query).scalar_one_or_none()


def list_steps(engine: Engine) -> list[Step]:
    """List the steps of an index, the latest first."""
    counted = (
        select(
            _N.step_uid,
            func.count().label("named"),
            func.count(INSTANCES.c.sop_instance_uid).label("received"),
        )
        .join_from(
            NAMED_INSTANCES, INSTANCES, INSTANCES.c.sop_instance_uid == _N.sop_instance_uid, isouter=True
        )
        .group_by(_N.step_uid)
        .subquery()
    )
    query = (
        select(
            _I.uid,
            _I.state,
            _I.data,
            _I.created,
            _I.updated,
            func.coalesce(counted.c.named, 0),
            func.coalesce(counted.c.received, 0),
        )
        .join_from(SERVICE_INSTANCES, counted, counted.c.step_uid == _I.uid, isouter=True)
        .where(_I.kind == KIND)
        .order_by(desc(_I.updated), desc(_I.id))
    )
    with engine.connect() as connection:
        return [_step(*row) for row in connection.execute(query)]


def _step(uid: str, state: str, data: bytes, created: str, updated: str, named: int, received: int) -> Step:
    dataset = decode(data)
    scheduled = dataset.get("ScheduledStepAttributesSequence") or [Dataset()]
    return Step(
        sop_instance_uid=uid,
        status=state,
        patient_id=_text(dataset, "PatientID"),
        patient_name=_text(dataset, "PatientName"),
        modality=_text(dataset, "Modality"),
        station_aet=_text(dataset, "PerformedStationAETitle"),
        started=_moment(dataset, "Start"),
        ended=_moment(dataset, "End"),
        accession_number=_text(scheduled[0], "AccessionNumber"),
        study_instance_uid=_text(scheduled[0], "StudyInstanceUID"),
        description=_text(dataset, "PerformedProcedureStepDescription"),
        created=created,
        updated=updated,
        named=named,
        received=received,
    )


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _moment(dataset: Dataset, which: str) -> str:
    date = _text(dataset, f"PerformedProcedureStep{which}Date")
    time = _text(dataset, f"PerformedProcedureStep{which}Time")
    return f"{date} {time}".strip()
