"""Tell that an object can be retrieved: python instance_availability_scu.py HOST PORT STUDY SERIES OBJECT."""

import sys

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, build_context
from dulcimer.sop_class import CTImageStorage, InstanceAvailabilityNotification

host, port, study_uid, series_uid, object_uid = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]

item = Dataset()
item.ReferencedSOPClassUID = CTImageStorage
item.ReferencedSOPInstanceUID = object_uid
item.InstanceAvailability = "ONLINE"
item.RetrieveAETitle = "ARCHIVE"
series = Dataset()
series.SeriesInstanceUID = series_uid
series.ReferencedSOPSequence = [item]
notification = Dataset()
notification.ReferencedPerformedProcedureStepSequence = []
notification.StudyInstanceUID = study_uid
notification.ReferencedSeriesSequence = [series]

with AE("ARCHIVE").associate(host, port, [build_context(InstanceAvailabilityNotification)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    status, _ = assoc.send_n_create(notification, InstanceAvailabilityNotification, generate_uid())
    if not status:
        sys.exit(str(assoc.failure))
print(f"N-CREATE: {status.Status:04X}")
