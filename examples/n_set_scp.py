"""Answer N-SET for a performed procedure step that is kept in memory: python n_set_scp.py PORT."""

import sys

from pydicom import Dataset

from dulcimer import AE, evt
from dulcimer.sop_class import ModalityPerformedProcedureStep as MPPS

steps = {"2.25.1": Dataset()}


def handle_set(event: evt.Event) -> tuple[int, Dataset | None]:
    step = steps.get(event.request.RequestedSOPInstanceUID)
    if step is None:
        return 0x0112, None  # no such SOP instance
    step.update(event.modification_list)
    print(event.assoc.requestor.ae_title, "set", step, flush=True)
    return 0x0000, step


ae = AE("STEPS")
ae.add_supported_context(MPPS)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_N_SET, handle_set)])
