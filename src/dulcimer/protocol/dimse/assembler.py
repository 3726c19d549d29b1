"""Fragments to DIMSE messages (PS3.7 6.3.1, PS3.8 Annex E).

The command set is gathered and decoded; then a sink is opened for the data set, which streams through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from dulcimer.errors import InvalidParameter, UnexpectedParameter
from dulcimer.protocol.dimse import commands
from dulcimer.protocol.dimse.conformance import WITHOUT_DATA_SET, data_set_impossible
from dulcimer.protocol.dimse.elements import COMMAND_DATA_SET_TYPE, COMMAND_FIELD, NO_DATA_SET

if TYPE_CHECKING:
    from dulcimer.protocol.dimse.commands import Value
    from dulcimer.protocol.dimse.sinks import Sink
    from dulcimer.protocol.wire.reader import Fragment

MAX_COMMAND_SET: Final = 1 << 16


class Message:
    """A DIMSE message as received: its command set, and the sink that took its data set.

    ``error`` is what the sink raised, if it failed; the data set was then drained.
    """

    __slots__ = ("command", "context_id", "error", "sink")

    def __init__(self, context_id: int, command: dict[int, Value], sink: Sink | None) -> None:
        self.context_id = context_id
        self.command = command
        self.sink = sink
        self.error: Exception | None = None


Check = Callable[[Mapping[int, "Value"]], None]
Examine = Callable[[int, Mapping[int, "Value"], bytes], None]
OpenSink = Callable[[int, Mapping[int, "Value"]], "Sink"]


def _refuse(command: Mapping[int, Value]) -> None:
    raise UnexpectedParameter("a message after the end of the association")


def _no_sink(context_id: int, command: Mapping[int, Value]) -> Sink:
    raise UnexpectedParameter("a data set after the end of the association")


class Assembler:
    """Puts the messages of one association together.

    ``check`` judges every command set before anything of its data set is taken, and may raise; ``open_sink``
    chooses where a data set goes. ``examine``, if given, is shown the context, the values and the bytes of
    every command set, and may raise as well. ``tolerant`` says whether a data set is done without that is
    announced for a message that has none, rather than awaited.
    """

    __slots__ = (
        "_check",
        "_command",
        "_context_id",
        "_examine",
        "_message",
        "_open_sink",
        "_superfluous",
        "_target",
        "tolerant",
    )

    def __init__(self, check: Check, open_sink: OpenSink, examine: Examine | None = None) -> None:
        self._check = check
        self._examine = examine
        self.tolerant = False
        self._superfluous = 0
        self._open_sink = open_sink
        self._command = bytearray()
        self._context_id = 0
        self._message: Message | None = None
        self._target: Sink | None = None

    def detach(self) -> None:
        """Forget who judges commands and opens sinks: nothing more will be fed."""
        self._check = _refuse
        self._open_sink = _no_sink
        self._examine = None

    @property
    def in_message(self) -> bool:
        """Whether part of a message is here and the rest is not."""
        return self._message is not None or bool(self._command)

    def feed(self, fragment: Fragment) -> Message | None:
        """Take a fragment; return the message that it completes.

        Raises
        ------
        dulcimer.errors.RemoteProtocolError
            If it does not belong here: data before its command, two messages interleaved, a command set
            that does not decode, is longer than 64 KiB or is not one that can come.
        """
        message = self._message
        context_id, control, data, whole = fragment
        if control & 1:
            if message is not None:
                raise UnexpectedParameter("a command fragment while a data set is incomplete")
            gathered = self._command
            if not gathered:
                self._context_id = context_id
            elif context_id != self._context_id:
                raise UnexpectedParameter("a command set in two presentation contexts")
            if len(gathered) + len(data) > MAX_COMMAND_SET:
                raise InvalidParameter("a command set longer than 64 KiB")
            if gathered or not (whole and control & 2):
                gathered += data
                if not (whole and control & 2):
                    return None
                encoded = bytes(gathered)
                gathered.clear()
            else:
                encoded = bytes(data)
            command = commands.decode(encoded)
            self._check(command)
            if self._examine is not None:
                self._examine(context_id, command, encoded)
            message = Message(context_id, command, None)
            if command.get(COMMAND_DATA_SET_TYPE, NO_DATA_SET) == NO_DATA_SET:
                return message
            if (
                self.tolerant
                and command.get(COMMAND_FIELD) in WITHOUT_DATA_SET
                and data_set_impossible(command)
            ):
                # Some peers send one all the same, and more of them do not.
                self._superfluous = context_id
                return message
            self._message = message
            try:
                message.sink = self._target = self._open_sink(context_id, command)
            except Exception as error:
                message.error = error
            return None
        if message is None:
            if context_id == self._superfluous:
                if whole and control & 2:
                    self._superfluous = 0
                return None
            raise UnexpectedParameter("a data set fragment before its command set")
        if context_id != message.context_id:
            raise UnexpectedParameter("a data set in another presentation context than its command set")
        target = self._target
        if target is not None and data:
            try:
                target.write(data)
            except Exception as error:
                self._give_up(message, error)
        if not (whole and control & 2):
            return None
        return self._complete(message)

    def flush(self) -> None:
        """Let the open sink use the views it was given; they are about to become invalid."""
        if self._target is not None and self._message is not None:
            try:
                self._target.flush()
            except Exception as error:
                self._give_up(self._message, error)

    def abort(self) -> None:
        """End the sink of a message that will never be complete."""
        target, self._target, self._message = self._target, None, None
        self._command.clear()
        if target is not None:
            try:
                target.abort()
            except Exception:
                # Nobody is left who could be told, and the peer is not to blame.
                pass

    def _complete(self, message: Message) -> Message:
        target = self._target
        if target is not None:
            try:
                target.flush()
                target.close()
            except Exception as error:
                self._give_up(message, error)
        self._message = self._target = None
        return message

    def _give_up(self, message: Message, error: Exception) -> None:
        # The rest is drained: the peer still has to be told what happened.
        target, self._target = self._target, None
        message.error = error
        message.sink = None
        if target is not None:
            try:
                target.abort()
            except Exception as second:
                error.add_note(f"and ending the sink failed too: {second!r}")
