"""The 23 DIMSE messages as handlers of ``evt.EVT_DIMSE_RECV`` and ``evt.EVT_DIMSE_SENT`` see them.

A message is its command set and, if it is in memory, its data set (PS3.7 6.3). The command set becomes a
:class:`~pydicom.dataset.Dataset` when it is asked for. The protocol itself works without these classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Final

from dulcimer.dimse_primitives import from_command, to_command
from dulcimer.pdu_primitives import P_DATA
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.dimse.assembler import Assembler
from dulcimer.protocol.dimse.sinks import MemorySink
from dulcimer.protocol.wire.reader import Fragment
from dulcimer.protocol.wire.writer import room_for

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.dimse_primitives import Primitive
    from dulcimer.protocol.dimse.commands import Value

_OBVIOUS: Final = frozenset({e.COMMAND_GROUP_LENGTH, e.COMMAND_FIELD, e.COMMAND_DATA_SET_TYPE})

_COMMAND: Final = 1
_LAST: Final = 2
"""Bits of the message control header (PS3.8 E.2)."""


class DIMSEMessage:
    """A message, in a presentation context.

    Parameters
    ----------
    context_id
        The ID of its presentation context.
    command
        The values of its command set by element number.
    data
        The encoded data set; None if it has none or if that is not in memory.

    Attributes
    ----------
    context_id : int
        The ID of its presentation context.
    """

    COMMAND_FIELD: ClassVar[int] = 0

    def __init__(
        self, context_id: int = 0, command: Mapping[int, Value] | None = None, data: BytesIO | None = None
    ) -> None:
        self.context_id = context_id
        self._command: dict[int, Value] = {e.COMMAND_FIELD: self.COMMAND_FIELD}
        self._command.update(command or {})
        self._data = data
        self._assembler: Assembler | None = None

    @property
    def name(self) -> str:
        """Its name, such as ``"N-SET-RQ"``."""
        message = m.MESSAGES.get(self.COMMAND_FIELD)
        return "unknown" if message is None else message.name

    @cached_property
    def command_set(self) -> Dataset:
        """The command set (PS3.7 E.1)."""
        from pydicom.filereader import read_dataset

        return read_dataset(self.encoded_command_set, True, True)

    @property
    def encoded_command_set(self) -> BytesIO:
        """The command set as it travels, in Implicit VR Little Endian."""
        return BytesIO(commands.encode(self._command))

    @cached_property
    def data_set(self) -> BytesIO:
        """The encoded data set.

        It is empty if there is none, and also if it did not pass through memory: one that was received to a
        file or another sink, or is sent from a file.
        """
        return BytesIO() if self._data is None else BytesIO(self._data.getvalue())

    @property
    def has_data_set(self) -> bool:
        """Whether a data set belongs to it, in memory or not."""
        return self._command.get(e.COMMAND_DATA_SET_TYPE, e.NO_DATA_SET) != e.NO_DATA_SET

    def message_to_primitive(self) -> Primitive:
        """Return it as a service primitive of :mod:`dulcimer.dimse_primitives`."""
        return from_command(self._command, self.data_set if self.has_data_set else None)

    def primitive_to_message(self, primitive: Primitive) -> None:
        """Become the message for a service primitive of :mod:`dulcimer.dimse_primitives`.

        Raises
        ------
        ValueError
            If the primitive is of another service, or is a request where this is a response.
        """
        command = to_command(primitive)
        if command[e.COMMAND_FIELD] != self.COMMAND_FIELD:
            raise ValueError(f"A {type(primitive).__name__} primitive is not {self.name}")
        self._become(command, primitive.data_set)

    def decode_msg(self, primitive: P_DATA, assoc: Any = None) -> bool:
        """Take fragments; at the last one become the message that they make, and an object of its class.

        Parameters
        ----------
        primitive
            The values of a P-DATA-TF.
        assoc
            Has no effect.

        Returns
        -------
        bool
            Whether the message is complete.

        Raises
        ------
        dulcimer.errors.RemoteProtocolError
            If the fragments make no message.
        """
        if self._assembler is None:
            self._assembler = Assembler(lambda command: None, lambda context_id, command: MemorySink())
        for context_id, value in primitive.presentation_data_value_list:
            found = self._assembler.feed(Fragment(context_id, value[0], memoryview(value)[1:], True))
            if found is not None:
                self.context_id = context_id
                self._become(found.command, found.sink.stream if isinstance(found.sink, MemorySink) else None)
                self.__class__ = _class_of(found.command)
                return True
        return False

    def _become(self, command: Mapping[int, Value], data: BytesIO | None) -> None:
        self._command = dict(command)
        self._data = data
        for name in ("command_set", "data_set"):
            self.__dict__.pop(name, None)

    def encode_msg(self, context_id: int, max_pdu_length: int) -> Iterator[P_DATA]:
        """Cut it into fragments (PS3.8 Annex E).

        Parameters
        ----------
        context_id
            The ID of the presentation context.
        max_pdu_length
            The longest P-DATA-TF, in bytes; 0 for any length.

        Yields
        ------
        P_DATA
            A primitive for each P-DATA-TF.
        """
        room = room_for(max_pdu_length)
        parts = [(_COMMAND, commands.encode(self._command))]
        if self.has_data_set:
            parts.append((0, self.data_set.getvalue()))
        for kind, content in parts:
            for start in range(0, len(content) or 1, room):
                control = kind | (_LAST if start + room >= len(content) else 0)
                primitive = P_DATA()
                primitive.presentation_data_value_list = [
                    (context_id, bytes((control,)) + content[start : start + room])
                ]
                yield primitive

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        """Say what it is without patient data: the command set has none."""
        parts = [f"{self.name} in context {self.context_id}"]
        for number, value in self._command.items():
            if number not in _OBVIOUS and number in e.ELEMENTS:
                shown = f"{value:04X}H" if number == e.STATUS and isinstance(value, int) else str(value)
                parts.append(f"{e.ELEMENTS[number].keyword} {shown}")
        if self.has_data_set:
            parts.append("with a data set")
        return ", ".join(parts)


class C_ECHO_RQ(DIMSEMessage):
    """C-ECHO request (PS3.7 9.3.5.1)."""

    COMMAND_FIELD = m.C_ECHO_RQ


class C_ECHO_RSP(DIMSEMessage):
    """C-ECHO response (PS3.7 9.3.5.2)."""

    COMMAND_FIELD = m.C_ECHO_RSP


class C_STORE_RQ(DIMSEMessage):
    """C-STORE request (PS3.7 9.3.1.1)."""

    COMMAND_FIELD = m.C_STORE_RQ


class C_STORE_RSP(DIMSEMessage):
    """C-STORE response (PS3.7 9.3.1.2)."""

    COMMAND_FIELD = m.C_STORE_RSP


class C_FIND_RQ(DIMSEMessage):
    """C-FIND request (PS3.7 9.3.2.1)."""

    COMMAND_FIELD = m.C_FIND_RQ


class C_FIND_RSP(DIMSEMessage):
    """C-FIND response (PS3.7 9.3.2.2)."""

    COMMAND_FIELD = m.C_FIND_RSP


class C_GET_RQ(DIMSEMessage):
    """C-GET request (PS3.7 9.3.3.1)."""

    COMMAND_FIELD = m.C_GET_RQ


class C_GET_RSP(DIMSEMessage):
    """C-GET response (PS3.7 9.3.3.2)."""

    COMMAND_FIELD = m.C_GET_RSP


class C_MOVE_RQ(DIMSEMessage):
    """C-MOVE request (PS3.7 9.3.4.1)."""

    COMMAND_FIELD = m.C_MOVE_RQ


class C_MOVE_RSP(DIMSEMessage):
    """C-MOVE response (PS3.7 9.3.4.2)."""

    COMMAND_FIELD = m.C_MOVE_RSP


class C_CANCEL_RQ(DIMSEMessage):
    """C-CANCEL request (PS3.7 9.3.2.3)."""

    COMMAND_FIELD = m.C_CANCEL_RQ


class N_EVENT_REPORT_RQ(DIMSEMessage):
    """N-EVENT-REPORT request (PS3.7 10.3.1.1)."""

    COMMAND_FIELD = m.N_EVENT_REPORT_RQ


class N_EVENT_REPORT_RSP(DIMSEMessage):
    """N-EVENT-REPORT response (PS3.7 10.3.1.2)."""

    COMMAND_FIELD = m.N_EVENT_REPORT_RSP


class N_GET_RQ(DIMSEMessage):
    """N-GET request (PS3.7 10.3.2.1)."""

    COMMAND_FIELD = m.N_GET_RQ


class N_GET_RSP(DIMSEMessage):
    """N-GET response (PS3.7 10.3.2.2)."""

    COMMAND_FIELD = m.N_GET_RSP


class N_SET_RQ(DIMSEMessage):
    """N-SET request (PS3.7 10.3.3.1)."""

    COMMAND_FIELD = m.N_SET_RQ


class N_SET_RSP(DIMSEMessage):
    """N-SET response (PS3.7 10.3.3.2)."""

    COMMAND_FIELD = m.N_SET_RSP


class N_ACTION_RQ(DIMSEMessage):
    """N-ACTION request (PS3.7 10.3.4.1)."""

    COMMAND_FIELD = m.N_ACTION_RQ


class N_ACTION_RSP(DIMSEMessage):
    """N-ACTION response (PS3.7 10.3.4.2)."""

    COMMAND_FIELD = m.N_ACTION_RSP


class N_CREATE_RQ(DIMSEMessage):
    """N-CREATE request (PS3.7 10.3.5.1)."""

    COMMAND_FIELD = m.N_CREATE_RQ


class N_CREATE_RSP(DIMSEMessage):
    """N-CREATE response (PS3.7 10.3.5.2)."""

    COMMAND_FIELD = m.N_CREATE_RSP


class N_DELETE_RQ(DIMSEMessage):
    """N-DELETE request (PS3.7 10.3.6.1)."""

    COMMAND_FIELD = m.N_DELETE_RQ


class N_DELETE_RSP(DIMSEMessage):
    """N-DELETE response (PS3.7 10.3.6.2)."""

    COMMAND_FIELD = m.N_DELETE_RSP


_CLASSES: Final[dict[int, type[DIMSEMessage]]] = {
    cls.COMMAND_FIELD: cls
    for cls in (
        C_ECHO_RQ,
        C_ECHO_RSP,
        C_STORE_RQ,
        C_STORE_RSP,
        C_FIND_RQ,
        C_FIND_RSP,
        C_GET_RQ,
        C_GET_RSP,
        C_MOVE_RQ,
        C_MOVE_RSP,
        C_CANCEL_RQ,
        N_EVENT_REPORT_RQ,
        N_EVENT_REPORT_RSP,
        N_GET_RQ,
        N_GET_RSP,
        N_SET_RQ,
        N_SET_RSP,
        N_ACTION_RQ,
        N_ACTION_RSP,
        N_CREATE_RQ,
        N_CREATE_RSP,
        N_DELETE_RQ,
        N_DELETE_RSP,
    )
}


def message(context_id: int, command: Mapping[int, Value], data: BytesIO | None) -> DIMSEMessage:
    """Return a message as an object of the class for its Command Field.

    Parameters
    ----------
    context_id
        The ID of its presentation context.
    command
        The values of its command set by element number.
    data
        The encoded data set, if it is in memory.
    """
    return _class_of(command)(context_id, command, data)


def _class_of(command: Mapping[int, Value]) -> type[DIMSEMessage]:
    field = command.get(e.COMMAND_FIELD)
    return _CLASSES.get(field, DIMSEMessage) if isinstance(field, int) else DIMSEMessage
