"""Keep a log of events in procedures: python application_event_scp.py PORT STUDY_UID..."""

import sys

from dulcimer import AE, evt
from dulcimer.sop_class import ProceduralEventLogging

current_studies = set(sys.argv[2:])


def handle_action(event: evt.Event) -> tuple[int, None]:
    if event.action_type != 1:
        return 0x0123, None  # no such action type
    logged = event.action_information
    if logged.get("StudyInstanceUID") not in current_studies:
        return 0xC103, None  # the event cannot be matched to a current study
    for item in logged.get("ContentSequence", []):
        print(f"{logged.StudyInstanceUID}: {item.get('TextValue', '')}", flush=True)
    return 0x0000, None


ae = AE("EVENTLOG")
ae.add_supported_context(ProceduralEventLogging)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_N_ACTION, handle_action)])
