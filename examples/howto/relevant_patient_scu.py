"""Ask for what is known of a patient's condition: python relevant_patient_scu.py HOST PORT PATIENT_ID."""

import sys

from pydicom import Dataset

from dulcimer import AE, build_context
from dulcimer.sop_class import GeneralRelevantPatientInformationQuery as Query

host, port, patient_id = sys.argv[1], int(sys.argv[2]), sys.argv[3]

template = Dataset()
template.MappingResource = "DCMR"
template.TemplateIdentifier = "9007"  # General Relevant Patient Information
query = Dataset()
query.PatientID = patient_id
query.PatientName = ""
query.PatientBirthDate = ""
query.PatientSex = ""
query.ContentTemplateSequence = [template]
query.ContentSequence = []

with AE("ANGIO1").associate(host, port, [build_context(Query)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    for status, patient in assoc.send_c_find(query, Query):
        if not status:
            sys.exit(str(assoc.failure))
        if status.Status == 0xFF00:
            print(f"{patient.PatientName}, {patient.PatientSex}")
            for item in patient.ContentSequence:
                print(f"  {item.ConceptNameCodeSequence[0].CodeMeaning}: {item.TextValue}")
        else:
            print(f"C-FIND: {status.Status:04X}")
