"""Servers: what listens, accepts and serves associations."""

from __future__ import annotations

import contextvars
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from socketserver import BaseRequestHandler, BaseServer, TCPServer
from threading import Lock, Thread, local
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dulcimer import _config, acceptor
from dulcimer.addresses import AddressInformation, SocketAddress
from dulcimer.association import Association
from dulcimer.data.filesink import NewFiles
from dulcimer.events import EventType, Handlers
from dulcimer.threads import transport as transports
from dulcimer.threads.server import BACKLOG, Listener, cut_off, drain, listen

if TYPE_CHECKING:
    from dulcimer.ae import ApplicationEntity
    from dulcimer.events import EventHandlerType, HandlerArgs
    from dulcimer.presentation import PresentationContext
    from dulcimer.threads.transport import Transport

__all__ = ["AddressInformation", "AssociationServer", "RequestHandler", "ThreadedAssociationServer"]

_HANDSHAKES = 64
"""Connections beyond the limit of associations that are taken, so that their peers can be told why not."""


class RequestHandler(BaseRequestHandler):
    """Serves one connection of a server, in a thread of its own.

    A program may give a subclass to a server as ``request_handler``, to look at the connection before or
    after it is served.

    Attributes
    ----------
    request : socket.socket
        The connection.
    client_address : tuple
        The peer's address, as sockets have it.
    server : AssociationServer
        The server.
    """

    server: AssociationServer

    @property
    def ae(self) -> ApplicationEntity:
        """The application entity of the server."""
        return self.server.ae

    @property
    def local(self) -> AddressInformation:
        """Where the server listens."""
        return self.server.address_info

    @property
    def remote(self) -> AddressInformation:
        """Where the peer is."""
        return AddressInformation.from_tuple(self.client_address)

    def handle(self) -> None:
        """Be the acceptor of an association until its connection is closed."""
        self.server.serve_association(self.request, self.client_address)


class AssociationServer(TCPServer):
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
    request_handler
        Called with the socket, the address of the peer and the server for each connection:
        :class:`RequestHandler` by default.
    storage
        ``"any"``: every abstract syntax that is not known to be something else is accepted as a storage SOP
        class, in any transfer syntax; ``"supported"``: only what is among the contexts. By default
        ``_config.UNRESTRICTED_STORAGE_SERVICE`` decides.
    ts_policy
        ``"acceptor"``: the first transfer syntax of the supported context that was proposed is chosen;
        ``"requestor"``: the first one proposed that is supported. Or a function of the abstract syntax, the
        proposed and the supported transfer syntaxes that returns a proposed one, or None to reject the
        context.
    config
        Settings of :mod:`dulcimer._config` that differ for this server.

    Raises
    ------
    OSError
        If the address is not ours or in use.
    ValueError
        If ``storage`` or ``ts_policy`` is none of the above.

    Attributes
    ----------
    server_address : tuple
        Where it really listens.
    address_info : AddressInformation
        The same.
    config : Config
        Settings that differ for this server; associations that begin later have them.
    request_queue_size : int
        How many connections may wait to be accepted.
    """

    allow_reuse_address = True
    request_queue_size = BACKLOG
    server_address: Any

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
        storage: str | None = None,
        ts_policy: acceptor.TransferSyntaxPolicy = "acceptor",
        config: Mapping[str, Any] | _config.Config | None = None,
    ) -> None:
        if storage not in (None, "any", "supported"):
            raise ValueError("'storage' must be 'any', 'supported' or None")
        BaseServer.__init__(self, address, request_handler or RequestHandler)
        self.ae = ae
        self.ae_title = ae_title
        self.contexts = deepcopy(contexts)
        self.ssl_context = ssl_context
        self.config = _config.Config(config)
        self._handlers = Handlers(evt_handlers or ())
        self._policy = acceptor.Policy(
            acceptor.supported(self.contexts),
            None if storage is None else storage == "any",
            acceptor.chooser(ts_policy),
        )
        self._lock = Lock()
        self._associations: dict[Association, None] = {}
        self._thread: Thread | None = None
        self._variables: contextvars.Context | None = None
        self._connection = local()
        self._new_files = NewFiles()
        self.server_bind()
        self.address_info = AddressInformation.from_tuple(self.server_address)
        self.address_family = self.address_info.address_family
        self._listener = Listener(
            self.socket,
            self._serve,
            room=lambda count: count < ae.maximum_associations + _HANDSHAKES,
            ssl_context=lambda: self.ssl_context,
            handshake_timeout=lambda: ae.acse_timeout,
        )

    # ---- listening -----------------------------------------------------------------------------------

    def server_bind(self) -> None:
        """Open the socket that listens; a subclass may bind another one as :attr:`socket`."""
        self.socket = listen(self.server_address)
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept one connection, for a program with a loop of its own; with TLS after the handshake.

        The server's own threads do not call this.
        """
        sock, address = self.socket.accept()
        if self.ssl_context is not None:
            limit = self.ae.acse_timeout
            sock = transports.start_tls(sock, self.ssl_context, server_side=True, timeout=limit).socket
        return sock, address

    def server_activate(self) -> None:
        """Do nothing: the socket listens from :meth:`server_bind` on."""

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Accept until :meth:`shutdown`. There is no polling: ``poll_interval`` has no effect."""
        if self._variables is None and _config.settings(self.ae.config, self.config).PASS_CONTEXTVARS:
            self._variables = contextvars.copy_context()
        self._listener.run()

    def start(self) -> None:
        """Accept in a thread of its own."""
        host, port = self.server_address[:2]
        if _config.settings(self.ae.config, self.config).PASS_CONTEXTVARS:
            self._variables = contextvars.copy_context()
        self._thread = Thread(target=self.serve_forever, name=f"dulcimer-accept-{host}:{port}", daemon=True)
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

    @property
    def association_count(self) -> int:
        """How many associations it has, established or being negotiated."""
        return len(self._associations)

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
        """List the events that something is bound to; each intervention event has a default handler."""
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

    # ---- one connection, in its thread ---------------------------------------------------------------

    def _serve(self, transport: Transport, address: Any) -> None:
        if self._variables is None:
            self._process(transport, address)
        else:
            self._variables.copy().run(self._process, transport, address)

    def _process(self, transport: Transport, address: Any) -> None:
        request = transport.socket
        self._connection.transport = transport
        try:
            if self.verify_request(request, address):
                self.process_request(request, address)
        except Exception:
            self.handle_error(request, address)
        finally:
            self._connection.transport = None
            transport.close()
            self.service_actions()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection with the request handler; a subclass may do something before or after it."""
        self.finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Raise what a request handler raised: the listener logs it and closes the connection."""
        raise

    def service_actions(self) -> None:
        """Called after each connection: a subclass may do something here."""

    def serve_association(self, request: socket.socket, client_address: Any) -> None:
        """Be the acceptor of an association on a connection until it is closed.

        Parameters
        ----------
        request
            The connection.
        client_address
            The peer's address, as sockets have it.
        """
        transport: Transport | None = getattr(self._connection, "transport", None)
        if transport is None:
            # Not from our listener: of TCPServer.handle_request(), for example.
            transport = transports.over(request)
        association = self.ae.make_acceptor(self.ae_title, _config.settings(self.ae.config, self.config))
        association.acceptor.supported_contexts = self.contexts
        association.acceptor.address_info = self.address_info
        association.requestor.address_info = AddressInformation.from_tuple(client_address)
        association.use_handlers(self._handlers.copy())
        association.new_files = self._new_files
        with self._lock:
            self._associations[association] = None
        association.serve(transport, self._policy, self._closed)

    def _closed(self, association: Association) -> None:
        with self._lock:
            self._associations.pop(association, None)


class ThreadedAssociationServer(AssociationServer):
    """The server that ``AE.start_server()`` starts; every server has a thread for each association."""

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its thread: the same as :meth:`process_request`."""
        self.process_request(request, client_address)
