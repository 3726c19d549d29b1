"""The language of the corpus: bytes described as data, and the scripts that quirky peers play.

Bytes are described by

* a string: its characters in Latin-1, or after ``hex:`` its bytes;
* a list: its members one after the other;
* an object with one of these keys; ``of`` is what it holds, ``length`` a length field that lies:

  ``part``     something that has a name in the corpus
  ``times``    so many times
  ``title``    an AE title, filled up to 16 characters with spaces
  ``pdu``      a PDU of this type (PS3.8 9.3.1)
  ``item``     an item of this type, given in hexadecimal
  ``counted``  a field that its length precedes (PS3.7 D.3.3.4)
  ``value``    a presentation data value: context ID, message control header (PS3.8 9.3.5.1)
  ``command``  a command set of these elements, with its group length (PS3.7 6.3.1)
  ``element``  an element of group 0000, number given in hexadecimal
  ``us``, ``ul``  numbers, little endian

A script is a list of steps: ``{"send": bytes}``, ``{"dribble": bytes}`` byte by byte, ``{"play": name of a
script}``, ``{"close": true}`` and ``{"read": what}``. What is read is one of :data:`PDUS`, ``"end"`` of the
connection, or a ``"message"``, whose ``field``, ``status``, ``data`` and ``answers`` (the Message ID Being
Responded To) are compared; of an A-ASSOCIATE-AC, the ``results`` by context ID.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Any, Final

from api.peers import RawPeer
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.wire import codec
from dulcimer.protocol.wire.pdus import AssociateAC
from dulcimer.quirks import Notebook

PDUS: Final = {
    "associate-rq": 1,
    "associate-ac": 2,
    "associate-rj": 3,
    "release-rq": 5,
    "release-rp": 6,
    "abort": 7,
}
_REFUSALS: Final = (3, 7)


class Refused(Exception):
    """The other side rejected or aborted: ``codes`` are result, source and reason, or source and reason."""

    def __init__(self, kind: int, body: bytes) -> None:
        self.codes = tuple(body[1:4]) if kind == PDUS["associate-rj"] else tuple(body[2:4])
        super().__init__(f"PDU of type {kind}, codes {self.codes}")


class Corpus:
    """The cases, with the parts and scripts that they refer to."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.parts: dict[str, Any] = content["parts"]
        self.scripts: dict[str, list[dict[str, Any]]] = content["scripts"]
        self.cases: list[dict[str, Any]] = content["cases"]

    def encode(self, described: Any) -> bytes:
        """Return the bytes that a description stands for."""
        match described:
            case str():
                if described.startswith("hex:"):
                    return bytes.fromhex(described[4:])
                return described.encode("latin-1")
            case list():
                return b"".join(map(self.encode, described))
            case {"part": name}:
                return self.encode(self.parts[name])
            case {"title": title}:
                return str(title).encode("latin-1").ljust(16)
            case {"us": number}:
                return struct.pack("<H", number)
            case {"ul": number}:
                return struct.pack("<I", number)
            case {"command": elements}:
                content = self.encode(elements)
                return struct.pack("<HHII", 0, 0, 4, len(content)) + content
        content = self.encode(described["of"])
        length = described.get("length", len(content))
        match described:
            case {"times": count}:
                return content * int(count)
            case {"pdu": kind}:
                return struct.pack(">BxI", kind, length) + content
            case {"item": kind}:
                return struct.pack(">BxH", int(kind, 16), length) + content
            case {"counted": _}:
                return struct.pack(">H", length) + content
            case {"value": [context, control]}:
                return struct.pack(">IBB", length + 2, context, control) + content
            case {"element": number}:
                return struct.pack("<HHI", 0, int(number, 16), length) + content
        raise ValueError(f"nothing is described by {described}")


class Player:
    """Plays a script over a connection."""

    def __init__(self, corpus: Corpus, sock: socket.socket) -> None:
        self._corpus = corpus
        self._peer = RawPeer(sock)
        self._sock = sock

    def play(self, steps: list[dict[str, Any]]) -> None:
        """Play a script to its end.

        Raises
        ------
        Refused
            If the other side rejects or aborts where the script reads something else.
        AssertionError
            If it sends anything else that is not in the script.
        """
        for step in steps:
            match step:
                case {"play": name}:
                    self.play(self._corpus.scripts[name])
                case {"send": described}:
                    # A side that has refused does not read any more.
                    with suppress(ConnectionError):
                        self._sock.sendall(self._corpus.encode(described))
                case {"dribble": described}:
                    for octet in self._corpus.encode(described):
                        self._sock.sendall(bytes((octet,)))
                case {"close": True}:
                    self._sock.close()
                case {"read": "message"}:
                    self._read_message(step)
                case {"read": what}:
                    self._read(what, step)
                case _:
                    raise ValueError(f"no such step: {step}")

    def finish(self) -> None:
        """Read what else comes: nothing but the end, or a refusal."""
        kind, body = self._peer.read_pdu()
        if kind in _REFUSALS:
            raise Refused(kind, body)
        assert kind == 0, f"PDU of type {kind} after the end"

    def _read(self, what: str, step: dict[str, Any]) -> None:
        kind, body = self._peer.read_pdu()
        expected = 0 if what == "end" else PDUS[what]
        if kind in _REFUSALS and kind != expected:
            raise Refused(kind, body)
        assert kind == expected, f"PDU of type {kind} instead of {what}"
        if "results" in step:
            answer = codec.decode(kind, body, Notebook())
            assert isinstance(answer, AssociateAC)
            assert {str(context.id): context.result for context in answer.contexts} == step["results"]

    def _read_message(self, step: dict[str, Any]) -> None:
        peer = self._peer
        read = peer.read_pdu

        def watched() -> tuple[int, bytes]:
            kind, body = read()
            if kind in _REFUSALS:
                raise Refused(kind, body)
            return kind, body

        peer.read_pdu = watched  # type: ignore[method-assign]
        try:
            command, data = peer.read_message()
        finally:
            peer.read_pdu = read  # type: ignore[method-assign]
        assert command[e.COMMAND_FIELD] == int(step["field"], 16)
        if "status" in step:
            assert command[e.STATUS] == int(step["status"], 16)
        if "answers" in step:
            assert command[e.MESSAGE_ID_BEING_RESPONDED_TO] == step["answers"]
        if "data" in step:
            assert data == self._corpus.encode(step["data"])


class QuirkyAcceptor:
    """A peer that accepts one connection and plays a script on it."""

    def __init__(self, corpus: Corpus, steps: list[dict[str, Any]], patience: float) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(patience)
        self.port: int = self._listener.getsockname()[1]
        self.refused: Refused | None = None
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(corpus, steps, patience), daemon=True)
        self._thread.start()

    def _run(self, corpus: Corpus, steps: list[dict[str, Any]], patience: float) -> None:
        try:
            sock, _ = self._listener.accept()
            with sock:
                sock.settimeout(patience)
                player = Player(corpus, sock)
                player.play(steps)
                if sock.fileno() >= 0:
                    player.finish()
        except Refused as refused:
            self.refused = refused
        except BaseException as fault:  # told to the test by join()
            self._fault = fault
        finally:
            self._listener.close()

    def join(self, patience: float) -> None:
        """Wait for the end of the script and raise what went wrong in it."""
        self._thread.join(patience)
        assert not self._thread.is_alive(), "the peer's script has not come to its end"
        if self._fault is not None:
            raise self._fault
