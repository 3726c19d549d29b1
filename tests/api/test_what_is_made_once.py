"""What costs little for each association and each object: nothing is kept, and nothing is made for nobody."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from weakref import ref

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from api.peers import EXPLICIT, PATIENCE, Network, eventually
from dulcimer import build_context, evt
from dulcimer.events import Event
from dulcimer.sop_class import CTImageStorage, Verification


@pytest.fixture
def net() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Leave no work to the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def instance() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    return dataset


@pytest.mark.usefixtures("uncollected")
def test_an_association_that_is_over_is_forgotten_at_once(net: Network) -> None:
    theirs: list[ref[Any]] = []
    server = net.serve(
        [(evt.EVT_ACCEPTED, lambda event: theirs.append(ref(event.assoc)))], contexts=[Verification]
    )
    ae = net.ae()
    ae.add_requested_context(Verification)
    assoc = ae.associate(*server.server_address)
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    assert eventually(lambda: theirs[0]() is None)
    ours = ref(assoc)
    del assoc
    assert eventually(lambda: ours() is None)


def test_what_is_known_of_it_stays_as_long_as_it_is_kept(net: Network) -> None:
    server = net.serve(contexts=[Verification])
    assoc = net.associate(server, [Verification])
    requestor = assoc.requestor
    assoc.release()
    assoc.join(PATIENCE)
    assert assoc.is_released
    assert not assoc.is_alive()
    assert requestor.assoc is assoc
    assert [context.abstract_syntax for context in requestor.requested_contexts] == [Verification]
    assert [context.abstract_syntax for context in assoc.accepted_contexts] == [Verification]
    assert assoc.acceptor.primitive is not None
    with pytest.raises(RuntimeError):
        assoc.send_c_echo()
    assoc.abort()
    assoc.kill()


def test_join_waits_as_long_as_it_is_told_to(net: Network) -> None:
    server = net.serve(contexts=[Verification])
    assoc = net.associate(server, [Verification])
    assoc.join(0)
    assoc.join(-1)
    assoc.join(0.01)
    assert assoc.is_alive()
    assoc.release()
    assoc.join()
    assoc.join(1e12)
    assert not assoc.is_alive()


def test_a_request_is_made_a_primitive_once_and_when_asked_for(net: Network) -> None:
    events: list[Event] = []

    def store(event: Event) -> int:
        before = set(vars(event))
        assert event.request is event.request
        assert event.context is event.context
        assert set(vars(event)) - before == {"request", "context"}
        assert datetime.now() - event.timestamp < timedelta(seconds=PATIENCE)
        assert event.timestamp is event.timestamp
        events.append(event)
        return 0x0000

    context = build_context(CTImageStorage, EXPLICIT)
    server = net.serve([(evt.EVT_C_STORE, store)], contexts=[context])
    assoc = net.associate(server, [context])
    assert assoc.send_c_store(instance()).Status == 0x0000
    (event,) = events
    assert event.request.AffectedSOPInstanceUID == "1.2.3"
    assert event.context.transfer_syntax == EXPLICIT


def test_other_events_have_no_request(net: Network) -> None:
    event = Event(None, evt.EVT_ESTABLISHED)
    assert not hasattr(event, "request")
    assert not hasattr(event, "context")
    with pytest.raises(AttributeError, match="request"):
        _ = event.request
    given = Event(None, evt.EVT_C_STORE, {"request": 1, "context": 2})
    assert (given.request, given.context) == (1, 2)


class Files:
    """Stands for the new files of a server, and writes down what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def prepare(self) -> None:
        self.asked.append("prepare")

    def rest(self) -> None:
        self.asked.append("rest")


def test_a_file_is_made_after_the_answer_and_given_up_at_the_end(net: Network) -> None:
    files = Files()
    asked: list[list[str]] = []

    def store(event: Event) -> int:
        event.assoc.expect_file(files)
        asked.append(list(files.asked))
        return 0x0000

    context = build_context(CTImageStorage, EXPLICIT)
    server = net.serve([(evt.EVT_C_STORE, store)], contexts=[context])
    assoc = net.associate(server, [context])
    assoc.send_c_store(instance())
    assoc.send_c_store(instance())
    assert asked == [[], ["prepare"]]
    assoc.release()
    assert eventually(lambda: files.asked == ["prepare", "prepare", "rest"])
