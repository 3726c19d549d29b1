"""Print a page with a grey ramp: python print_scu.py HOST PORT."""

import sys

from pydicom import Dataset
from pydicom.uid import generate_uid

from dulcimer import AE, build_context
from dulcimer.sop_class import (
    BasicFilmBox,
    BasicFilmSession,
    BasicGrayscaleImageBox,
    BasicGrayscalePrintManagementMeta,
    Printer,
    PrinterInstance,
)

host, port = sys.argv[1], int(sys.argv[2])
META = BasicGrayscalePrintManagementMeta  # the classes are negotiated together, as a meta SOP class


def check(what: str, status: Dataset) -> None:
    if not status or status.Status not in (0x0000, 0xB600):
        sys.exit(f"{what}: {status or assoc.failure}")
    print(f"{what}: {status.Status:04X}")


session_uid, box_uid = generate_uid(), generate_uid()

session = Dataset()
session.NumberOfCopies = "1"
session.MediumType = "PAPER"

film = Dataset()
film.ImageDisplayFormat = "STANDARD\\1,1"  # one column, one row
film.ReferencedFilmSessionSequence = [Dataset()]
film.ReferencedFilmSessionSequence[0].ReferencedSOPClassUID = BasicFilmSession
film.ReferencedFilmSessionSequence[0].ReferencedSOPInstanceUID = session_uid

picture = Dataset()
picture.SamplesPerPixel = 1
picture.PhotometricInterpretation = "MONOCHROME2"
picture.Rows, picture.Columns = 16, 256
picture.BitsAllocated, picture.BitsStored, picture.HighBit, picture.PixelRepresentation = 8, 8, 7, 0
picture.PixelData = bytes(range(256)) * 16
image = Dataset()
image.ImageBoxPosition = 1
image.BasicGrayscaleImageSequence = [picture]

with AE("PRINTSCU").associate(host, port, [build_context(META)]) as assoc:
    if not assoc.is_established:
        sys.exit(str(assoc.failure))
    # 0x21100010 is Printer Status
    status, printer = assoc.send_n_get([0x21100010], Printer, PrinterInstance, meta_uid=META)
    check("N-GET Printer", status)
    print(f"the printer is {printer.PrinterStatus}")
    status, _ = assoc.send_n_create(session, BasicFilmSession, session_uid, meta_uid=META)
    check("N-CREATE Film Session", status)
    status, created = assoc.send_n_create(film, BasicFilmBox, box_uid, meta_uid=META)
    check("N-CREATE Film Box", status)
    image_box = created.ReferencedImageBoxSequence[0]  # the printer makes the image boxes
    status, _ = assoc.send_n_set(
        image, BasicGrayscaleImageBox, image_box.ReferencedSOPInstanceUID, meta_uid=META
    )
    check("N-SET Image Box", status)
    status, _ = assoc.send_n_action(None, 1, BasicFilmBox, box_uid, meta_uid=META)  # 1: print
    check("N-ACTION Print", status)
    status = assoc.send_n_delete(BasicFilmSession, session_uid, meta_uid=META)
    check("N-DELETE Film Session", status)
