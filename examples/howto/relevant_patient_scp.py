"""Tell what is known of patients: python relevant_patient_scp.py PORT."""

import sys
from collections.abc import Iterator

from pydicom import Dataset
from pydicom.sr import Code

from dulcimer import AE, evt
from dulcimer.sop_class import GeneralRelevantPatientInformationQuery

HISTORY = Code("113836", "DCM", "General Relevant Patient Information")


def patient(patient_id: str, name: str, sex: str, said: str) -> Dataset:
    concept = Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = HISTORY[:3]
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "TEXT"
    item.ConceptNameCodeSequence = [concept]
    item.TextValue = said
    known = Dataset()
    known.PatientID, known.PatientName, known.PatientSex = patient_id, name, sex
    known.ContentSequence = [item]
    return known


patients = [
    patient("1CT1", "Doe^Jane", "F", "allergic to iodine"),
    patient("2CT2", "Roe^Richard", "M", "none"),
]


def handle_find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
    found = [known for known in patients if known.PatientID == event.identifier.get("PatientID")]
    if len(found) > 1:
        yield 0xC100, None  # more than one match: this service answers one patient
    for known in found:
        yield 0xFF00, known


ae = AE("HIS")
ae.add_supported_context(GeneralRelevantPatientInformationQuery)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_FIND, handle_find)])
