"""Many operations of many threads with random ends: nobody is stuck, and nothing is left over."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import monotonic, sleep
from typing import Any

import pytest

from dulcimer.errors import AssociationError
from dulcimer.ops import lifecycle
from dulcimer.ops.requests import request
from dulcimer.protocol.association.contexts import Context
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.assembler import Message
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import Abort
from dulcimer.threads.idle import REST, WATCHER
from unit.protocol.engines import CT_CONTEXT, ECHO_CONTEXT, echo_request, store_request
from unit.threads import tls
from unit.threads.ends import (
    CONFIG,
    PATIENCE,
    UNLIMITED,
    End,
    InBackground,
    associate,
    connection,
    eventually,
    make_end,
    nothing_left,
    plain,
    serve,
)

SECONDS = 4.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

End_ = Callable[[End, End, random.Random], Any]


def release(scu: End, scp: End, dice: random.Random) -> None:
    end = dice.choice((scu, scp))
    end.driver.run(lifecycle.release(end.engine))


def collide(scu: End, scp: End, dice: random.Random) -> None:
    other = InBackground(lambda: scp.driver.run(lifecycle.release(scp.engine)))
    with suppress(AssociationError, RuntimeError):
        scu.driver.run(lifecycle.release(scu.engine))
    other.wait()


def abort(scu: End, scp: End, dice: random.Random) -> None:
    dice.choice((scu, scp)).driver.abort()


def kill(scu: End, scp: End, dice: random.Random) -> None:
    dice.choice((scu, scp)).driver.kill()


def abort_twice(scu: End, scp: End, dice: random.Random) -> None:
    other = InBackground(scp.driver.abort)
    scu.driver.abort()
    scu.driver.kill()
    other.wait()


def cut(scu: End, scp: End, dice: random.Random) -> None:
    """The network goes away."""
    dice.choice((scu, scp)).transport.cut()


def garbage(scu: End, scp: End, dice: random.Random) -> None:
    """Bytes that are no PDU, perhaps in the middle of another one."""
    end = dice.choice((scu, scp))
    with suppress(OSError), end.driver._lock:
        if not end.transport.closed:
            end.transport.inner.send_some([codec.encode(Abort(2, 0))[:7] + bytes(40)])


ENDS: tuple[End_, ...] = (release, collide, abort, kill, abort_twice, cut, garbage)


def one_association(dice: random.Random, secure: bool) -> None:
    """Use an association from several threads until it ends in some way."""
    wrap = tls.wrap if secure else plain
    client, server = wrap(*connection(*dice.choice(((0, 0), (4096, 4096)))))
    window = dice.choice((None, UNLIMITED))
    ends: dict[str, End] = {}

    def answers(end: str) -> Callable[[Message, Context], Any]:
        def respond(message: Message, context: Context) -> Any:
            own = ends[end]
            chance = random.random()
            if chance < 0.05:
                sleep(random.random() / 200)
            elif chance < 0.15:
                with suppress(AssociationError, RuntimeError):
                    work(own, random.Random(chance))
            elif chance < 0.16:
                own.driver.abort()
            return 0x0000

        return respond

    def work(end: End, dice: random.Random) -> None:
        engine = end.engine
        size = dice.choice((0, 0, 0, 10, 20_000, 300_000))
        operation = (
            request(engine, engine.contexts[CT_CONTEXT], store_request(), bytes(size))
            if size
            else request(engine, engine.contexts[ECHO_CONTEXT], echo_request(), None)
        )
        response = end.driver.run(operation)
        assert response.command[e.STATUS] == 0

    def use(end: End, seed: int, stop: threading.Event) -> None:
        dice = random.Random(seed)
        try:
            while not stop.is_set():
                work(end, dice)
                if dice.random() < 0.1:
                    sleep(dice.choice((0.0, 0.001, REST, REST + 0.002)))
        except (AssociationError, RuntimeError):
            assert end.engine.ended or not end.engine.established

    config = replace(CONFIG, linger=0.2)
    scu = ends["scu"] = make_end(client, True, answers("scu"), config, WATCHER)
    scp = ends["scp"] = make_end(server, False, answers("scp"), config)
    thread = serve(scp, window)
    stop = threading.Event()
    with suppress(AssociationError):
        associate(scu, window)
    who = [scu] * dice.randint(1, 4) + [scp] * dice.randint(0, 2)
    seeds = [dice.randrange(1 << 32) for _ in who]
    users = [
        InBackground(lambda end=end, seed=seed: use(end, seed, stop))  # type: ignore[misc]
        for end, seed in zip(who, seeds, strict=True)
    ]
    sleep(dice.choice((0.0, 0.002, 0.01, 0.05)))
    with suppress(AssociationError, RuntimeError):
        dice.choice(ENDS)(scu, scp, dice)
    stop.set()
    # Not every end is one: what is no PDU may be taken for the data that it came in the middle of.
    if not eventually(lambda: scu.is_over and all(user.done for user in users), 0.3):
        scu.driver.abort()
    for user in users:
        user.wait(PATIENCE)
        if user.error is not None:
            raise user.error
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert eventually(lambda: scu.transport.closed and scp.transport.closed)
    assert eventually(lambda: scu.is_over and scp.is_over), (scu.told, scp.told)
    assert scu.faults == scp.faults == []
    assert not scu.driver._lock.locked() and not scp.driver._lock.locked()


@pytest.mark.parametrize("secure", [False, True])
def test_random_use_and_random_ends(secure: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="dulcimer.service")
    seed = random.randrange(1 << 32)
    print("seed", seed)
    if secure:
        tls.contexts()
    with nothing_left(2.0):
        until = monotonic() + SECONDS

        def lane(number: int) -> int:
            dice, done = random.Random(seed + number), 0
            while monotonic() < until:
                one_association(dice, secure)
                done += 1
            return done

        lanes = [InBackground(lambda number=number: lane(number)) for number in range(4)]  # type: ignore[misc]
        for one in lanes:
            one.wait(SECONDS + 4 * PATIENCE)
        done = [one.result() for one in lanes]
        print("associations", done)
        assert all(done)
    # Nothing of what the other side does may be a fault of ours.
    assert not [record for record in caplog.records if record.exc_info and record.name == "dulcimer.threads"]
