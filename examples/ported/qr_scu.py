"""Look for the studies of a patient and retrieve them, by C-GET and by C-MOVE.

python qr_scu.py HOST PORT PATIENT_ID OWN_PORT FOLDER

What comes by C-GET goes to FOLDER/got; what is moved comes to a storage SCP of this program's own, which
listens on OWN_PORT as QR_SCU, and goes to FOLDER/moved.
"""

import argparse
import sys
from pathlib import Path

from pydicom.dataset import Dataset

from dulcimer import AE, StoragePresentationContexts, build_role, evt
from dulcimer.sop_class import (
    CTImageStorage,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from dulcimer.status import code_to_category

parser = argparse.ArgumentParser(description="A query/retrieve SCU")
parser.add_argument("host")
parser.add_argument("port", type=int)
parser.add_argument("patient_id")
parser.add_argument("own_port", type=int)
parser.add_argument("folder", type=Path)
args = parser.parse_args()


def handle_store(event, folder):
    """Keep what a C-GET or a C-MOVE brings."""
    ds = event.dataset
    ds.file_meta = event.file_meta
    ds.save_as(folder / f"{ds.SOPInstanceUID}.dcm", enforce_file_format=True)
    return 0x0000


def find_studies(assoc):
    """Return the Study Instance UIDs of the patient."""
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.PatientID = args.patient_id
    ds.StudyInstanceUID = ""
    ds.StudyDate = ""
    ds.PatientName = ""

    studies = []
    for status, identifier in assoc.send_c_find(ds, PatientRootQueryRetrieveInformationModelFind):
        if not status:
            sys.exit("no answer to the C-FIND")
        if status.Status in (0xFF00, 0xFF01):
            print(f"found {identifier.StudyInstanceUID}, {identifier.PatientName}, {identifier.StudyDate}")
            studies.append(identifier.StudyInstanceUID)
        else:
            print(f"C-FIND: 0x{status.Status:04X} {code_to_category(status.Status)}, {identifier}")
    return studies


def study_identifier(study):
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.StudyInstanceUID = study
    return ds


def show(name, responses):
    """Print how a retrieval went."""
    pending = 0
    for status, identifier in responses:
        if not status:
            sys.exit(f"no answer to the {name}")
        if status.Status in (0xFF00, 0xFF01):
            pending += 1
            continue
        print(
            f"{name}: 0x{status.Status:04X} after {pending} pending, "
            f"{status.get('NumberOfCompletedSuboperations')} completed, "
            f"{status.get('NumberOfFailedSuboperations')} failed, "
            f"{status.get('NumberOfWarningSuboperations')} with warnings"
        )
        if identifier is not None:
            print(f"failed: {identifier.get('FailedSOPInstanceUIDList')}")


got, moved = args.folder / "got", args.folder / "moved"
for folder in (got, moved):
    folder.mkdir(parents=True, exist_ok=True)

ae = AE()
ae.ae_title = "QR_SCU"
ae.acse_timeout = 20
ae.dimse_timeout = 20
ae.supported_contexts = StoragePresentationContexts
ae.add_requested_context(PatientRootQueryRetrieveInformationModelFind)
ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
ae.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
ae.add_requested_context(CTImageStorage)
ae.add_requested_context(MRImageStorage)

# In a C-GET the objects come over the same association: we are the SCP of these.
roles = [build_role(CTImageStorage, scp_role=True), build_role(MRImageStorage, scp_role=True)]

scp = ae.start_server(
    ("127.0.0.1", args.own_port), block=False, evt_handlers=[(evt.EVT_C_STORE, handle_store, [moved])]
)
assoc = ae.associate(
    args.host,
    args.port,
    ext_neg=roles,
    ae_title="QRSCP",
    evt_handlers=[(evt.EVT_C_STORE, handle_store, [got])],
)
if not assoc.is_established:
    scp.shutdown()
    sys.exit("rejected, aborted or never connected")

for cx in assoc.accepted_contexts:
    print(f"{cx.context_id}: {cx.abstract_syntax.name}, SCU {cx.as_scu}, SCP {cx.as_scp}")

for study in find_studies(assoc):
    show("C-GET", assoc.send_c_get(study_identifier(study), StudyRootQueryRetrieveInformationModelGet))
    show(
        "C-MOVE",
        assoc.send_c_move(study_identifier(study), "QR_SCU", StudyRootQueryRetrieveInformationModelMove),
    )
show(
    "C-MOVE to nowhere",
    assoc.send_c_move(study_identifier("1.2.3"), "NOWHERE", StudyRootQueryRetrieveInformationModelMove),
)

assoc.release()
print(f"released: {assoc.is_released}")
scp.shutdown()
