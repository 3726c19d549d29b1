"""Listening in an event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, Self

from dulcimer import _config, acceptor
from dulcimer._globals import MODE_ACCEPTOR
from dulcimer.addresses import AddressInformation, SocketAddress
from dulcimer.aio.association import AsyncAssociation, check
from dulcimer.events import Handlers

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor
    from types import TracebackType

    from dulcimer.ae import ApplicationEntity
    from dulcimer.aio.driver import Driver
    from dulcimer.events import EventHandlerType, EventType
    from dulcimer.presentation import PresentationContext

_LOGGER = logging.getLogger("dulcimer.server")

_BACKLOG: Final = 512
_BEYOND: Final = 64
"""Connections beyond the limit of associations that are taken, so that their peers can be told why not."""

_TLS_SHUTDOWN: Final = 2.0
_TLS_HANDSHAKE: Final = 60.0
_DRAIN_STEP: Final = 1.0


class Server:
    """Listens and serves associations in an event loop; :func:`dulcimer.aio.serve` makes it.

    Attributes
    ----------
    ae : AE
        The application entity.
    server_address : tuple
        Where it really listens.
    address_info : AddressInformation
        The same.
    config : Config
        Settings that differ for this server; associations that begin later have them.
    """

    def __init__(
        self,
        ae: ApplicationEntity,
        ae_title: str,
        contexts: list[PresentationContext],
        evt_handlers: Sequence[EventHandlerType],
        *,
        storage: str | None,
        ts_policy: acceptor.TransferSyntaxPolicy,
        config: Mapping[str, Any] | _config.Config | None,
        executor: Executor | None,
        cancel_grace: float,
    ) -> None:
        if storage not in (None, "any", "supported"):
            raise ValueError("'storage' must be 'any', 'supported' or None")
        for event, handler, *_ in evt_handlers:
            check(event, handler)
        self.ae = ae
        self.ae_title = ae_title
        self.contexts = deepcopy(contexts)
        self.config = _config.Config(config)
        self._handlers = Handlers(evt_handlers)
        self._policy = acceptor.Policy(
            acceptor.supported(self.contexts),
            None if storage is None else storage == "any",
            acceptor.chooser(ts_policy),
        )
        self._executor = executor
        self._grace = cancel_grace
        self._associations: dict[AsyncAssociation, None] = {}
        self._ended: set[AsyncAssociation] = set()
        self._changed = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self.server_address: Any = None
        self.address_info: AddressInformation | None = None

    async def listen(self, address: SocketAddress, ssl_context: ssl.SSLContext | None = None) -> None:
        """Begin to listen.

        Raises
        ------
        OSError
            If the address is not ours or in use.
        """
        host, port = address[0], address[1]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = host == "::" and socket.has_dualstack_ipv6()
        sock = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
        options: dict[str, Any] = {}
        if ssl_context is not None:
            options = {
                "ssl": ssl_context,
                "ssl_handshake_timeout": self.ae.acse_timeout or _TLS_HANDSHAKE,
                "ssl_shutdown_timeout": _TLS_SHUTDOWN,
            }
        self.server_address = sock.getsockname()
        self.address_info = AddressInformation.from_tuple(self.server_address)
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                self._accept, sock=sock, backlog=_BACKLOG, **options
            )
        except BaseException:
            sock.close()
            raise
        self.ae.count_in(self)

    def _accept(self) -> Driver:
        settings = _config.settings(self.ae.config, self.config)
        association = _Accepted(
            self.ae, MODE_ACCEPTOR, settings, executor=self._executor, cancel_grace=self._grace
        )
        association.server = self
        self.ae.set_up_acceptor(association, self.ae_title)
        association.acceptor.supported_contexts = self.contexts
        association.acceptor.address_info = self.address_info
        association.use_handlers(self._handlers.copy())
        return association.serve(self._policy, self.left)

    def entered(self, association: AsyncAssociation) -> bool:
        """Take note of an association whose connection is open; tell whether there is room for it."""
        if self._listener is None or len(self._associations) >= self.ae.maximum_associations + _BEYOND:
            return False
        self._associations[association] = None
        return True

    def left(self, association: AsyncAssociation) -> None:
        """Take note that the connection of an association is closed."""
        self._associations.pop(association, None)
        self._ended = {each for each in (*self._ended, association) if each.is_busy}
        self._changed.set()

    @property
    def active_associations(self) -> list[AsyncAssociation]:
        """The associations of this server, established or being negotiated."""
        return list(self._associations)

    @property
    def association_count(self) -> int:
        """How many associations it has, established or being negotiated."""
        return len(self._associations)

    @property
    def is_serving(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def bind(self, event: EventType, handler: Callable[..., Any], args: list[Any] | None = None) -> None:
        """Bind a handler for the present and future associations."""
        check(event, handler)
        self._handlers.bind(event, handler, args)
        for association in self.active_associations:
            association.bind(event, handler, args)

    def unbind(self, event: EventType, handler: Callable[..., Any]) -> None:
        """Unbind a handler from the present and future associations."""
        self._handlers.unbind(event, handler)
        for association in self.active_associations:
            association.unbind(event, handler)

    def stop(self) -> None:
        """Accept nothing more; the associations that are there go on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
            self.ae.count_out(self)
            self._changed.set()

    async def close(self) -> None:
        """Stop listening, abort every association and cancel what its handlers do."""
        self.stop()
        associations = [*self._associations, *self._ended]
        for association in associations:
            association.cancel_handlers()
        try:
            await asyncio.gather(*(association.abort() for association in associations))
        except BaseException:
            for association in associations:
                association.kill()
            raise

    async def drain(self, seconds: float | None = None) -> bool:
        """Stop listening and wait until the associations have ended.

        What is under way is finished. Associations on which nothing happens are aborted after a moment, and
        those that are left after ``seconds`` as well. Returns whether nothing was cut off.
        """
        self.stop()
        finished = True
        resting: set[AsyncAssociation] = set()
        try:
            async with asyncio.timeout(seconds):
                while self._associations:
                    idle = {association for association in self._associations if association.is_idle}
                    # Twice in a row: a peer between two objects is not idle.
                    for association in idle & resting:
                        association.drain()
                    resting = idle
                    self._changed.clear()
                    try:
                        async with asyncio.timeout(_DRAIN_STEP):
                            await self._changed.wait()
                    except TimeoutError:
                        continue
        except TimeoutError:
            finished = not self._associations
        await self.close()
        return finished

    async def serve_forever(self) -> None:
        """Wait until it is stopped; whoever is cancelled meanwhile closes it."""
        try:
            while self.is_serving:
                self._changed.clear()
                await self._changed.wait()
        finally:
            await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Accepted(AsyncAssociation):
    """An association of a server."""

    server: Server

    def opened(self) -> None:
        driver = self._driver
        assert driver is not None
        self.requestor.address_info = driver.peer_address
        if self.server.entered(self):
            super().opened()
        else:
            _LOGGER.warning("%s is turned away: too many connections", self._peer_name())
            driver.kill()
