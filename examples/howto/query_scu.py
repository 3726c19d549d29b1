"""List the studies of patients whose name begins so: python query_scu.py HOST PORT NAME."""

import sys

from pydicom import Dataset

from dulcimer import AE, build_context
from dulcimer.sop_class import StudyRootQueryRetrieveInformationModelFind as Find

host, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]

query = Dataset()
query.QueryRetrieveLevel = "STUDY"
query.PatientName = f"{name}*"
query.PatientID = ""  # an empty value asks for the attribute
query.StudyDate = ""
query.StudyInstanceUID = ""

with AE("FINDSCU").associate(host, port, [build_context(Find)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    for status, match in assoc.send_c_find(query, Find):
        if not status:
            sys.exit(str(assoc.failure))
        if status.Status in (0xFF00, 0xFF01):
            print(f"{match.StudyInstanceUID} {match.PatientName} {match.get('StudyDate', '')}")
        else:
            print(f"C-FIND: {status.Status:04X}")
