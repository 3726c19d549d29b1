"""The same associations in an event loop (asyncio).

::

    async with dulcimer.aio.connect("192.0.2.1", 104, contexts) as peer:
        status = await peer.send_c_echo()
        async for status, identifier in peer.send_c_find(query, model):
            ...

    async with dulcimer.aio.serve(ae, ("", 11112), evt_handlers=handlers) as server:
        await server.serve_forever()

It makes no thread. Handlers run in the loop's thread, coroutine functions and plain functions alike, unless
an executor is given for the plain ones. Files are read and written in the loop's thread as well, in pieces of
at most 256 KiB.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dulcimer._globals import DEFAULT_MAX_LENGTH
from dulcimer.ae import ApplicationEntity
from dulcimer.aio.association import CANCEL_GRACE, AsyncAssociation
from dulcimer.aio.opening import Opening
from dulcimer.aio.responses import Responses
from dulcimer.aio.server import Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from dulcimer._config import Config
    from dulcimer.acceptor import TransferSyntaxPolicy
    from dulcimer.addresses import SocketAddress
    from dulcimer.events import EventHandlerType
    from dulcimer.pdu_primitives import NegotiationItem
    from dulcimer.presentation import PresentationContext

__all__ = ["AsyncAssociation", "Responses", "Server", "connect", "serve"]


def connect(
    addr: str | tuple[str, int, int],
    port: int,
    contexts: list[PresentationContext] | None = None,
    *,
    ae: ApplicationEntity | None = None,
    ae_title: str = "ANY-SCP",
    max_pdu: int = DEFAULT_MAX_LENGTH,
    ext_neg: list[NegotiationItem] | None = None,
    bind_address: SocketAddress | None = None,
    tls_args: tuple[ssl.SSLContext, str | None] | None = None,
    evt_handlers: Sequence[EventHandlerType] | None = None,
    config: Mapping[str, Any] | Config | None = None,
    executor: Executor | None = None,
    cancel_grace: float = CANCEL_GRACE,
) -> Opening[AsyncAssociation]:
    """Request an association: to be awaited, or entered with ``async with``, which releases it at the end.

    Parameters
    ----------
    addr
        The peer's address or name; for IPv6 also (address, flow info, scope ID).
    port
        The peer's port.
    contexts
        The presentation contexts to propose; ``ae.requested_contexts`` by default.
    ae
        The application entity that requests it, with its timeouts; a new one by default.
    ae_title
        The peer's AE title.
    max_pdu
        The longest P-DATA-TF that we take, in bytes; 0 is unlimited (PS3.8 D.1).
    ext_neg
        Extended negotiation items (PS3.7 D.3.3).
    bind_address
        The local address.
    tls_args
        For TLS: the SSL context, and the name that the peer's certificate has to have; by default it is
        ``addr`` if the context checks names.
    evt_handlers
        Handlers for the association's events: functions, coroutine functions, generators and asynchronous
        generators.
    config
        Settings of :mod:`dulcimer._config` that differ for this association.
    executor
        Where handlers that are plain functions or generators run; by default the loop's own thread, which
        they must not keep waiting then.
    cancel_grace
        Seconds that the peer has to answer a request whose task was cancelled; then the association is
        aborted.

    Raises
    ------
    dulcimer.errors.AssociationError
        When it is awaited: :class:`~dulcimer.errors.ConnectFailed`,
        :class:`~dulcimer.errors.AssociationRejected`, :class:`~dulcimer.errors.AssociationTimeout` and others
        say why there is no association.
    RuntimeError
        When it is awaited, if there are no contexts to propose.
    """
    return Opening(
        partial(
            AsyncAssociation.open,
            ae or ApplicationEntity(),
            addr,
            port,
            contexts,
            ae_title,
            max_pdu,
            ext_neg,
            bind_address,
            tls_args,
            evt_handlers,
            config=config,
            executor=executor,
            cancel_grace=cancel_grace,
        )
    )


def serve(
    ae: ApplicationEntity,
    address: SocketAddress,
    *,
    ssl_context: ssl.SSLContext | None = None,
    evt_handlers: Sequence[EventHandlerType] | None = None,
    ae_title: str | None = None,
    contexts: list[PresentationContext] | None = None,
    storage: str | None = None,
    ts_policy: TransferSyntaxPolicy = "acceptor",
    config: Mapping[str, Any] | Config | None = None,
    executor: Executor | None = None,
    cancel_grace: float = CANCEL_GRACE,
) -> Opening[Server]:
    """Listen and serve: to be awaited, or entered with ``async with``, which closes the server at the end.

    The parameters are those of :meth:`AE.start_server() <dulcimer.AE.start_server>` and
    :class:`~dulcimer.transport.AssociationServer`, and:

    Parameters
    ----------
    executor
        Where handlers that are plain functions or generators run; by default the loop's own thread, which
        they must not keep waiting then. Those of ``evt.EVT_C_STORE_OPEN`` and of most notification events
        run in the loop's thread in any case.
    cancel_grace
        Seconds that a peer has to answer a request whose task was cancelled; then the association is aborted.

    Raises
    ------
    OSError
        When it is awaited, if the address cannot be listened on.
    TypeError
        When it is awaited, if the handler of an event that is answered at once is a coroutine function:
        ``evt.EVT_C_STORE_OPEN`` and those of the negotiation.
    ValueError
        When it is awaited, if there are no supported contexts.
    """

    async def begin() -> Server:
        title, served = ae.what_to_serve(ae_title, contexts, storage, config)
        server = Server(
            ae,
            title,
            served,
            evt_handlers or (),
            storage=storage,
            ts_policy=ts_policy,
            config=config,
            executor=executor,
            cancel_grace=cancel_grace,
        )
        await server.listen(address, ssl_context)
        return server

    return Opening(begin)
