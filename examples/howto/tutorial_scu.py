"""Verify a peer, then send it files: python tutorial_scu.py HOST PORT FILE..."""

import sys

from pydicom import dcmread

from dulcimer import AE
from dulcimer.sop_class import Verification

host, port, files = sys.argv[1], int(sys.argv[2]), sys.argv[3:]

# 1. What we are, and what we want to talk about
ae = AE("STATION")
ae.add_requested_context(Verification)
for path in files:
    dataset = dcmread(path)
    ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)

# 2. The association
assoc = ae.associate(host, port, ae_title="ARCHIVE")
if not assoc.is_established:
    sys.exit(f"no association: {assoc.failure}")

# 3. Requests, each with its answer
status = assoc.send_c_echo()
if status:
    print("the peer answers")
for path in files:
    status = assoc.send_c_store(dcmread(path))
    if not status:  # an empty data set: there was no answer
        sys.exit(f"{path}: {assoc.failure}")
    print(f"{path}: {'stored' if status.Status == 0x0000 else f'failed, {status.Status:04X}'}")

# 4. The end
assoc.release()
