"""What only the asyncio driver has: tasks, cancellation, back-pressure, many associations on one loop."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from threading import active_count, current_thread
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from api.peers import Certificates, client_context, server_context
from dulcimer import AE, aio, build_context, evt
from dulcimer.errors import AssociationRejected, AssociationTimeout, ConnectFailed
from dulcimer.sop_class import (
    BasicFilmBox,
    BasicGrayscalePrintManagementMeta,
    CTImageStorage,
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

MPPS = ModalityPerformedProcedureStep
FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove
PRINT, FILM = BasicGrayscalePrintManagementMeta, BasicFilmBox
CLASSES = (Verification, CTImageStorage, MPPS, FIND, GET, MOVE, StorageCommitmentPushModel, PRINT)
PATIENCE = 10.0


def entity(**settings: Any) -> AE:
    ae = AE("SERVER")
    ae.supported_contexts = [build_context(uid) for uid in CLASSES]
    for context in ae.supported_contexts:
        context.scu_role = context.scp_role = True
    ae.maximum_associations = 1000
    for name, value in settings.items():
        setattr(ae, name, value)
    return ae


def contexts() -> list[Any]:
    return [build_context(uid) for uid in CLASSES]


def instance(number: int = 1, size: int = 1000) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"1.2.3.{number}"
    ds.PatientID = str(number)
    ds.PixelData = bytes(size)
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def query() -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.PatientID = "PATIENT", "*"
    return ds


def match(number: int) -> Dataset:
    ds = query()
    ds.PatientID = str(number)
    return ds


def uvloop_policy() -> Callable[[], asyncio.AbstractEventLoop]:
    uvloop = pytest.importorskip("uvloop")
    return uvloop.new_event_loop


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: Any) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in a new loop; nothing of it is left afterwards."""
    factory = uvloop_policy() if request.param == "uvloop" else asyncio.new_event_loop

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        async def guarded() -> Any:
            async with asyncio.timeout(PATIENCE):
                result = await main
            for _ in range(3):
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return result

        with asyncio.Runner(loop_factory=factory) as runner:
            # What a loop keeps for the process is no leak.
            runner.run(asyncio.sleep(0))
        before = descriptors()
        with asyncio.Runner(loop_factory=factory) as runner:
            result = runner.run(guarded())
        gc.collect()
        assert descriptors() <= before
        return result

    return run


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def pair(handlers: list[Any] | None = None, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Yield a server and an association with it."""
    ae = options.pop("ae", None) or entity()
    serving = {name: options.pop(name) for name in ("executor",) if name in options}
    async with (
        aio.serve(ae, ("127.0.0.1", 0), evt_handlers=handlers or [], **serving) as server,
        aio.connect("127.0.0.1", server.server_address[1], contexts(), **options) as peer,
    ):
        yield server, peer


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE * 500)):
        if condition():
            break
        await asyncio.sleep(0.002)
    assert condition()


def test_signatures_and_descriptions_are_those_of_the_conversations() -> None:
    from dulcimer import Association
    from dulcimer.ops import requests

    assert aio.AsyncAssociation.send_n_set.__doc__ == requests.n_set.__doc__
    ours = {name for name in dir(Association) if name.startswith("send_")}
    assert ours == {name for name in dir(aio.AsyncAssociation) if name.startswith("send_")}


def test_all_requests(run: Any) -> None:
    """Every operation, with coroutine functions and plain functions as handlers."""
    seen: list[str] = []

    async def answered(event: evt.Event) -> tuple[int, Dataset]:
        await asyncio.sleep(0)
        seen.append(event.event.name)
        return 0x0000, match(7)

    def plain(event: evt.Event) -> int:
        seen.append(event.event.name)
        return 0x0000

    async def deleted(event: evt.Event) -> int:
        return plain(event)

    handlers = [
        (evt.EVT_C_ECHO, deleted),
        (evt.EVT_C_STORE, plain),
        (evt.EVT_N_GET, answered),
        (evt.EVT_N_SET, answered),
        (evt.EVT_N_CREATE, answered),
        (evt.EVT_N_ACTION, answered),
        (evt.EVT_N_EVENT_REPORT, answered),
        (evt.EVT_N_DELETE, deleted),
    ]

    async def main() -> None:
        threads = active_count()
        async with pair(handlers) as (_, peer):
            push, ds = StorageCommitmentPushModel, match(1)
            assert (await peer.send_c_echo()).Status == 0
            assert (await peer.send_c_store(instance())).Status == 0
            assert (await peer.send_n_get([0x00100020], MPPS, "1.2.3"))[1].PatientID == "7"
            assert (await peer.send_n_set(ds, MPPS, "1.2.3"))[1].PatientID == "7"
            assert (await peer.send_n_create(ds, MPPS, "1.2.3"))[0].Status == 0
            assert (await peer.send_n_action(ds, 1, push, "1.2.3"))[0].Status == 0
            assert (await peer.send_n_delete(FILM, "1.2.3", meta_uid=PRINT)).Status == 0
            assert active_count() == threads
        assert peer.is_released

    run(main())
    assert seen[:4] == ["EVT_C_ECHO", "EVT_C_STORE", "EVT_N_GET", "EVT_N_SET"]


@pytest.mark.parametrize("kind", ["async generator", "generator", "coroutine that returns a list"])
def test_find(run: Any, kind: str) -> None:
    async def asynchronous(event: evt.Event) -> AsyncIterator[Any]:
        for number in range(300):
            await asyncio.sleep(0)
            yield 0xFF00, match(number)

    def synchronous(event: evt.Event) -> Iterator[Any]:
        for number in range(300):
            yield 0xFF00, match(number)

    async def returned(event: evt.Event) -> list[Any]:
        return [(0xFF00, match(number)) for number in range(300)]

    handler = {"async generator": asynchronous, "generator": synchronous}.get(kind, returned)

    async def main() -> None:
        async with pair([(evt.EVT_C_FIND, handler)]) as (_, peer):
            got = [(status.Status, ds) async for status, ds in peer.send_c_find(query(), FIND)]
            assert [ds.PatientID for _, ds in got[:-1]] == [str(number) for number in range(300)]
            assert got[-1] == (0x0000, None)

    run(main())


@pytest.mark.parametrize("how", ["break", "aclose", "async with", "cancel"])
def test_who_stops_early_cancels(run: Any, how: str) -> None:
    """The handler is stopped by a C-CANCEL and the association can be used on."""
    stopped: list[bool] = []

    async def main() -> None:
        over = asyncio.Event()

        async def find(event: evt.Event) -> AsyncIterator[Any]:
            try:
                for number in range(1_000_000):
                    yield 0xFF00, match(number)
                    if number > 5:
                        await asyncio.sleep(0.001)
            finally:
                stopped.append(event.is_cancelled)
                over.set()

        async with pair([(evt.EVT_C_FIND, find)]) as (_, peer):
            if how == "break":
                async for _ in peer.send_c_find(query(), FIND):
                    break
            elif how == "aclose":
                responses = peer.send_c_find(query(), FIND)
                await anext(responses)
                await responses.aclose()
                assert [each async for each in responses] == []
            elif how == "async with":
                async with peer.send_c_find(query(), FIND) as responses:
                    await anext(responses)
            else:
                began = asyncio.Event()

                async def consume() -> None:
                    async for _ in peer.send_c_find(query(), FIND):
                        began.set()

                task = asyncio.create_task(consume())
                await began.wait()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                assert task.cancelled()
            await over.wait()
            assert (await peer.send_c_echo()).Status == 0

    run(main())
    assert stopped == [True]


def test_a_cancelled_request_that_is_not_answered_ends_in_an_abort(run: Any) -> None:
    async def main() -> None:
        async def never(event: evt.Event) -> int:
            await asyncio.sleep(3600)
            return 0

        async with pair([(evt.EVT_C_ECHO, never)], cancel_grace=0.05) as (_, peer):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await peer.send_c_echo()
            await peer.wait_closed()
            assert peer.is_aborted

    run(main())


def test_a_cancelled_request_that_is_answered_ends_nothing(run: Any) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def later(event: evt.Event) -> int:
            await go.wait()
            return 0

        async with pair([(evt.EVT_C_ECHO, later)]) as (_, peer):
            task = asyncio.create_task(peer.send_c_echo())
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])
            go.set()
            # The window is the peer's until it has answered.
            assert (await peer.send_c_echo()).Status == 0
            assert peer.is_established

    run(main())


def test_cancellation_at_every_await_point_leaves_nothing(run: Any) -> None:
    """Whatever is under way when a task is cancelled, nothing of it is left when its blocks have ended."""

    async def find(event: evt.Event) -> AsyncIterator[Any]:
        for number in range(3):
            await asyncio.sleep(0)
            yield 0xFF00, match(number)

    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_C_STORE, lambda event: 0)]

    async def conversation(port: int) -> None:
        async with aio.connect("127.0.0.1", port, contexts(), cancel_grace=0.01) as peer:
            await peer.send_c_echo()
            await peer.send_c_store(instance(size=100_000))
            async for _ in peer.send_c_find(query(), FIND):
                pass

    async def main() -> None:
        async with aio.serve(entity(), ("127.0.0.1", 0), evt_handlers=handlers) as server:
            own = asyncio.all_tasks()
            for turns in range(400):
                task = asyncio.create_task(conversation(server.server_address[1]))
                for _ in range(turns):
                    await asyncio.sleep(0)
                    if task.done():
                        break
                if task.done():
                    await task
                    break
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
            else:
                pytest.fail("the conversation did not come to its end")
            assert turns > 10
            await until(lambda: not server.association_count)
            assert asyncio.all_tasks() == own

    run(main())


def test_get_with_handlers_that_are_coroutines(run: Any) -> None:
    stored: list[str] = []

    async def get(event: evt.Event) -> AsyncIterator[Any]:
        yield 2
        for number in (1, 2):
            await asyncio.sleep(0)
            yield 0xFF00, instance(number)

    async def store(event: evt.Event) -> int:
        await asyncio.sleep(0)
        stored.append(event.dataset.PatientID)
        return 0

    async def main() -> None:
        from dulcimer import build_role

        roles = [build_role(CTImageStorage, scp_role=True)]
        options = {"ext_neg": roles, "evt_handlers": [(evt.EVT_C_STORE, store)]}
        async with pair([(evt.EVT_C_GET, get)], **options) as (_, peer):
            got = [status async for status, _ in peer.send_c_get(query(), GET)]
        assert got[-1].Status == 0x0000
        assert got[-1].NumberOfCompletedSuboperations == 2

    run(main())
    assert stored == ["1", "2"]


def test_move_to_a_third(run: Any) -> None:
    stored: list[str] = []

    async def main() -> None:
        def store(event: evt.Event) -> int:
            stored.append(event.request.MoveOriginatorApplicationEntityTitle)
            return 0

        third = aio.serve(entity(), ("127.0.0.1", 0), evt_handlers=[(evt.EVT_C_STORE, store)])
        async with third as destination:
            where = ("127.0.0.1", destination.server_address[1])

            async def move(event: evt.Event) -> AsyncIterator[Any]:
                yield (*where, {"contexts": [build_context(CTImageStorage)]})
                yield 2
                for number in (1, 2):
                    yield 0xFF00, instance(number)

            async with pair([(evt.EVT_C_MOVE, move)]) as (_, peer):
                got = [status async for status, _ in peer.send_c_move(query(), "THIRD", MOVE)]
            assert got[-1].Status == 0x0000
            assert got[-1].NumberOfCompletedSuboperations == 2

    run(main())
    assert stored == ["DULCIMER", "DULCIMER"]


def test_a_move_destination_that_is_not_there(run: Any) -> None:
    async def move(event: evt.Event) -> AsyncIterator[Any]:
        yield ("127.0.0.1", 1, {"contexts": [build_context(CTImageStorage)]})
        yield 1
        yield 0xFF00, instance()

    async def main() -> None:
        async with pair([(evt.EVT_C_MOVE, move)]) as (_, peer):
            assert [s.Status async for s, _ in peer.send_c_move(query(), "X", MOVE)] == [0xA801]

    run(main())


def test_a_handler_may_ask_the_peer(run: Any) -> None:
    """Each side's handler waits for an answer of the other's, on the same association."""
    order: list[str] = []

    async def main() -> None:
        async def action(event: evt.Event) -> tuple[int, None]:
            order.append("action")
            push = StorageCommitmentPushModel
            status, _ = await event.assoc.send_n_event_report(match(1), 1, push, "1.2.3")
            order.append(f"reported {status.Status}")
            return 0x0000, None

        async def report(event: evt.Event) -> tuple[int, None]:
            order.append("report")
            await asyncio.sleep(0)
            return 0x0000, None

        async with pair([(evt.EVT_N_ACTION, action)], evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)]) as (
            _,
            peer,
        ):
            await peer.send_n_action(match(1), 1, StorageCommitmentPushModel, "1.2.3")

    run(main())
    assert order == ["action", "report", "reported 0"]


def test_a_slow_consumer_holds_the_producer(run: Any) -> None:
    """A million matches need no memory on either side."""
    made = 0

    async def find(event: evt.Event) -> AsyncIterator[Any]:
        nonlocal made
        large = match(1)
        large.PatientComments = "x" * 10_000
        while made < 1_000_000:
            made += 1
            yield 0xFF00, large

    async def main() -> None:
        async with pair([(evt.EVT_C_FIND, find)]) as (_, peer):
            responses = peer.send_c_find(query(), FIND)
            for _ in range(3):
                await anext(responses)
            before = -1
            while before != made:
                before = made
                await asyncio.sleep(0.1)
            # What the sockets and two receive buffers hold.
            assert made < 5_000
            await anext(responses)
            await responses.aclose()
            assert (await peer.send_c_echo()).Status == 0

    run(main())


def test_connections_that_do_not_come_about(run: Any) -> None:
    async def main() -> None:
        with pytest.raises(ConnectFailed, match="refused the connection"):
            await aio.connect("127.0.0.1", 1, contexts())
        ae = entity(require_calling_aet=["OTHER"])
        async with aio.serve(ae, ("127.0.0.1", 0)) as server:
            with pytest.raises(AssociationRejected, match="calling AE title"):
                async with aio.connect("127.0.0.1", server.server_address[1], contexts()):
                    pytest.fail("entered")
        mine = AE()
        mine.acse_timeout = 0.1
        silent = socket.create_server(("127.0.0.1", 0))
        with silent, pytest.raises(AssociationTimeout, match="acse timeout"):
            await aio.connect("127.0.0.1", silent.getsockname()[1], contexts(), ae=mine)

    run(main())


def test_the_limit_of_associations_counts(run: Any) -> None:
    async def main() -> None:
        async with pair(ae=entity(maximum_associations=1)) as (server, _):
            with pytest.raises(AssociationRejected, match="local limit"):
                await aio.connect("127.0.0.1", server.server_address[1], contexts())

    run(main())


def test_tls_in_the_loop(run: Any, certificates: Certificates) -> None:
    async def main() -> None:
        serving = aio.serve(
            entity(),
            ("127.0.0.1", 0),
            ssl_context=server_context(certificates, mutual=True),
            evt_handlers=[(evt.EVT_C_STORE, lambda event: 0)],
        )
        async with serving as server:
            tls = (client_context(certificates, own=True), "localhost")
            port = server.server_address[1]
            async with aio.connect("127.0.0.1", port, contexts(), tls_args=tls) as peer:
                assert (await peer.send_c_store(instance(size=5_000_000))).Status == 0
            assert peer.is_released
            other = (client_context(certificates, certificates.other_authority), "localhost")
            with pytest.raises(ConnectFailed, match="certificate"):
                await aio.connect("127.0.0.1", port, contexts(), tls_args=other)

    run(main())


def test_plain_handlers_run_where_they_are_to(run: Any) -> None:
    threads: set[Any] = set()

    def echo(event: evt.Event) -> int:
        threads.add(current_thread())
        return 0

    def find(event: evt.Event) -> Iterator[Any]:
        threads.add(current_thread())
        yield 0xFF00, match(1)

    def fails(event: evt.Event) -> int:
        raise StopIteration

    handlers = [(evt.EVT_C_ECHO, echo), (evt.EVT_C_FIND, find), (evt.EVT_C_STORE, fails)]

    async def main(executor: Any) -> None:
        async with pair(handlers, executor=executor) as (_, peer):
            assert (await peer.send_c_echo()).Status == 0
            assert [s.Status async for s, _ in peer.send_c_find(query(), FIND)] == [0xFF00, 0x0000]
            assert (await peer.send_c_store(instance())).Status == 0xC211

    run(main(None))
    assert threads == {current_thread()}
    threads.clear()
    with ThreadPoolExecutor(1) as executor:
        run(main(executor))
    assert current_thread() not in threads and len(threads) == 1


def test_coroutines_are_refused_where_the_answer_is_needed_at_once(run: Any) -> None:
    async def identify(event: evt.Event) -> Any:
        return True, None

    async def main() -> None:
        with pytest.raises(TypeError, match="EVT_USER_ID"):
            await aio.serve(entity(), ("127.0.0.1", 0), evt_handlers=[(evt.EVT_USER_ID, identify)])

    run(main())


def test_notification_handlers_may_be_coroutines(run: Any) -> None:
    told: list[str] = []

    async def main() -> None:
        done = asyncio.Event()

        async def opened(event: evt.Event) -> None:
            await asyncio.sleep(0)
            told.append(event.event.name)
            done.set()

        async with pair([(evt.EVT_ESTABLISHED, opened)]):
            await done.wait()

    run(main())
    assert told == ["EVT_ESTABLISHED"]


def test_drain_lets_finish_and_ends_the_idle(run: Any) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def later(event: evt.Event) -> int:
            await go.wait()
            return 0

        async with pair([(evt.EVT_C_ECHO, later)]) as (server, peer):
            answer = asyncio.create_task(peer.send_c_echo())
            await asyncio.sleep(0.01)
            draining = asyncio.create_task(server.drain())
            await asyncio.sleep(0)
            go.set()
            assert (await answer).Status == 0
            await peer.release()
            assert await draining
        assert not server.is_serving

    run(main())


def test_many_idle_associations_are_small(run: Any) -> None:
    """300 on one loop, both sides: what each needs, and that nothing is left of them."""
    number = 300

    async def main() -> None:
        async with aio.serve(entity(), ("127.0.0.1", 0)) as server:
            port, mine, proposed = server.server_address[1], AE(), [build_context(Verification)]

            async def opened() -> Any:
                peer = await aio.connect("127.0.0.1", port, proposed, ae=mine)
                assert (await peer.send_c_echo()).Status == 0
                return peer

            first = await opened()
            gc.collect()
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                peers = [await opened() for _ in range(number)]
                assert server.association_count == number + 1
                # Until the receive buffers have been given back.
                await asyncio.sleep(2.2)
                gc.collect()
                each = (tracemalloc.get_traced_memory()[0] - before) / (2 * number)
            finally:
                tracemalloc.stop()
            assert each < 60_000
            assert len(asyncio.all_tasks()) <= number + 3
            await asyncio.gather(*(peer.release() for peer in peers), first.release())
            await until(lambda: not server.association_count)

    run(main())
