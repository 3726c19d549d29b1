"""Let hanging protocols be found and retrieved: python hanging_protocol_scp.py PORT."""

import sys
from collections.abc import Iterator

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from dulcimer import AE, evt
from dulcimer.sop_class import (
    HangingProtocolInformationModelFind,
    HangingProtocolInformationModelGet,
    HangingProtocolStorage,
)

kept = Dataset()
kept.SOPClassUID = HangingProtocolStorage
kept.SOPInstanceUID = generate_uid()
kept.HangingProtocolName = "CHEST"
kept.HangingProtocolDescription = "Chest, two views"
kept.HangingProtocolLevel = "SITE"
kept.file_meta = FileMetaDataset()
kept.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
library = [kept]


def handle_find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
    wanted = event.identifier.get("HangingProtocolName")
    for item in library:
        if wanted in (None, "", item.HangingProtocolName):
            match = Dataset()
            for element in event.identifier:
                setattr(match, element.keyword, item.get(element.keyword, ""))
            yield 0xFF00, match


def handle_get(event: evt.Event) -> Iterator[int | tuple[int, Dataset | None]]:
    found = [item for item in library if item.SOPInstanceUID == event.identifier.get("SOPInstanceUID")]
    yield len(found)  # first the number of sub-operations
    for item in found:
        yield 0xFF00, item


ae = AE("LIBRARY")
ae.add_supported_context(HangingProtocolInformationModelFind)
ae.add_supported_context(HangingProtocolInformationModelGet)
ae.add_supported_context(HangingProtocolStorage, scu_role=True, scp_role=True)
handlers = [(evt.EVT_C_FIND, handle_find), (evt.EVT_C_GET, handle_get)]
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=handlers)
