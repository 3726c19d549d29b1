"""Verify that a peer answers: python verification_scu.py HOST PORT."""

import sys

from dulcimer import AE, build_context
from dulcimer.sop_class import Verification

host, port = sys.argv[1], int(sys.argv[2])

with AE("ECHOSCU").associate(host, port, [build_context(Verification)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    status = assoc.send_c_echo()
    if not status:
        sys.exit(str(assoc.failure))
print(f"C-ECHO: {status.Status:04X}")
