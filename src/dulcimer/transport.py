"""Servers: what listens, accepts and serves associations."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from copy import deepcopy
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dulcimer import _config, acceptor
from dulcimer.addresses import AddressInformation, SocketAddress
from dulcimer.association import Association
from dulcimer.data.filesink import NewFiles
from dulcimer.events import EventType, Handlers
from dulcimer.threads.server import Listener, cut_off, drain, listen
from dulcimer.utils import make_target

if TYPE_CHECKING:
    from dulcimer.ae import ApplicationEntity
    from dulcimer.events import EventHandlerType, HandlerArgs
    from dulcimer.presentation import PresentationContext
    from dulcimer.threads.transport import Transport

__all__ = ["AddressInformation", "AssociationServer", "ThreadedAssociationServer"]

_HANDSHAKES = 64
"""Connections beyond the limit of associations that are taken, so that their peers can be told why not."""


class AssociationServer:
    """Listens from construction on; :meth:`serve_forever` accepts.

    Every association has a thread of its own, so nothing that one peer does holds up another.

    Parameters
    ----------
    ae
        The application entity.
    address
        Host and port; an empty host or ``0.0.0.0`` for all IPv4 addresses, ``::`` for those of IPv6 as well,
        port 0 for any free one.
    ae_title
        The AE title that it answers to.
    contexts
        The supported presentation contexts.
    ssl_context
        For TLS.
    evt_handlers
        Handlers that every association gets.
    unrestricted_storage
        Whether every abstract syntax that is not known to be something else is accepted as a storage SOP
        class, in any transfer syntax. By default ``_config.UNRESTRICTED_STORAGE_SERVICE`` decides.
    ts_policy
        ``"acceptor"``: the first transfer syntax of the supported context that was proposed is chosen;
        ``"requestor"``: the first one proposed that is supported.

    Raises
    ------
    OSError
        If the address is not ours or in use.

    Attributes
    ----------
    server_address : tuple
        Where it really listens.
    """

    def __init__(
        self,
        ae: ApplicationEntity,
        address: SocketAddress,
        ae_title: str,
        contexts: list[PresentationContext],
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: Sequence[EventHandlerType] | None = None,
        request_handler: Callable[..., Any] | None = None,
        *,
        unrestricted_storage: bool | None = None,
        ts_policy: str = "acceptor",
    ) -> None:
        if ts_policy not in ("acceptor", "requestor"):
            raise ValueError("'ts_policy' must be 'acceptor' or 'requestor'")
        self.ae = ae
        self.ae_title = ae_title
        self.contexts = deepcopy(contexts)
        self.ssl_context = ssl_context
        self._handlers = Handlers(evt_handlers or ())
        self._policy = acceptor.Policy(
            acceptor.supported(self.contexts),
            _config.UNRESTRICTED_STORAGE_SERVICE if unrestricted_storage is None else unrestricted_storage,
            ts_policy == "requestor",
        )
        self._lock = Lock()
        self._associations: dict[Association, None] = {}
        self._thread: Thread | None = None
        self._new_files = NewFiles()
        self.socket = listen(address)
        self.server_address: SocketAddress = self.socket.getsockname()
        self.address_info = AddressInformation.from_tuple(self.server_address)
        self.address_family = self.address_info.address_family
        self._listener = Listener(
            self.socket,
            self._serve,
            room=lambda count: count < ae.maximum_associations + _HANDSHAKES,
            ssl_context=lambda: self.ssl_context,
            handshake_timeout=lambda: ae.acse_timeout,
        )

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Accept until :meth:`shutdown`. There is no polling: ``poll_interval`` has no effect."""
        self._listener.run()

    def start(self) -> None:
        """Accept in a thread of its own."""
        host, port = self.server_address[:2]
        self._thread = Thread(
            target=make_target(self.serve_forever), name=f"dulcimer-accept-{host}:{port}", daemon=True
        )
        self._thread.start()

    def shutdown(self) -> None:
        """Stop listening and abort every association."""
        self._listener.stop()
        cut_off(self._listener, lambda: self.active_associations)
        self._join()
        self._new_files.close()
        self.ae.forget(self)

    def server_close(self) -> None:
        """Stop listening."""
        self._listener.stop()
        self._join()

    def drain(self, timeout: float | None = None) -> bool:
        """Stop listening and wait until the associations have ended.

        What is under way is finished. Associations on which nothing happens are aborted after a moment, and
        those that are left after ``timeout`` seconds as well. Returns whether nothing was cut off.
        """
        finished = drain(self._listener, lambda: self.active_associations, timeout)
        self._join()
        self._new_files.close()
        self.ae.forget(self)
        return finished

    @property
    def active_associations(self) -> list[Association]:
        """The associations of this server, established or being negotiated."""
        with self._lock:
            return list(self._associations)

    def bind(self, event: EventType, handler: Callable[..., Any], args: list[Any] | None = None) -> None:
        """Bind a handler for the present and future associations."""
        self._handlers.bind(event, handler, args)
        for association in self.active_associations:
            association.bind(event, handler, args)

    def unbind(self, event: EventType, handler: Callable[..., Any]) -> None:
        """Unbind a handler from the present and future associations."""
        self._handlers.unbind(event, handler)
        for association in self.active_associations:
            association.unbind(event, handler)

    def get_events(self) -> list[EventType]:
        """List the events that something is bound to."""
        return self._handlers.events()

    def get_handlers(self, event: EventType) -> list[HandlerArgs] | HandlerArgs:
        """Return the (handler, args) pairs of a notification event, or the one of an intervention event."""
        return self._handlers.of(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join(5.0)

    def _serve(self, transport: Transport, address: Any) -> None:
        association = self.ae.make_acceptor(self.ae_title)
        association.acceptor.supported_contexts = self.contexts
        association.acceptor.address_info = self.address_info
        association.requestor.address_info = AddressInformation.from_tuple(address)
        association.use_handlers(self._handlers.copy())
        association.new_files = self._new_files
        with self._lock:
            self._associations[association] = None
        association.serve(transport, self._policy, self._closed)

    def _closed(self, association: Association) -> None:
        with self._lock:
            self._associations.pop(association, None)


class ThreadedAssociationServer(AssociationServer):
    """The server that ``AE.start_server(block=False)`` starts."""
