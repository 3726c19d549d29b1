"""The printer as SCP, and the client of printers, over loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dulcimer import AE, build_context, evt
from dulcimer.errors import AssociationError
from dulcimer.printing.preparing import Prepared
from dulcimer.scp.print_management import FolderSpool, MemorySpool, PrintService
from dulcimer.scp.repository import MemoryRepository
from dulcimer.scp.service import Services
from dulcimer.scu.errors import IllegalStep, Refusal
from dulcimer.scu.print_management import PrintSession, contexts
from dulcimer.services import print_management as rules
from dulcimer.services.printer import Printer
from dulcimer.services.rules import check
from support.films import coloured, dataset, film_box, grey, image_box, reference

SECONDS = 20.0
META = rules.GRAYSCALE_META
SMALL = Printer(resolution=50, margin=0, gap=0)


class Output:
    """Takes films, when it is let."""

    def __init__(self) -> None:
        self.films: list[tuple[str, Dataset]] = []
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Event()
        self.error: BaseException | None = None

    def __call__(self, name: str, film: Dataset) -> None:
        self.begun.set()
        assert self.open.wait(SECONDS)
        if self.error is not None:
            raise self.error
        self.films.append((name, film))


@contextmanager
def serving(service: PrintService) -> Iterator[int]:
    services = Services([service])
    ae = AE("PRINTER")
    services.add_to(ae)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=services.handlers())
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        service.close()


@contextmanager
def printer(characteristics: Printer = SMALL, **options: Any) -> Iterator[tuple[int, PrintService, Output]]:
    output = Output()
    service = PrintService(output, characteristics, **options)
    with serving(service) as port:
        try:
            yield port, service, output
        finally:
            output.open.set()


def associate(port: int, *uids: str, **options: Any) -> Any:
    ae = AE("CONSOLE")
    proposed = [build_context(uid) for uid in uids] or contexts()
    association = ae.associate("127.0.0.1", port, contexts=proposed, **options)
    assert association.is_established
    return association


def ready(columns: int = 4, rows: int = 4, fill: int = 0) -> Prepared:
    item = Prepared()
    item.update(grey(columns, rows, fill=fill))
    return item


def begun(association: Any, layout: str = "STANDARD\\1,1") -> tuple[str, list[str]]:
    """Create film session and film box; return the UIDs of film box and image boxes."""
    status, _ = association.send_n_create(Dataset(), rules.FILM_SESSION, None, meta_uid=META)
    assert status.Status == 0
    session = status.AffectedSOPInstanceUID
    film = "1.2.3.2"
    status, created = association.send_n_create(
        film_box(session, layout), rules.FILM_BOX, film, meta_uid=META
    )
    assert status.Status == 0
    return film, [each.ReferencedSOPInstanceUID for each in created.ReferencedImageBoxSequence]


class Reports:
    """A handler of N-EVENT-REPORT."""

    def __init__(self) -> None:
        self.got: list[tuple[str, int, str]] = []
        self.news = threading.Condition()

    def __call__(self, event: Any) -> tuple[int, None]:
        information = event.event_information
        with self.news:
            said = str(information.get("ExecutionStatusInfo") or information.get("PrinterStatusInfo") or "")
            self.got.append((str(event.request.AffectedSOPClassUID), event.event_type, said))
            self.news.notify_all()
        return 0, None

    def wait(self, count: int) -> list[tuple[str, int, str]]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.got) >= count, SECONDS), self.got
            return self.got[:count]


def test_a_session_from_the_first_request_to_the_film():
    with printer() as (port, service, output):
        association = associate(port)
        with PrintSession(association, copies=2, label="Überblick", priority="HIGH") as session:
            jobs = session.print_images(
                [ready(fill=value) for value in range(5)], "STANDARD\\2,1", "8INX10IN", trim=True
            )
            assert [job.wait(SECONDS) for job in jobs] == [True, True, True]
            assert {job.status for job in jobs} == {rules.DONE}
        association.release()
        assert [len(film.ImageBoxContentSequence) for _, film in output.films] == [2, 2, 1]
        assert [name for name, _ in output.films] == [f"{job.uid}-1" for job in jobs]
        (film, *_) = [film for _, film in output.films]
        assert (film.FilmSizeID, film.Trim) == ("8INX10IN", "YES")
        kept = service.jobs.get(jobs[0].uid)
        assert (kept.ExecutionStatus, kept.NumberOfCopies, kept.Originator) == ("DONE", 2, "CONSOLE")
        assert kept.FilmSessionLabel == "Überblick"
        assert kept.FilmBoxContentSequence[0].ImageDisplayFormat == "STANDARD\\2,1"
        assert "PixelData" not in str(kept)


def test_films_together_are_one_job():
    with printer() as (port, _, output):
        association = associate(port)
        session = PrintSession(association)
        (job,) = session.print_images([ready() for _ in range(3)], together=True)
        assert job.wait(SECONDS)
        session.close()
        association.release()
        assert [name for name, _ in output.films] == [f"{job.uid}-{number}" for number in (1, 2, 3)]


def test_4_6_events_of_a_job_come_in_order_and_after_the_answer():
    """Print Job: 1 Pending, 2 Printing, 3 Done, on the same association."""
    with printer() as (port, service, output):
        output.open.clear()
        reports = Reports()
        association = associate(port, META, rules.PRINT_JOB, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reports)])
        film, _ = begun(association)
        status, reply = association.send_n_action(None, 1, rules.FILM_BOX, film, meta_uid=META)
        assert status.Status == 0xB603
        job = reply.ReferencedPrintJobSequence[0].ReferencedSOPInstanceUID
        assert reports.wait(2) == [(rules.PRINT_JOB, 1, "QUEUED"), (rules.PRINT_JOB, 2, "NORMAL")]
        status, found = association.send_n_get([], rules.PRINT_JOB, job)
        assert (status.Status, found.ExecutionStatus, found.PrinterName) == (0, "PRINTING", "DULCIMER")
        assert check("N-GET", rules.PRINT_JOB, found, level="strict").ok
        output.open.set()
        assert reports.wait(3)[2] == (rules.PRINT_JOB, 3, "NORMAL")
        assert service.wait_until_printed(SECONDS)
        association.release()


def test_4_6_a_failed_job_and_the_printers_own_events():
    """Print Job event 4, Printer event 3 and, when it works again, 1."""
    with printer() as (port, service, output):
        output.error = OSError(28, "No space left on device")
        reports = Reports()
        association = associate(port, META, rules.PRINT_JOB, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reports)])
        film, _ = begun(association)
        association.send_n_action(None, 1, rules.FILM_BOX, film, meta_uid=META)
        assert reports.wait(4)[2:] == [
            (rules.PRINT_JOB, 4, "CHECK PRINTER"),
            (rules.PRINTER, 3, "RECEIVER FULL"),
        ]
        _status, found = association.send_n_get(
            [0x21100010, 0x21100020], rules.PRINTER, rules.PRINTER_INSTANCE, meta_uid=META
        )
        assert (found.PrinterStatus, found.PrinterStatusInfo) == ("FAILURE", "RECEIVER FULL")
        output.error = None
        association.send_n_action(None, 1, rules.FILM_BOX, film, meta_uid=META)
        assert reports.wait(8)[4:] == [
            (rules.PRINT_JOB, 1, "QUEUED"),
            (rules.PRINT_JOB, 2, "NORMAL"),
            (rules.PRINT_JOB, 3, "NORMAL"),
            (rules.PRINTER, 1, ""),
        ]
        service.set_status("WARNING", "SUPPLY LOW")
        assert reports.wait(9)[8] == (rules.PRINTER, 2, "SUPPLY LOW")
        association.release()


@pytest.mark.parametrize(
    ("error", "information"),
    [(MemoryError(), "INSUFFIC MEMORY"), (ValueError("no film"), "INVALID PAGE DES")],
)
def test_what_went_wrong_is_in_the_job(error, information):
    with printer() as (port, service, output):
        output.error = error
        association = associate(port)
        session = PrintSession(association)
        (job,) = session.print_images([ready()])
        assert job.wait(SECONDS)
        assert (job.status, job.information) == ("FAILURE", information)
        association.release()
        assert service.jobs.get(job.uid).ExecutionStatusInfo == information


def test_4_6_a_job_is_known_on_its_association_and_until_it_is_confirmed():
    with printer() as (port, service, output):
        output.open.clear()
        mine, other = associate(port), associate(port)
        session = PrintSession(mine)
        (job,) = session.print_images([ready()])
        assert job.get().ExecutionStatus in ("PENDING", "PRINTING")
        status, _ = other.send_n_get([], rules.PRINT_JOB, job.uid)
        assert status.Status == 0x0112
        output.open.set()
        assert job.wait(SECONDS) and service.wait_until_printed(SECONDS)
        mine.release()
        other.release()
        again = associate(port)
        status, _ = again.send_n_get([], rules.PRINT_JOB, job.uid)
        assert status.Status == 0x0112
        again.release()


def test_4_2_no_reference_to_a_job_unless_print_job_was_negotiated():
    with printer() as (port, _, _output):
        association = associate(port, META)
        film, _ = begun(association)
        status, reply = association.send_n_action(None, 1, rules.FILM_BOX, film, meta_uid=META)
        assert status.Status == 0xB603 and not reply
        association.release()


def test_4_6_the_printer_and_its_configuration():
    with printer() as (port, _, _output):
        association = associate(port)
        session = PrintSession(association)
        found = session.printer()
        assert found.PrinterStatus == "NORMAL"
        assert check("N-GET", rules.PRINTER, found, level="strict").ok
        (item,) = session.configuration().PrinterConfigurationSequence
        assert (item.SupportedImageDisplayFormatsSequence[0].Rows, item.PrinterName) == (850, "DULCIMER")
        lacking = check("N-GET", rules.PRINTER_CONFIGURATION, dataset(PrinterConfigurationSequence=[item]))
        # There are no media that would have to be fetched.
        assert [finding.name.split(" > ")[-1] for finding in lacking.blocking] == [
            "OtherMediaAvailableSequence"
        ]
        status, some = association.send_n_get(
            [0x21100010, 0x00100010], rules.PRINTER, rules.PRINTER_INSTANCE, meta_uid=META
        )
        assert (status.Status, status.AttributeIdentifierList) == (0x0107, 0x00100010)
        assert [element.keyword for element in some] == ["PrinterStatus"]
        status, _ = association.send_n_get([], rules.PRINTER, "1.2.3", meta_uid=META)
        assert status.Status == 0x0112
        association.release()


def test_4_1_two_associations_do_not_see_each_others_boxes():
    with printer() as (port, _, _output):
        one, two = associate(port), associate(port)
        _, (image,) = begun(one)
        # The same UIDs on the other side are other instances.
        _, (other,) = begun(two)
        status, _ = two.send_n_set(image_box(grey(4, 4)), rules.GRAYSCALE_IMAGE_BOX, image, meta_uid=META)
        assert status.Status == 0x0112 and image != other
        status, _ = one.send_n_set(image_box(grey(4, 4)), rules.GRAYSCALE_IMAGE_BOX, image, meta_uid=META)
        assert status.Status == 0
        one.release()
        two.release()


@pytest.mark.parametrize("ending", ["release", "abort"])
def test_4_1_everything_but_jobs_dies_with_the_association(ending):
    characteristics = Printer(resolution=50, memory=10_000)
    with printer(characteristics) as (port, service, output):
        output.open.clear()
        first = associate(port)
        film, (image,) = begun(first)
        big = image_box(grey(90, 90))
        assert first.send_n_set(big, rules.GRAYSCALE_IMAGE_BOX, image, meta_uid=META)[0].Status == 0
        assert first.send_n_action(None, 1, rules.FILM_BOX, film, meta_uid=META)[0].Status == 0
        second = associate(port)
        film, (image,) = begun(second)
        # As long as the first is there it has the memory.
        status, _ = second.send_n_set(big, rules.GRAYSCALE_IMAGE_BOX, image, meta_uid=META)
        assert status.Status == 0xC605
        gone = threading.Event()
        ended = service.association_ended

        def noticed(association: Any) -> None:
            ended(association)
            gone.set()

        service.association_ended = noticed  # type: ignore[method-assign]
        getattr(first, ending)()
        assert gone.wait(SECONDS)
        status, _ = second.send_n_set(big, rules.GRAYSCALE_IMAGE_BOX, image, meta_uid=META)
        assert status.Status == 0
        output.open.set()
        assert service.wait_until_printed(SECONDS)
        assert len(output.films) == 1
        second.release()


def test_4_2_the_queue_of_the_printer_has_an_end():
    with printer(Printer(resolution=50, queue_length=2)) as (port, service, output):
        output.open.clear()
        association = associate(port)
        session = PrintSession(association)
        session.create_film_box()
        for _ in range(2):
            session.print_film_box()
        for operation, code in ((session.print_film_box, 0xC602), (session.print_session, 0xC601)):
            with pytest.raises(Refusal) as caught:
                operation()
            assert caught.value.status == code
            assert "queue is full" in str(caught.value)
        output.open.set()
        assert service.wait_until_printed(SECONDS)
        session.print_film_box()
        association.release()


def test_jobs_are_printed_by_priority():
    with printer() as (port, service, output):
        output.open.clear()
        association = associate(port)
        jobs = {}
        for priority in ("LOW", "MED", "HIGH"):
            session = PrintSession(association, priority=priority)
            (jobs[priority],) = session.print_images([ready()])
            if priority == "LOW":
                assert output.begun.wait(SECONDS)
            session.delete_session()
        output.open.set()
        assert service.wait_until_printed(SECONDS)
        assert [name for name, _ in output.films] == [
            f"{jobs[each].uid}-1" for each in ("LOW", "HIGH", "MED")
        ]
        association.release()


def test_a_job_that_was_acknowledged_is_printed_after_a_restart(tmp_path):
    jobs, folder = MemoryRepository(), tmp_path / "queue"
    with printer(jobs=jobs, spool=FolderSpool(folder)) as (port, service, output):
        output.open.clear()
        association = associate(port)
        session = PrintSession(association)
        first, second = session.print_images([ready(fill=1), ready(fill=2)])
        assert output.begun.wait(SECONDS)
        association.release()
        closing = threading.Thread(target=service.close)
        closing.start()
        output.open.set()
        closing.join(SECONDS)
        assert not closing.is_alive()
        # What was being printed is finished, the other waits.
        assert [name for name, _ in output.films] == [f"{first.uid}-1"]
        assert [path.stem for path in folder.iterdir()] == [second.uid]
    (folder / "half.part").write_bytes(b"half")
    (folder / "1.2.3.job").write_bytes(b"of a job that nobody was told of")
    output = Output()
    service = PrintService(output, SMALL, jobs, FolderSpool(folder))
    assert service.wait_until_printed(SECONDS)
    service.close()
    ((name, film),) = output.films
    assert name == f"{second.uid}-1"
    assert film.ImageBoxContentSequence[0].BasicGrayscaleImageSequence[0].PixelData == b"\2" * 16
    assert jobs.get(second.uid).ExecutionStatus == "DONE"
    assert not list(folder.iterdir())


def test_a_job_that_cannot_be_kept_is_not_acknowledged():
    class Full(MemorySpool):
        def put(self, uid: str, content: Dataset) -> None:
            raise OSError(28, "No space left on device")

    with printer(spool=Full()) as (port, service, output):
        association = associate(port)
        session = PrintSession(association)
        with pytest.raises(Refusal) as caught:
            session.print_images([ready()])
        assert caught.value.status == 0x0213 and "No space left" in str(caught.value)
        association.release()
        assert not list(service.jobs.all()) and not output.films


def test_big_endian_pixels_are_printed_like_others():
    big = "1.2.840.10008.1.2.2"
    with printer() as (port, service, output):
        association = AE("CONSOLE").associate("127.0.0.1", port, contexts=[build_context(META, big)])
        assert association.accepted_contexts[0].transfer_syntax == [big]
        film, (uid,) = begun(association)
        image = grey(2, 1, 12)
        image.PixelData = b"\x0f\x12\x03\x45"
        _status, _ = association.send_n_set(image_box(image), rules.GRAYSCALE_IMAGE_BOX, uid, meta_uid=META)
        association.send_n_action(None, 1, rules.FILM_BOX, film, meta_uid=META)
        association.release()
        assert service.wait_until_printed(SECONDS)
        ((_, film_printed),) = output.films
        data = film_printed.ImageBoxContentSequence[0].BasicGrayscaleImageSequence[0].PixelData
        assert np.frombuffer(data, "<u2").tolist() == [0x0F12, 0x0345]


def test_operations_that_are_none():
    with printer() as (port, _, _output):
        association = associate(port)
        film, (image,) = begun(association)
        assert association.send_n_delete(rules.GRAYSCALE_IMAGE_BOX, image, meta_uid=META).Status == 0x0211
        status, _ = association.send_n_get([], rules.FILM_BOX, film, meta_uid=META)
        assert status.Status == 0x0211
        status, _ = association.send_n_action(None, 2, rules.FILM_BOX, film, meta_uid=META)
        assert status.Status == 0x0123
        status, _ = association.send_n_create(Dataset(), rules.GRAYSCALE_IMAGE_BOX, "1.2.3", meta_uid=META)
        assert status.Status == 0x0211
        association.release()


# ---- the client ----------------------------------------------------------------------------------------


def test_colour_and_annotations_and_luts_of_the_client():
    with printer() as (port, _, output):
        association = associate(port)
        session = PrintSession(association, color=True)
        item = Prepared()
        item.update(coloured(4, 4))
        (job,) = session.print_images(
            [item], annotation_format="2", annotations=["Grüße", "Hello"], presentation_lut="IDENTITY"
        )
        assert job.wait(SECONDS)
        session.close()
        association.release()
        ((_, film),) = output.films
        assert [item.TextString for item in film.AnnotationContentSequence] == ["Grüße", "Hello"]
        assert film.PresentationLUTContentSequence[0].PresentationLUTShape == "IDENTITY"
        assert "BasicColorImageSequence" in film.ImageBoxContentSequence[0]


def test_warnings_are_kept_in_words():
    with printer() as (port, _, _output):
        association = associate(port)
        session = PrintSession(association)
        (job,) = session.print_images([ready(2000, 10)])
        assert [each.status for each in session.warnings] == [0xB604, 0xB604]
        assert "demagnified" in str(job.warnings[0])
        association.release()


def test_illegal_steps_are_not_sent():
    with printer() as (port, _, _output):
        sent: list[Any] = []
        association = associate(port, META, evt_handlers=[(evt.EVT_DIMSE_SENT, sent.append)])
        with pytest.raises(IllegalStep, match="colour"):
            PrintSession(association, color=True)
        session = PrintSession(association)
        for step, words in (
            (lambda: session.print_session(), "no film box"),
            (lambda: session.print_film_box(), "no film box"),
            (lambda: session.delete_film_box(), "no film box"),
            (lambda: session.delete_session(), "no film session"),
            (lambda: session.set_image(1, grey(4, 4)), "no film box"),
            (lambda: session.create_film_box("2x3"), "no image display format"),
            (lambda: session.create_film_box(annotation_format="1"), "Annotation Box was not accepted"),
            (lambda: session.create_film_box(lut="1.2.3"), "no such Presentation LUT"),
            (lambda: session.create_film_box(further={"FilmOrientation": "ASKEW"}), "FilmOrientation"),
            (lambda: session.create_lut("IDENTITY"), "not accepted"),
            (lambda: session.configuration(), "not accepted"),
            (lambda: session.print_images([ready()], bits=10), "8 or 12"),
            (lambda: session.print_images([ready()], presentation_lut="ROUND"), "LIN OD"),
            (lambda: session.print_images([ready()], "GRID"), "no image display format"),
            (lambda: session.print_images([ready()], orientation="ASKEW"), "FilmOrientation"),
            (lambda: session.print_images([ready()], polarity="GREY"), "Polarity"),
        ):
            with pytest.raises(IllegalStep, match=words):
                step()
        assert session.print_images([]) == []
        assert not sent
        film = session.create_film_box()
        count = len(sent)
        for step, words in (
            (lambda: session.create_session(), "one film session"),
            (lambda: session.set_image(2, grey(4, 4)), "no position 2"),
            (lambda: session.set_image(1, dataset(Rows=4)), "Missing"),
            (lambda: session.annotate(1, "text"), "0 annotation boxes"),
            (lambda: session.set_film_box({"FilmSizeID": "A4"}), "Not allowed"),
            (lambda: session.delete_lut("1.2.3"), "no such Presentation LUT"),
        ):
            with pytest.raises(IllegalStep, match=words):
                step()
        assert len(sent) == count
        assert session.film is film
        assert session.set_film_box({"Trim": "YES"}).Trim == "YES"
        job = session.print_film_box()
        assert not job.uid and not job.wait(0.0)
        with pytest.raises(IllegalStep, match="does not tell"):
            job.get()
        association.release()


def test_an_association_that_ends_is_told():
    with printer() as (port, _service, output):
        output.open.clear()
        association = associate(port)
        session = PrintSession(association)
        (job,) = session.print_images([ready()])
        ender = threading.Thread(target=association.abort)
        ender.start()
        assert job.wait(SECONDS) is False
        ender.join(SECONDS)
        with pytest.raises((AssociationError, RuntimeError)):
            session.create_film_box()
        session.close()


def test_a_refusal_says_it_in_words():
    with printer() as (port, _, _output):
        association = associate(port)
        session = PrintSession(association)
        with pytest.raises(Refusal) as caught:
            session.print_images([ready(2000, 10)], decimate_crop="FAIL")
        refusal = caught.value
        assert (refusal.status, refusal.operation) == (0xC603, "set image 1")
        assert str(refusal).startswith("set image 1: C603 Image is larger than the image box")
        with pytest.raises(Refusal, match="0106") as caught:
            session.print_images([ready()], film_size="1INX1IN")
        assert "FilmSizeID" in caught.value.values
        association.release()


def test_the_handler_of_events_is_given_back():
    with printer() as (port, _, _output):
        reports = Reports()
        association = associate(port, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reports)])
        session = PrintSession(association)
        (job,) = session.print_images([ready()])
        assert job.wait(SECONDS)
        session.close()
        assert association.bound(evt.EVT_N_EVENT_REPORT)[0] is reports
        association.release()


def test_a_lut_is_made_and_deleted():
    with printer() as (port, _, _output):
        association = associate(port)
        session = PrintSession(association)
        lut = session.create_lut("LIN OD")
        session.create_film_box(lut=lut)
        with pytest.raises(Refusal, match="referenced"):
            session.delete_lut(lut)
        session.delete_session()
        session.delete_lut(lut)
        with pytest.raises(IllegalStep):
            session.delete_lut(lut)
        association.release()


def test_references_name_class_and_instance():
    assert reference(rules.FILM_BOX, "1.2") == rules.reference_to(rules.FILM_BOX, "1.2")
