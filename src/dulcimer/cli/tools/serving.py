"""A tool that listens: from its options to a running server, and to the signal that ends it."""

from __future__ import annotations

import errno
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.tools.security import demand, identity_of, server_context, tls_of
from dulcimer.cli.tools.talk import LOGGER, note

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from dulcimer import AE
    from dulcimer.events import EventHandlerType

_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_DRAIN_SECONDS: Final = 30.0


def entity(args: Namespace) -> AE:
    """Make the application entity that the options of a server describe."""
    from dulcimer import AE

    ae = AE(args.ae_title)
    ae.maximum_pdu_size = args.max_pdu
    ae.acse_timeout = args.acse_timeout
    ae.dimse_timeout = args.dimse_timeout
    ae.network_timeout = args.network_timeout
    ae.maximum_associations = args.max_associations
    return ae


def serve(
    args: Namespace, ae: AE, handlers: Sequence[EventHandlerType], *, any_storage: bool = False
) -> Exit:
    """Serve until SIGTERM or Ctrl-C; what is under way then is finished first, unless there is a second one.

    Raises
    ------
    Stop
        If it cannot listen.
    """
    context = server_context(tls_of(args))
    every = [*handlers, *demand(identity_of(args))]
    # Before there are threads, so that all of them leave the signals to this one.
    with _blocked():
        try:
            server = ae.start_server(
                (args.bind_address, args.port),
                block=False,
                ssl_context=context,
                evt_handlers=every,
                storage="any" if any_storage else "supported",
            )
        except OSError as error:
            raise Stop(Exit.NOT_STARTED, why_not_listening(args.bind_address, args.port, error)) from None
        assert server is not None
        host, port = str(server.server_address[0]), int(server.server_address[1])
        announce(args, host, port)
        signal.sigwait(_SIGNALS)
    LOGGER.info("stopping")
    try:
        server.drain(_DRAIN_SECONDS)
    except KeyboardInterrupt:
        server.shutdown()
        raise
    return Exit.OK


def announce(args: Namespace, host: str, port: int) -> None:
    """Say where the server really listens."""
    if args.json:
        output.as_json_line({"event": "listening", "host": host, "port": port, "aet": args.ae_title})
    else:
        shown = f"[{host}]" if ":" in host else host
        note(args, f"listening on {shown}:{port} as {args.ae_title}")


def why_not_listening(host: str, port: int, error: OSError) -> str:
    """Say why an address cannot be listened on, and what would help."""
    place = f"{host or '0.0.0.0'}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{place} is in use; stop what listens there or choose another port (0: any free one)"
    if error.errno == errno.EACCES:
        return f"no right to listen on {place}; choose a port above 1023"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{host} is no address of this machine; choose one with --bind-address"
    return f"cannot listen on {place}: {error.strerror or error}"


@contextmanager
def _blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
