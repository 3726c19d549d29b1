"""Answer C-ECHO: python verification_scp.py PORT."""

import sys

from dulcimer import AE, evt
from dulcimer.sop_class import Verification


def handle_echo(event: evt.Event) -> int:
    print(f"C-ECHO from {event.assoc.requestor.ae_title}", flush=True)
    return 0x0000


ae = AE("ECHOSCP")
ae.add_supported_context(Verification)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_ECHO, handle_echo)])
