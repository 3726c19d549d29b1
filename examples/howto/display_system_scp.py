"""Be a display system: python display_system_scp.py PORT."""

import sys

from pydicom import Dataset

from dulcimer import AE, evt
from dulcimer.sop_class import DisplaySystem, DisplaySystemInstance

display = Dataset()
display.Manufacturer = "Example"
display.ManufacturerModelName = "Greyscale 5"
display.DeviceSerialNumber = "0815"
display.EquipmentAdministratorSequence = []
display.NumberOfDisplaySubsystems = 0


def handle_get(event: evt.Event) -> tuple[int, Dataset | None]:
    if event.request.RequestedSOPInstanceUID != DisplaySystemInstance:
        return 0x0112, None  # no such SOP instance
    wanted = event.attribute_identifiers
    if not wanted:
        return 0x0000, display
    answer = Dataset()
    for tag in wanted:
        if tag in display:
            answer.add(display[tag])
    return 0x0000, answer


ae = AE("DISPLAY")
ae.add_supported_context(DisplaySystem)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_N_GET, handle_get)])
