"""Ask a display system what it is: python display_system_scu.py HOST PORT."""

import sys

from dulcimer import AE, build_context
from dulcimer.sop_class import DisplaySystem, DisplaySystemInstance

host, port = sys.argv[1], int(sys.argv[2])

with AE("QUALITY").associate(host, port, [build_context(DisplaySystem)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    # Without a list of attributes all are returned.
    status, display = assoc.send_n_get([], DisplaySystem, DisplaySystemInstance)
    if not status:
        sys.exit(str(assoc.failure))
print(f"N-GET: {status.Status:04X}")
if display is not None:
    print(f"{display.Manufacturer} {display.ManufacturerModelName}")
