"""The tests' network on asyncio: the same calls as with threads, made in an event loop of its own thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from api.peers import PATIENCE, Contexts, Network, _contexts
from dulcimer import aio
from dulcimer.aio.association import AsyncAssociation
from dulcimer.aio.server import Server
from dulcimer.errors import AssociationError


class Loop:
    """An event loop in a thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any], seconds: float = 4 * PATIENCE) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        async def call() -> Any:
            return function(*args, **kwargs)

        return self.run(call())

    def close(self) -> None:
        self.run(self._tidy())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()

    @staticmethod
    async def _tidy() -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()


class Blocking:
    """Something that lives in a loop, used from a thread: what is to be awaited is waited for."""

    def __init__(self, loop: Loop, thing: Any) -> None:
        self.__dict__.update(_loop=loop, _thing=thing)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if name == "abort":
            return lambda: self._loop.run(_awaited(found))
        if asyncio.iscoroutinefunction(found):
            return lambda *args, **kwargs: self._loop.run(found(*args, **kwargs))
        if name.startswith("send_"):
            return lambda *args, **kwargs: self._responses(self._loop.call(found, *args, **kwargs))
        if callable(found):
            return lambda *args, **kwargs: self._loop.call(found, *args, **kwargs)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        self._loop.call(setattr, self._thing, name, value)

    def __repr__(self) -> str:
        return repr(self._thing)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._loop.run(self._thing.__aexit__(kind, error, trace))

    def _responses(self, responses: Any) -> Iterator[Any]:
        return Answers(self._loop, responses)

    def join(self, timeout: float | None = None) -> None:
        self._loop.run(self._thing.wait_closed(), PATIENCE if timeout is None else timeout)

    def shutdown(self) -> None:
        self._loop.run(self._thing.close())


async def _awaited(function: Any) -> None:
    await function()


class Answers(Iterator[Any]):
    """Responses, taken from a thread."""

    def __init__(self, loop: Loop, responses: Any) -> None:
        self._loop = loop
        self._responses = responses

    @property
    def message_id(self) -> Any:
        return self._responses.message_id

    def __next__(self) -> Any:
        async def following() -> Any:
            return await anext(self._responses, self)

        found = self._loop.run(following())
        if found is self:
            raise StopIteration
        return found

    def close(self) -> None:
        self._loop.call(self._responses.close)


class LoopNetwork(Network):
    """Servers and requestors in a loop; scripted peers as ever."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__()
        self.loop = Loop(loop)
        self._executor = ThreadPoolExecutor(8)

    def serve(
        self,
        handlers: Iterable[tuple[Any, ...]] = (),
        contexts: Contexts = (),
        *,
        ae: Any = None,
        host: str = "127.0.0.1",
        ssl_context: Any = None,
        **settings: Any,
    ) -> Any:
        async def begin() -> Server:
            return await aio.serve(
                ae,
                (host, 0),
                evt_handlers=self._from_threads(handlers),
                ssl_context=ssl_context,
                contexts=_contexts(contexts) or None,
                executor=self._executor,
            )

        ae = ae or self.ae("SERVER", **settings)
        server = self.loop.run(begin())
        self._open.callback(lambda: self.loop.run(server.close()))
        return Blocking(self.loop, server)

    def associate(
        self,
        server: Any,
        contexts: Contexts,
        handlers: Iterable[tuple[Any, ...]] = (),
        *,
        ae: Any = None,
        host: str | None = None,
        ae_title: str = "SERVER",
        ext_neg: list[Any] | None = None,
        tls_args: Any = None,
        max_pdu: int = 16382,
        **settings: Any,
    ) -> Any:
        address, port = ("127.0.0.1", server) if isinstance(server, int) else server.server_address[:2]
        ae = ae or self.ae("CLIENT", **settings)
        made: list[AsyncAssociation] = []

        class Kept(AsyncAssociation):
            # One that does not come about is looked at as well.
            async def request(self) -> None:
                made.append(self)
                await super().request()

        async def begin() -> None:
            await Kept.open(
                ae,
                host or address,
                port,
                _contexts(contexts),
                ae_title,
                max_pdu,
                ext_neg,
                None,
                tls_args,
                self._from_threads(handlers),
                executor=self._executor,
            )

        try:
            self.loop.run(begin())
        except AssociationError as error:
            assert str(error) == str(made[0].failure)
        self._open.callback(lambda: self.loop.call(made[0].kill))
        return Blocking(self.loop, made[0])

    def _from_threads(self, handlers: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Have handlers given associations that can be used from threads."""

        def wrapped(handler: Any) -> Any:
            def call(event: Any, *args: Any) -> Any:
                event.assoc = Blocking(self.loop, event.assoc)
                return handler(event, *args)

            return call

        return [(event, wrapped(handler), *args) for event, handler, *args in handlers]

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.loop.close()
            self._executor.shutdown()
