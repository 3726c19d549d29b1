"""List what is scheduled for a station on a day: python worklist_scu.py HOST PORT STATION_AET DATE."""

import sys

from pydicom import Dataset

from dulcimer import AE, build_context
from dulcimer.sop_class import ModalityWorklistInformationFind as Worklist

host, port, station, date = sys.argv[1], int(sys.argv[2]), *sys.argv[3:5]

step = Dataset()
step.ScheduledStationAETitle = station
step.ScheduledProcedureStepStartDate = date  # or a range, 20260131-20260202
step.ScheduledProcedureStepStartTime = ""
step.Modality = ""
step.ScheduledProcedureStepID = ""
query = Dataset()
query.PatientName = ""
query.PatientID = ""
query.AccessionNumber = ""
query.StudyInstanceUID = ""
query.ScheduledProcedureStepSequence = [step]

with AE("CT1").associate(host, port, [build_context(Worklist)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    for status, item in assoc.send_c_find(query, Worklist):
        if not status:
            sys.exit(str(assoc.failure))
        if status.Status in (0xFF00, 0xFF01):
            scheduled = item.ScheduledProcedureStepSequence[0]
            print(f"{scheduled.ScheduledProcedureStepStartTime} {item.PatientID} {item.PatientName}")
        else:
            print(f"C-FIND: {status.Status:04X}")
