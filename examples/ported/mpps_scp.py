"""Keep modality performed procedure steps in memory: python mpps_scp.py PORT.

The steps are in a dictionary by their SOP Instance UID, the state of each is printed when it changes.
"""

import sys

from pydicom.dataset import Dataset

from dulcimer import AE, evt
from dulcimer.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    Verification,
)

managed_instances = {}


def handle_create(event):
    """Make a step of an N-CREATE's Attribute List."""
    req = event.request
    if req.AffectedSOPInstanceUID is None:
        return 0x0106, None  # invalid attribute value
    if req.AffectedSOPInstanceUID in managed_instances:
        return 0x0111, None  # duplicate SOP instance

    attr_list = event.attribute_list
    if "PerformedProcedureStepStatus" not in attr_list:
        return 0x0120, None  # missing attribute
    if attr_list.PerformedProcedureStepStatus.upper() != "IN PROGRESS":
        return 0x0106, None

    ds = Dataset()
    ds.SOPClassUID = ModalityPerformedProcedureStep
    ds.SOPInstanceUID = req.AffectedSOPInstanceUID
    ds.update(attr_list)
    managed_instances[ds.SOPInstanceUID] = ds
    print(f"created {ds.SOPInstanceUID} by {event.assoc.requestor.ae_title}: {ds.PatientID}", flush=True)
    return 0x0000, ds


def handle_set(event):
    """Change a step by an N-SET's Modification List, unless it is over."""
    req = event.request
    if req.RequestedSOPInstanceUID not in managed_instances:
        return 0x0112, None  # no such SOP instance

    ds = managed_instances[req.RequestedSOPInstanceUID]
    if ds.PerformedProcedureStepStatus in ("COMPLETED", "DISCONTINUED"):
        status = Dataset()
        status.Status = 0x0110
        status.ErrorComment = "Performed Procedure Step Object may no longer be updated"
        status.ErrorID = 0xA710
        return status, None

    # Its name is that of N-CREATE, yet it holds the Modification List.
    mod_list = event.attribute_list
    ds.update(mod_list)
    print(f"set {ds.SOPInstanceUID}: {ds.PerformedProcedureStepStatus}", flush=True)
    for series in ds.get("PerformedSeriesSequence") or []:
        print(f"  {series.SeriesInstanceUID}: {len(series.ReferencedImageSequence)} images", flush=True)
    return 0x0000, ds


def handle_get(event):
    """Answer an N-GET with what it asks for."""
    req = event.request
    if req.RequestedSOPInstanceUID not in managed_instances:
        return 0x0112, None
    ds = managed_instances[req.RequestedSOPInstanceUID]
    wanted = event.attribute_identifiers
    found = Dataset()
    for tag in wanted or ds.keys():
        if tag in ds:
            found[tag] = ds[tag]
    return 0x0000, found


handlers = [
    (evt.EVT_N_CREATE, handle_create),
    (evt.EVT_N_SET, handle_set),
    (evt.EVT_N_GET, handle_get),
]

ae = AE(ae_title="MPPS_SCP")
ae.add_supported_context(ModalityPerformedProcedureStep)
ae.add_supported_context(ModalityPerformedProcedureStepRetrieve)
ae.add_supported_context(Verification)

ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=handlers)
