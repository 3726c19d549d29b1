"""A printing program written for pynetdicom prints on ours."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

pynetdicom = pytest.importorskip("pynetdicom")

from pynetdicom.sop_class import (  # noqa: E402
    BasicFilmBox,
    BasicFilmSession,
    BasicGrayscalePrintManagementMeta,
    Printer,
    PrinterInstance,
    PrintJob,
)

from dulcimer import AE  # noqa: E402
from dulcimer.printing.folder import FilmFolder  # noqa: E402
from dulcimer.scp.print_management import PrintService  # noqa: E402
from dulcimer.scp.service import Services  # noqa: E402
from dulcimer.services.printer import Printer as Characteristics  # noqa: E402
from node.served import until  # noqa: E402

pytestmark = pytest.mark.interop

META = BasicGrayscalePrintManagementMeta


def settled(association: Any) -> Any:
    """Wait until pynetdicom's reactor goes on: before that it may take the next answer for a request."""
    until(lambda: not association._is_paused)
    return association


SECONDS = 30.0


def test_pynetdicom_prints_on_ours(tmp_path):
    characteristics = Characteristics(resolution=50, margin=0, gap=0)
    service = PrintService(FilmFolder(tmp_path, characteristics), characteristics)
    services = Services([service])
    ae = AE("PRINTER")
    services.add_to(ae)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=services.handlers())
    events: list[int] = []
    done = threading.Event()

    def report(event: Any) -> tuple[int, None]:
        events.append(event.event_type)
        if event.event_type in (3, 4):
            done.set()
        return 0x0000, None

    try:
        scu = pynetdicom.AE("CONSOLE")
        scu.add_requested_context(META)
        scu.add_requested_context(PrintJob)
        association = scu.associate(
            "127.0.0.1",
            server.server_address[1],
            evt_handlers=[(pynetdicom.evt.EVT_N_EVENT_REPORT, report)],
        )
        assert association.is_established
        status, printer = settled(association).send_n_get(
            [0x21100010], Printer, PrinterInstance, meta_uid=META
        )
        assert status.Status == 0 and printer.PrinterStatus == "NORMAL"

        session = Dataset()
        session.NumberOfCopies = "1"
        session.PrintPriority = "LOW"
        session.MediumType = "PAPER"
        session.FilmDestination = "MAGAZINE"
        session.FilmSessionLabel = "Session"
        session.MemoryAllocation = ""
        session.OwnerID = "Owner"
        uid = generate_uid()
        status, _ = settled(association).send_n_create(session, BasicFilmSession, uid, meta_uid=META)
        assert status.Status == 0

        box = Dataset()
        box.ImageDisplayFormat = "STANDARD\\1,1"
        box.FilmOrientation = "PORTRAIT"
        box.FilmSizeID = "8INX10IN"
        box.MagnificationType = "REPLICATE"
        item = Dataset()
        item.ReferencedSOPClassUID = BasicFilmSession
        item.ReferencedSOPInstanceUID = uid
        box.ReferencedFilmSessionSequence = [item]
        film = generate_uid()
        status, created = settled(association).send_n_create(box, BasicFilmBox, film, meta_uid=META)
        assert status.Status == 0

        pixels = Dataset()
        pixels.SamplesPerPixel = 1
        pixels.PhotometricInterpretation = "MONOCHROME2"
        pixels.Rows = pixels.Columns = 2
        pixels.BitsAllocated = pixels.BitsStored = 8
        pixels.HighBit = 7
        pixels.PixelRepresentation = 0
        pixels.PixelData = b"\x00\xff\x80\x40"
        image = Dataset()
        image.ImageBoxPosition = 1
        image.Polarity = "NORMAL"
        image.BasicGrayscaleImageSequence = [pixels]
        reference = created.ReferencedImageBoxSequence[0]
        status, _ = settled(association).send_n_set(
            image, reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID, meta_uid=META
        )
        assert status.Status == 0
        status, reply = settled(association).send_n_action(None, 1, BasicFilmBox, film, meta_uid=META)
        assert status.Status == 0
        job = reply.ReferencedPrintJobSequence[0].ReferencedSOPInstanceUID
        assert done.wait(SECONDS)
        assert events == [1, 2, 3]
        status = settled(association).send_n_delete(BasicFilmSession, uid, meta_uid=META)
        assert status.Status == 0
        association.release()
    finally:
        server.shutdown()
        service.close()
    with Image.open(tmp_path / f"{job}-1.png") as picture:
        found = np.asarray(picture)
    assert found.shape == (500, 400)
    assert [found[150, 100], found[150, 300], found[350, 100], found[350, 300]] == [0, 255, 128, 64]
