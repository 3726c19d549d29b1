"""However a peer's bytes are cut, and whatever they are, both drivers do the same with them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aio.network import Loop
from aio.test_aio import MPPS, entity
from api.peers import IMPLICIT, PATIENCE, message
from dulcimer import aio, evt
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import AssociateRQ, ProposedContext, UserInformation

ECHO = "1.2.840.10008.1.1"
REQUEST = codec.encode(
    AssociateRQ(
        "SERVER",
        "RAW",
        (ProposedContext(1, ECHO, (IMPLICIT,)), ProposedContext(3, str(MPPS), (IMPLICIT,))),
        UserInformation(16382, "1.2.3"),
    )
)
RELEASE = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
RELEASED = b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"


def echo(number: int) -> bytes:
    return message({e.AFFECTED_SOP_CLASS_UID: ECHO, e.COMMAND_FIELD: m.C_ECHO_RQ, e.MESSAGE_ID: number})


def change(number: int, size: int) -> bytes:
    command = {
        e.REQUESTED_SOP_CLASS_UID: str(MPPS),
        e.COMMAND_FIELD: m.N_SET_RQ,
        e.MESSAGE_ID: number,
        e.REQUESTED_SOP_INSTANCE_UID: "1.2.3",
    }
    return message(command, struct.pack("<HHL", 0x10, 0x20, 2 * size) + b"x" * (2 * size), 3)


PIECES = st.one_of(
    st.integers(1, 9).map(echo),
    st.builds(change, st.integers(1, 9), st.integers(0, 3000)),
)
STREAMS = st.lists(PIECES, max_size=5).map(lambda pieces: b"".join(pieces) + RELEASE)
WRONG = st.one_of(
    st.sampled_from([ABORT, REQUEST, b"\x09\x00\x00\x00\x00\x00"]), st.binary(min_size=1, max_size=30)
)


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    handlers = [(evt.EVT_N_SET, lambda event: (0, event.modification_list))]
    blocking = entity().start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert blocking is not None
    loop = Loop()

    async def begin() -> aio.Server:
        return await aio.serve(entity(), ("127.0.0.1", 0), evt_handlers=handlers)

    server = loop.run(begin())
    yield blocking.server_address[1], server.server_address[1]
    loop.run(server.close())
    loop.close()
    blocking.shutdown()


def answers(port: int, streams: list[bytes], pieces: list[tuple[int, bytes]]) -> list[bytes]:
    """Send the pieces of several peers' streams in their order; return what each peer is answered."""
    with ExitStack() as opened:
        peers = [
            opened.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE)) for _ in streams
        ]
        for peer in peers:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            associate(peer)
        for number, piece in pieces:
            peers[number].sendall(piece)
        return [received(peer) for peer in peers]


def associate(peer: socket.socket) -> None:
    """Have an association accepted: data may follow only then."""
    peer.sendall(REQUEST)
    kind, length = struct.unpack(">BxL", peer.recv(6, socket.MSG_WAITALL))
    assert kind == 2
    peer.recv(length, socket.MSG_WAITALL)


def received(peer: socket.socket) -> bytes:
    """Return all that comes up to the answer to a release, or the end."""
    got = b""
    with suppress(ConnectionResetError):
        while not got.endswith(RELEASED):
            more = peer.recv(65536)
            if not more:
                break
            got += more
    return got


@given(st.lists(STREAMS, min_size=1, max_size=3), st.data())
@settings(max_examples=60, deadline=None, database=None)
def test_both_drivers_answer_the_same(ports: tuple[int, int], streams: list[bytes], data: Any) -> None:
    """However the bytes of several peers are cut, and whichever comes first."""
    queues = []
    for number, stream in enumerate(streams):
        cuts = sorted(data.draw(st.lists(st.integers(1, len(stream) - 1), max_size=6, unique=True)))
        edges = zip([0, *cuts], [*cuts, len(stream)], strict=True)
        queues.append([(number, stream[begin:end]) for begin, end in edges])
    order = data.draw(st.permutations([number for number, queue in enumerate(queues) for _ in queue]))
    waiting = [iter(queue) for queue in queues]
    pieces = [next(waiting[number]) for number in order]
    one, other = (answers(port, streams, pieces) for port in ports)
    assert one == other
    assert all(each.endswith(RELEASED) for each in one)


@given(st.lists(PIECES, max_size=3), WRONG)
@settings(max_examples=40, deadline=None, database=None)
def test_whatever_comes_ends_one_association_only(
    ports: tuple[int, int], pieces: list[bytes], wrong: bytes
) -> None:
    """Also if it ends in the middle; the next peer is served as ever."""
    with socket.create_connection(("127.0.0.1", ports[1]), PATIENCE) as peer:
        associate(peer)
        with suppress(OSError):
            peer.sendall(b"".join(pieces) + wrong)
            peer.shutdown(socket.SHUT_WR)
        got = received(peer)
    assert got[:1] in (b"", b"\x04", b"\x07")
    stream = echo(1) + RELEASE
    assert answers(ports[1], [stream], [(0, stream)])[0].endswith(RELEASED)


def test_the_loop_is_running_already() -> None:
    """As in a notebook or a web framework: nothing of ours starts or closes the loop."""

    async def main() -> int:
        async with aio.serve(entity(), ("127.0.0.1", 0)) as server:
            port = server.server_address[1]
            async with aio.connect("127.0.0.1", port, entity().supported_contexts) as peer:
                return int((await peer.send_c_echo()).Status)

    assert asyncio.run(main()) == 0
