"""Both ends of associations for the tests of the public API: real ones on loopback, and scripted ones."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import Queue
from time import monotonic, sleep
from typing import Any, NamedTuple

from dulcimer import AE, build_context, evt
from dulcimer.presentation import PresentationContext
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import (
    AssociateAC,
    AssociateRQ,
    ContextResult,
    ControlPDU,
    ProposedContext,
    UserInformation,
)

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
PATIENCE = 5.0
"""Seconds after which a test gives up on something that takes milliseconds."""

A_RELEASE_RQ, A_RELEASE_RP, A_ABORT, P_DATA = 5, 6, 7, 4

Contexts = Sequence[str | PresentationContext]


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE) -> bool:
    """Tell whether a condition comes true in time."""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            return False
        sleep(0.002)
    return True


class Network:
    """Everything that a test opens; closed when the test ends."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def ae(self, title: str = "TESTER", **settings: Any) -> AE:
        """Make an application entity with short timeouts and the attributes given."""
        ae = AE(ae_title=title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = PATIENCE
        for name, value in settings.items():
            setattr(ae, name, value)
        self._open.callback(ae.shutdown)
        return ae

    def serve(
        self,
        handlers: Iterable[tuple[Any, ...]] = (),
        contexts: Contexts = (),
        *,
        ae: AE | None = None,
        host: str = "127.0.0.1",
        ssl_context: Any = None,
        **settings: Any,
    ) -> Any:
        """Start a server on loopback."""
        ae = ae or self.ae("SERVER", **settings)
        return ae.start_server(
            (host, 0),
            block=False,
            evt_handlers=list(handlers),
            ssl_context=ssl_context,
            contexts=_contexts(contexts) or None,
        )

    def associate(
        self,
        server: Any,
        contexts: Contexts,
        handlers: Iterable[tuple[Any, ...]] = (),
        *,
        ae: AE | None = None,
        host: str | None = None,
        ae_title: str = "SERVER",
        ext_neg: list[Any] | None = None,
        tls_args: Any = None,
        max_pdu: int = 16382,
        **settings: Any,
    ) -> Any:
        """Request an association from a server, or from whoever listens at a port."""
        address, port = ("127.0.0.1", server) if isinstance(server, int) else server.server_address[:2]
        assoc = (ae or self.ae("CLIENT", **settings)).associate(
            host or address,
            port,
            contexts=_contexts(contexts),
            ae_title=ae_title,
            ext_neg=ext_neg,
            tls_args=tls_args,
            max_pdu=max_pdu,
            evt_handlers=list(handlers),
        )
        self._open.callback(assoc.abort)
        return assoc

    def connect(self, server: Any) -> RawPeer:
        """Connect to a server as a scripted requestor."""
        return self.own(RawPeer(socket.create_connection(server.server_address[:2], PATIENCE)))

    def listen(self, script: Callable[[RawPeer], None]) -> int:
        """Have a script answer the one connection that comes; return the port."""
        listener = self.own(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(PATIENCE)

        def run() -> None:
            with suppress(OSError):
                sock, _ = listener.accept()
                sock.settimeout(PATIENCE)
                script(self.own(RawPeer(sock)))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._open.callback(thread.join, PATIENCE)
        return int(listener.getsockname()[1])

    def own(self, thing: Any) -> Any:
        """Close something at the end."""
        self._open.callback(thing.close)
        return thing

    def close(self) -> None:
        self._open.close()


def _contexts(contexts: Contexts) -> list[PresentationContext]:
    return [build_context(item) if isinstance(item, str) else item for item in contexts]


class RawPeer:
    """A socket whose user writes PDUs."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def close(self) -> None:
        self.sock.close()

    def send(self, pdu: ControlPDU | bytes) -> None:
        self.sock.sendall(pdu if isinstance(pdu, bytes) else codec.encode(pdu))

    def read_pdu(self) -> tuple[int, bytes]:
        """Return type and body of the next PDU; (0, nothing) at the end of the stream."""
        head = self._read(6)
        if len(head) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxL", head)
        return kind, self._read(length)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            with suppress(ConnectionResetError):
                more = self.sock.recv(count - len(data))
                if more:
                    data += more
                    continue
            break
        return data

    def read(self) -> ControlPDU:
        kind, body = self.read_pdu()
        return codec.decode(kind, body)

    def request(self, *abstract_syntaxes: str, syntax: str = IMPLICIT) -> AssociateAC:
        """Have an association accepted."""
        contexts = tuple(
            ProposedContext(2 * position + 1, uid, (syntax,))
            for position, uid in enumerate(abstract_syntaxes)
        )
        self.send(AssociateRQ("SERVER", "RAW", contexts, UserInformation(16382, "1.2.3")))
        answer = self.read()
        assert isinstance(answer, AssociateAC)
        return answer

    def accept(self) -> AssociateRQ:
        """Accept whatever is requested."""
        request = self.read()
        assert isinstance(request, AssociateRQ)
        results = tuple(ContextResult(c.id, 0, c.transfer_syntaxes[0]) for c in request.contexts)
        self.send(AssociateAC(request.called, request.calling, results, UserInformation(16382, "1.2.4")))
        return request

    def send_message(self, command: dict[int, Any], data: bytes | None = None, context_id: int = 1) -> None:
        self.send(message(command, data, context_id))

    def read_message(self) -> tuple[dict[int, Any], bytes | None]:
        """Return the next message: its command set and its data set."""
        command, data = b"", b""
        decoded: dict[int, Any] | None = None
        while True:
            kind, body = self.read_pdu()
            assert kind == P_DATA, f"PDU type {kind} where data was expected"
            while body:
                (length,) = struct.unpack(">L", body[:4])
                flags, content, body = body[5], body[6 : 4 + length], body[4 + length :]
                if flags & 1:
                    command += content
                    if flags & 2:
                        decoded = commands.decode(command)
                        if decoded[e.COMMAND_DATA_SET_TYPE] == e.NO_DATA_SET:
                            return decoded, None
                else:
                    data += content
                    if flags & 2:
                        assert decoded is not None
                        return decoded, data


def message(command: dict[int, Any], data: bytes | None = None, context_id: int = 1) -> bytes:
    """Encode a message as one P-DATA-TF PDU per part."""
    encoded = commands.encode({**command, e.COMMAND_DATA_SET_TYPE: e.NO_DATA_SET if data is None else 1})
    parts = [(3, encoded)] if data is None else [(3, encoded), (2, data)]
    return b"".join(
        struct.pack(">BxLLBB", P_DATA, len(part) + 6, len(part) + 2, context_id, flags) + part
        for flags, part in parts
    )


class Log:
    """Notes the association events of one side."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.assocs: Queue[Any] = Queue()

    def note(self, event: evt.Event) -> None:
        self.names.append(event.event.name.removeprefix("EVT_"))
        if event.event is evt.EVT_REQUESTED:
            self.assocs.put(event.assoc)

    @property
    def handlers(self) -> list[tuple[Any, Any]]:
        names = ("CONN_OPEN", "REQUESTED", "ACCEPTED", "REJECTED", "ESTABLISHED")
        names += ("RELEASED", "ABORTED", "CONN_CLOSE")
        return [(getattr(evt, f"EVT_{name}"), self.note) for name in names]

    def is_over(self) -> bool:
        return eventually(lambda: "CONN_CLOSE" in self.names)


def flags(assoc: Any) -> dict[str, bool]:
    names = ("is_established", "is_released", "is_aborted", "is_rejected")
    return {name: True for name in names if getattr(assoc, name)}


class Certificates(NamedTuple):
    """Files with the certificate and the key of each, and with the authorities' certificates."""

    authority: Path
    other_authority: Path
    server: tuple[Path, Path]
    client: tuple[Path, Path]


def server_context(certificates: Certificates, *, mutual: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.server)
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates.authority)
    return context


def client_context(
    certificates: Certificates, authority: Path | None = None, own: bool = False
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority or certificates.authority))
    if own:
        context.load_cert_chain(*certificates.client)
    return context
