"""Be a printer that says what it would print: python print_scp.py PORT."""

import sys

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, evt
from dulcimer.sop_class import (
    BasicFilmBox,
    BasicGrayscaleImageBox,
    BasicGrayscalePrintManagementMeta,
    PrinterInstance,
)

created: dict[str, Dataset] = {}  # film sessions, film boxes and image boxes by UID
Answer = tuple[int, Dataset | None]


def handle_get(event: evt.Event) -> Answer:
    if event.request.RequestedSOPInstanceUID != PrinterInstance:
        return 0x0112, None  # no such SOP instance
    printer = Dataset()
    printer.PrinterStatus = "NORMAL"
    return 0x0000, printer


def handle_create(event: evt.Event) -> Answer:
    attributes = event.attribute_list
    created[event.request.AffectedSOPInstanceUID] = attributes
    if event.request.AffectedSOPClassUID == BasicFilmBox:
        columns, rows = attributes.ImageDisplayFormat.removeprefix("STANDARD\\").split(",")
        attributes.ReferencedImageBoxSequence = []
        for _ in range(int(columns) * int(rows)):
            box = Dataset()
            box.ReferencedSOPClassUID = BasicGrayscaleImageBox
            box.ReferencedSOPInstanceUID = generate_uid()
            attributes.ReferencedImageBoxSequence.append(box)
            created[box.ReferencedSOPInstanceUID] = Dataset()
    return 0x0000, attributes


def handle_set(event: evt.Event) -> Answer:
    known = created.get(event.request.RequestedSOPInstanceUID)
    if known is None:
        return 0x0112, None
    known.update(event.modification_list)
    return 0x0000, None


def handle_action(event: evt.Event) -> Answer:
    film = created.get(event.request.RequestedSOPInstanceUID)
    if film is None:
        return 0x0112, None
    for box in film.ReferencedImageBoxSequence:
        for image in created[box.ReferencedSOPInstanceUID].get("BasicGrayscaleImageSequence", []):
            print(f"printing {image.Columns} x {image.Rows} pixels", flush=True)
    return 0x0000, None


def handle_delete(event: evt.Event) -> int:
    return 0x0112 if created.pop(event.request.RequestedSOPInstanceUID, None) is None else 0x0000


ae = AE("PRINTER")
ae.add_supported_context(BasicGrayscalePrintManagementMeta)
ae.start_server(
    ("127.0.0.1", int(sys.argv[1])),
    evt_handlers=[
        (evt.EVT_N_GET, handle_get),
        (evt.EVT_N_CREATE, handle_create),
        (evt.EVT_N_SET, handle_set),
        (evt.EVT_N_ACTION, handle_action),
        (evt.EVT_N_DELETE, handle_delete),
    ],
)
