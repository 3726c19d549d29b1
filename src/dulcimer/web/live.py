"""Server-sent events: clients hear which topic has changed and ask again for what they show of it.

What is sent has no patient data, and a slow client costs nothing: what it has not heard yet is a set of
topics, however often they change.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from dulcimer.web.view import Topic

GATHER_SECONDS: Final = 0.15
"""So long changes are gathered before clients hear of them."""

LOOK_SECONDS: Final = 2.0
"""So often is looked for what nobody says."""

KEEP_ALIVE_SECONDS: Final = 20.0
MOST_CLIENTS: Final = 500

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class Live:
    """An ASGI endpoint, and the function that says what has changed.

    :meth:`tell` may be called by any thread at any rate: without clients it does nothing, and with them it
    wakes the loop at most once for all that happens until they have heard.

    Parameters
    ----------
    look
        Called by a thread now and then while somebody listens; it may call :meth:`tell`.
    """

    def __init__(self, look: Callable[[], object] = lambda: None) -> None:
        self._look = look
        self._lock = Lock()
        self._changed: set[Topic] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients: set[_Client] = set()
        self._closed = False
        self._looking: asyncio.Future[None] | None = None

    @property
    def clients(self) -> int:
        """How many are listening."""
        return len(self._clients)

    def tell(self, topic: Topic) -> None:
        """Say that something of a topic may have changed."""
        if not self._clients:
            return
        with self._lock:
            wake = not self._changed
            self._changed.add(topic)
            loop = self._loop
        if wake and loop is not None:
            # The loop may be closed just now, which is the end of all clients too.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._gather)

    def close(self) -> None:
        """End every stream, those that begin later too."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for client in self._clients:
            client.wake.set()

    def _gather(self) -> None:
        asyncio.get_running_loop().call_later(GATHER_SECONDS, self._pass_on)

    def _pass_on(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
        for client in self._clients:
            client.waiting |= changed
            client.wake.set()

    async def _keep_looking(self) -> None:
        while self._clients and not self._closed:
            with suppress(Exception):
                await asyncio.to_thread(self._look)
            await asyncio.sleep(LOOK_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": b""})
            return
        if len(self._clients) >= MOST_CLIENTS:
            busy = JSONResponse({"error": "too many clients listen already"}, 503, {"Retry-After": "30"})
            await busy(scope, receive, send)
            return
        self._loop = asyncio.get_running_loop()
        client = _Client()
        self._clients.add(client)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._keep_looking())
        gone = asyncio.ensure_future(_gone(receive, client))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await _chunk(send, b"retry: 2000\nevent: connected\ndata:\n\n")
            while not (client.gone or self._closed):
                try:
                    async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                        await client.wake.wait()
                except TimeoutError:
                    await _chunk(send, b": still here\n\n")
                    continue
                client.wake.clear()
                topics, client.waiting = sorted(client.waiting), set()
                if topics and not client.gone:
                    await _chunk(send, "".join(f"event: {topic}\ndata:\n\n" for topic in topics).encode())
            if not client.gone:
                await send({"type": "http.response.body", "body": b""})
        except OSError:
            pass  # the client went away while it was written to
        finally:
            self._clients.discard(client)
            gone.cancel()


class _Client:
    """What one client has not heard yet."""

    def __init__(self) -> None:
        self.waiting: set[Topic] = set()
        self.wake = asyncio.Event()
        self.gone = False


async def _gone(receive: Receive, client: _Client) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    client.gone = True
    client.wake.set()


async def _chunk(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
