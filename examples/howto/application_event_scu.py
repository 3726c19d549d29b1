"""Log that the injection of contrast began: python application_event_scu.py HOST PORT STUDY_UID."""

import sys

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, build_context
from dulcimer.sop_class import ProceduralEventLogging, ProceduralEventLoggingInstance

host, port, study = sys.argv[1], int(sys.argv[2]), sys.argv[3]

said = Dataset()
said.RelationshipType = "CONTAINS"
said.ValueType = "TEXT"
said.TextValue = "Contrast injection begun"
event = Dataset()
event.PatientID = "1CT1"
event.StudyInstanceUID = study
event.StudyID = "S1"
event.SynchronizationFrameOfReferenceUID = generate_uid()
event.PerformedLocation = "Room 3"
event.ContentSequence = [said]

with AE("INJECTOR").associate(host, port, [build_context(ProceduralEventLogging)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    # Action type 1 records an event; there is one instance, and its UID is well known.
    status, _ = assoc.send_n_action(event, 1, ProceduralEventLogging, ProceduralEventLoggingInstance)
    if not status:
        sys.exit(str(assoc.failure))
print(f"N-ACTION: {status.Status:04X}")
