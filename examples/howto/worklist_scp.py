"""Answer modality worklist queries from a list: python worklist_scp.py PORT."""

import sys
from collections.abc import Iterator

from pydicom import Dataset

from dulcimer import AE, evt
from dulcimer.sop_class import ModalityWorklistInformationFind


def scheduled(station: str, date: str, time: str, patient_id: str, name: str) -> Dataset:
    step = Dataset()
    step.ScheduledStationAETitle = station
    step.ScheduledProcedureStepStartDate = date
    step.ScheduledProcedureStepStartTime = time
    step.Modality = "CT"
    step.ScheduledProcedureStepID = f"SPS{patient_id}"
    item = Dataset()
    item.PatientID = patient_id
    item.PatientName = name
    item.AccessionNumber = f"A{patient_id}"
    item.StudyInstanceUID = f"2.25.{patient_id}"
    item.ScheduledProcedureStepSequence = [step]
    return item


worklist = [
    scheduled("CT1", "20260131", "0930", "101", "Doe^Jane"),
    scheduled("CT1", "20260131", "1000", "102", "Roe^Richard"),
    scheduled("CT2", "20260131", "1000", "103", "Poe^Edgar"),
]


def handle_find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
    keys = event.identifier.ScheduledProcedureStepSequence[0]
    for item in worklist:
        if event.is_cancelled:
            yield 0xFE00, None
            return
        step = item.ScheduledProcedureStepSequence[0]
        matches = all(
            not keys.get(keyword) or keys.get(keyword) == step.get(keyword)
            for keyword in ("ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "Modality")
        )
        if matches:
            yield 0xFF00, item


ae = AE("RIS")
ae.add_supported_context(ModalityWorklistInformationFind)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_FIND, handle_find)])
