"""Hear which objects can be retrieved from where: python instance_availability_scp.py PORT."""

import sys

from dulcimer import AE, evt
from dulcimer.sop_class import InstanceAvailabilityNotification


def handle_create(event: evt.Event) -> tuple[int, None]:
    for series in event.attribute_list.get("ReferencedSeriesSequence", []):
        for item in series.ReferencedSOPSequence:
            uid, where = item.ReferencedSOPInstanceUID, item.RetrieveAETitle
            print(f"{uid} is {item.InstanceAvailability} at {where}", flush=True)
    return 0x0000, None


ae = AE("WORKFLOW")
ae.add_supported_context(InstanceAvailabilityNotification)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_N_CREATE, handle_create)])
