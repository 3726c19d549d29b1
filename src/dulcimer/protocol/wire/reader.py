"""Bytes to PDUs: one receive buffer that the kernel writes into, and views of it that leave as events.

The contract is that of :class:`asyncio.BufferedProtocol`: the driver asks for :meth:`Reader.get_buffer`,
receives into it and reports the count to :meth:`Reader.feed`. A P-DATA-TF is never assembled: each run of
bytes of a presentation data value leaves as a :class:`Fragment` as soon as it is here, so that memory does
not depend on the length of a PDU and no payload byte is copied. Views are valid until the next
``get_buffer``.

Lengths are judged when a header arrives, before anything of the body is kept.
"""

from __future__ import annotations

import mmap
import struct
import sys
from typing import Final, NamedTuple

from dulcimer.errors import InvalidParameter, RemoteProtocolError, UnrecognizedPDU
from dulcimer.quirks import Notebook, QuirkKind

P_DATA_TF: Final = 0x04
A_ABORT: Final = 0x07
BUFFER_SIZE: Final = 1 << 18
MAX_CONTROL_PDU: Final = 1 << 20
"""The longest control PDU taken. 128 contexts with 45 transfer syntaxes each need a fifth of it; the rest
leaves room for Kerberos tickets and SAML assertions."""

FIRST_SIZE: Final = 1 << 12
"""What the buffer begins with: to get pages of its own, and to give them back, costs as much as an exchange
of short messages. It grows when it has been full."""

_COMPACT_BELOW = 4096
_PDU_HEADER = struct.Struct(">BxI")
_PDV_HEADER = struct.Struct(">IBB")
_HEADERS = struct.Struct(">BxIIBB")
_ABORT = struct.Struct(">BxIxxBB")
_LAST_ABORT_REASON = 6


def _anonymous(size: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    # The default, shared pages, costs several times as much to make and to touch.
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _no_such(kind: int) -> str:
    return f"there is no PDU of type 0x{kind:02X}"


class Fragment(NamedTuple):
    """Some bytes of a presentation data value (PS3.8 9.3.5.1).

    ``control`` is the message control header (PS3.8 Annex E.2): bit 0 command, bit 1 last fragment.
    ``whole`` says that these are the last bytes of their presentation data value.
    """

    context_id: int
    control: int
    data: memoryview
    whole: bool


class ControlBytes(NamedTuple):
    """A complete PDU other than P-DATA-TF, without its header."""

    type: int
    body: bytes


WireEvent = Fragment | ControlBytes | RemoteProtocolError


class Reader:
    """Splits the stream of one association.

    ``max_pdu`` is the Maximum Length that we announced for P-DATA-TF, 0 when unlimited (PS3.8 D.1).
    ``notes`` has what was unusual; whoever is strict about it asks there.
    """

    __slots__ = (
        "_buffer",
        "_context",
        "_control",
        "_control_left",
        "_control_type",
        "_dead",
        "_header",
        "_high",
        "_low",
        "_pdu_left",
        "_pdv_left",
        "_size",
        "_tail",
        "_view",
        "max_pdu",
        "notes",
    )

    def __init__(self, max_pdu: int, buffer_size: int = BUFFER_SIZE) -> None:
        self.max_pdu = max_pdu
        self.notes = Notebook()
        self._size = buffer_size
        self._buffer: mmap.mmap | bytearray | None = None
        self._view: memoryview | None = None
        self._low = self._high = self._tail = 0
        self._pdu_left = self._pdv_left = 0
        self._context = self._header = 0
        self._control: bytearray | None = None
        self._control_type = self._control_left = 0
        self._dead = False

    @property
    def in_message(self) -> bool:
        """Whether part of a PDU is here and the rest is not."""
        return bool(self._pdu_left or self._low != self._high or self._control is not None)

    @property
    def dead(self) -> bool:
        """Whether everything that arrives is ignored."""
        return self._dead

    def arrived(self, count: int) -> memoryview:
        """Return a view of the ``count`` bytes that were written to the buffer and not reported yet."""
        assert self._view is not None
        return self._view[self._high : self._high + count]

    def begun(self) -> tuple[int, bytes]:
        """Return what is left of a PDU that was taken in part, and what is here of one that was not."""
        if self._pdu_left:
            return self._pdu_left - (self._high - self._low), b""
        if self._control is not None:
            return self._control_left, b""
        return 0, b"" if self._view is None else bytes(self._view[self._low : self._high])

    def get_buffer(self) -> memoryview:
        """Return the free part of the receive buffer. Views handed out earlier are no longer valid."""
        view = self._view
        if view is None:
            self._buffer = bytearray(min(FIRST_SIZE, self._size))
            view = self._view = memoryview(self._buffer)
        elif self._high == len(view) < self._size:
            view = self._grow(view)
        if self._low == self._high:
            self._tail = self._high
            self._low = self._high = 0
        elif self._low and len(view) - self._high < _COMPACT_BELOW:
            count = self._high - self._low
            view[:count] = bytes(view[self._low : self._high])
            self._low, self._high = 0, count
        return view[self._high :]

    def _grow(self, small: memoryview) -> memoryview:
        # Anonymous pages cost nothing until the kernel writes to them, and go back when dropped.
        self._buffer = _anonymous(self._size)
        view = self._view = memoryview(self._buffer)
        count = self._high - self._low
        view[:count] = small[self._low : self._high]
        self._low, self._high = 0, count
        return view

    def release_buffer(self) -> None:
        """Give the memory back while nothing is arriving; the next ``get_buffer`` takes fresh pages."""
        if self._low == self._high:
            self._low = self._high = 0
            self._view = self._buffer = None

    @property
    def abort_in_data(self) -> bytes | None:
        """The body of an A-ABORT, if that is what the last bytes of an incomplete P-DATA-TF look like.

        To be asked when nothing more will come: before that they may well be data.
        """
        end = self._high or self._tail
        if self._view is None or not self._pdu_left or end < _ABORT.size:
            return None
        kind, length, source, reason = _ABORT.unpack_from(self._view, end - _ABORT.size)
        if (kind, length) != (A_ABORT, 4) or source not in (0, 2) or reason > _LAST_ABORT_REASON:
            return None
        return bytes(self._view[end - 4 : end])

    def discard(self) -> None:
        """Ignore whatever else arrives, and what has arrived in part."""
        self._dead = True
        self._low = self._high = self._pdu_left = self._pdv_left = 0
        self._control = None

    def feed(self, count: int) -> list[WireEvent]:
        """Take note of ``count`` bytes written to the buffer and list what they complete.

        A breach of the protocol is listed as its error, once; what follows it is ignored.
        """
        buffer, view = self._buffer, self._view
        events: list[WireEvent] = []
        if self._dead or buffer is None or view is None:
            self._low = self._high = 0
            return events
        low, high = self._low, self._high + count
        self._high = high
        # Locals: this loop sees every PDU.
        pdu_left, pdv_left = self._pdu_left, self._pdv_left
        context, header = self._context, self._header
        while low < high:
            if pdv_left:
                stop = low + pdv_left
                if stop > high:
                    stop = high
                take = stop - low
                pdv_left -= take
                pdu_left -= take
                events.append(Fragment(context, header, view[low:stop], not pdv_left))
                low = stop
            elif pdu_left:
                if high - low < 6:
                    break
                length, context, header = _PDV_HEADER.unpack_from(buffer, low)
                if length < 2 or length + 4 > pdu_left:
                    return self._fail(events, "a presentation data value does not fit its P-DATA-TF")
                pdv_left = length - 2
                pdu_left -= 6
                if left := pdu_left - pdv_left:
                    if left < 6:
                        return self._fail(events, "P-DATA-TF with bytes left over after its last value")
                    self.notes.add(QuirkKind.SEVERAL_VALUES)
                low += 6
                if not pdv_left:
                    self.notes.add(QuirkKind.EMPTY_FRAGMENT)
                    events.append(Fragment(context, header, view[low:low], True))
            elif self._control is not None:
                take = min(high - low, self._control_left)
                self._control += view[low : low + take]
                self._control_left -= take
                low += take
                if not self._control_left:
                    events.append(ControlBytes(self._control_type, bytes(self._control)))
                    self._control = None
            else:
                if high - low < 6:
                    # The type alone is enough to turn a stranger away.
                    if not 1 <= buffer[low] <= 7:
                        return self._fail(events, _no_such(buffer[low]), UnrecognizedPDU)
                    break
                if high - low >= 12:
                    kind, length, inner, context, header = _HEADERS.unpack_from(buffer, low)
                    if kind == P_DATA_TF and inner == length - 4 > 2 and not 0 < self.max_pdu < length:
                        # One value, as nearly all have: no need to look at the two headers one by one.
                        low += 12
                        stop = low + inner - 2
                        if stop <= high:
                            events.append(Fragment(context, header, view[low:stop], True))
                            low = stop
                        else:
                            pdu_left = pdv_left = inner - 2
                        continue
                kind, length = _PDU_HEADER.unpack_from(buffer, low)
                if kind == P_DATA_TF:
                    if not length:
                        self.notes.add(QuirkKind.EMPTY_PDU)
                        low += 6
                        continue
                    if length < 6:
                        return self._fail(events, f"P-DATA-TF of {length} bytes is too short for a value")
                    if 0 < self.max_pdu < length:
                        return self._fail(
                            events, f"P-DATA-TF of {length} bytes, the maximum length is {self.max_pdu}"
                        )
                    pdu_left = length
                    low += 6
                elif not 1 <= kind <= 7:
                    return self._fail(events, _no_such(kind), UnrecognizedPDU)
                elif length > MAX_CONTROL_PDU:
                    return self._fail(events, f"PDU of type 0x{kind:02X} claims {length} bytes")
                elif length + 6 > self._size:
                    self._control = bytearray()
                    self._control_type, self._control_left = kind, length
                    low += 6
                elif high - low < 6 + length:
                    break
                else:
                    low += 6
                    events.append(ControlBytes(kind, bytes(view[low : low + length])))
                    low += length
        self._low = low
        self._pdu_left, self._pdv_left = pdu_left, pdv_left
        self._context, self._header = context, header
        return events

    def _fail(
        self, events: list[WireEvent], message: str, error: type[RemoteProtocolError] = InvalidParameter
    ) -> list[WireEvent]:
        self.discard()
        events.append(error(message))
        return events
