"""Requests as SCU: each service once, for every driver (PS3.7 9.1 and 10.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from pydicom.tag import Tag

from dulcimer.data import codec, part10
from dulcimer.data.sources import SMALL_FILE, FileSource, StreamSource
from dulcimer.errors import LocalProtocolError
from dulcimer.ops.effects import WAIT, Operation
from dulcimer.ops.selection import context_for, reporting_context
from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse import messages as m
from dulcimer.protocol.dimse.sinks import MemorySink
from dulcimer.protocol.ul.states import State
from dulcimer.services.registry import command_class

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.association.engine import Engine, Exchange
    from dulcimer.protocol.dimse.assembler import Message
    from dulcimer.protocol.dimse.commands import Value
    from dulcimer.protocol.wire.writer import DataSource

    Storable = str | Path | bytes | bytearray | memoryview | BinaryIO | Dataset

VERIFICATION: Final = "1.2.840.10008.1.1"


class Response:
    """The answer to a request.

    Attributes
    ----------
    command
        The command set, by element number (PS3.7 E.1).
    status
        *Status* (0000,0900).
    data
        The encoded data set that came with it, None without one.
    context
        The presentation context that it came in.
    """

    __slots__ = ("command", "context", "data", "status")

    def __init__(self, message: Message, context: Context) -> None:
        self.command: Mapping[int, Value] = message.command
        status = message.command[e.STATUS]
        assert isinstance(status, int)
        self.status = status
        self.context = context
        sink = message.sink
        self.data: BytesIO | None = sink.stream if isinstance(sink, MemorySink) else None

    def dataset(self) -> Dataset | None:
        """Decode the data set; None without one.

        Raises
        ------
        Exception
            Whatever pydicom raises for bytes that are no data set in the context's transfer syntax.
        """
        data = self.data
        if data is None or not data.getbuffer().nbytes:
            return None
        return codec.decode(data, codec.encoding_of(self.context.transfer_syntax))


def begin(
    engine: Engine, context: Context, command: dict[int, Value], data: DataSource | None
) -> Operation[Exchange]:
    """Send a request when the window is open.

    The message ID of the command is used unless an outstanding operation has it; then the next free one is.

    Raises
    ------
    dulcimer.errors.LocalProtocolError
        If the association is not established.
    dulcimer.errors.AssociationError
        If it ends before the window is open.
    """
    if engine.state is not State.STA6:
        raise LocalProtocolError("the association is not established")
    while not engine.window_open:
        yield WAIT
        if engine.state is not State.STA6:
            raise engine.error()
    wanted = command[e.MESSAGE_ID]
    assert isinstance(wanted, int)
    command[e.MESSAGE_ID] = engine.free_message_id(wanted)
    return engine.send_request(context.id, command, data, engine.now)


def following(engine: Engine, exchange: Exchange, context: Context) -> Operation[Response]:
    """Wait for the next response to a request that was sent.

    Raises
    ------
    dulcimer.errors.AssociationError
        If the association ends before it has come.
    """
    while not exchange.responses:
        # While we await the answer to our release the peer may still send (AR-6). Another thread that takes
        # the same responses may have had the last one, or may have given the rest up.
        over = exchange.answered or exchange.given_up
        if over or (engine.state is not State.STA6 and engine.state is not State.STA7):
            raise engine.error()
        yield WAIT
    return Response(exchange.responses.popleft(), context)


def request(
    engine: Engine, context: Context, command: dict[int, Value], data: DataSource | None
) -> Operation[Response]:
    """Send a request that has one response, and wait for that; raise what its two halves raise."""
    exchange = yield from begin(engine, context, command, data)
    try:
        return (yield from following(engine, exchange, context))
    finally:
        engine.finish(exchange)


def c_echo(engine: Engine, msg_id: int = 1) -> Operation[Response]:
    """Verify that the peer answers (PS3.7 9.1.5)."""
    context = context_for(engine, VERIFICATION)
    command: dict[int, Value] = {
        e.AFFECTED_SOP_CLASS_UID: VERIFICATION,
        e.COMMAND_FIELD: m.C_ECHO_RQ,
        e.MESSAGE_ID: msg_id,
    }
    return (yield from request(engine, context, command, None))


def checked_priority(priority: int) -> int:
    """Return a *Priority* (PS3.7 9.1.1.1.6): 0 medium, 1 high or 2 low.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if priority not in (0, 1, 2):
        raise ValueError(f"'priority' must be 0 (medium), 1 (high) or 2 (low), not {priority!r}")
    return priority


def c_store(
    engine: Engine,
    dataset: Storable,
    msg_id: int = 1,
    priority: int = 2,
    originator_aet: str | None = None,
    originator_id: int | None = None,
    *,
    exact: bool = False,
) -> Operation[Response]:
    """Store a composite SOP instance at the peer (PS3.7 9.1.1, PS3.4 Annex B).

    Parameters
    ----------
    dataset
        The instance, or a Part 10 file: its path, its bytes, or a binary stream that can seek. A file whose
        transfer syntax was accepted is sent as it is, without being decoded.
    msg_id
        Message ID, 0 to 65535.
    priority
        0 medium, 1 high, 2 low.
    originator_aet, originator_id
        AE title and message ID of the C-MOVE that this sub-operation belongs to.
    exact
        Whether only a context with the instance's own transfer syntax will do.

    Raises
    ------
    AttributeError
        If a UID or the transfer syntax is missing.
    ValueError
        If the data set cannot be encoded, there is no presentation context for it, or the priority is none.
    """
    priority = checked_priority(priority)
    source: DataSource | None
    if isinstance(dataset, (str, Path)):
        path = dataset if isinstance(dataset, Path) else Path(dataset)
        try:
            header, content = part10.read(path, SMALL_FILE)
        except part10.NotPart10 as error:
            raise AttributeError(f"Unable to send the file {path}: {error}") from error
        class_uid, instance_uid = header.sop_class_uid, header.sop_instance_uid
        syntax = header.transfer_syntax_uid
        context = context_for(engine, class_uid, transfer_syntax=syntax, convertible=not exact)
        if context.transfer_syntax == syntax:
            # Many deflated files lack the byte that evens them out (PS3.5 A.5); peers refuse odd fragments.
            pad = bool((header.size - header.data_offset) & 1) and codec.encoding_of(syntax).deflated
            if content is None:
                source = FileSource(path, header.data_offset, header.size, pad=pad)
            else:
                source = content + b"\0" if pad else content
        else:
            from pydicom import dcmread

            source = encoded(dcmread(path), context, "dataset")
    elif isinstance(dataset, (bytes, bytearray, memoryview)) or hasattr(dataset, "read"):
        stream = cast(BinaryIO, dataset) if hasattr(dataset, "read") else BytesIO(cast(bytes, dataset))
        try:
            header = part10.scan_stream(stream)
        except part10.NotPart10 as error:
            raise AttributeError(f"Unable to send the stream: {error}") from error
        class_uid, instance_uid = header.sop_class_uid, header.sop_instance_uid
        syntax = header.transfer_syntax_uid
        context = context_for(engine, class_uid, transfer_syntax=syntax, convertible=not exact)
        if context.transfer_syntax == syntax:
            pad = bool((header.size - header.data_offset) & 1) and codec.encoding_of(syntax).deflated
            source = StreamSource(stream, header.data_offset, header.size, pad=pad)
        else:
            from pydicom import dcmread

            source = encoded(dcmread(stream), context, "dataset")
    else:
        instance = cast("Dataset", dataset)
        class_uid, instance_uid = _uids(instance)
        syntax = _transfer_syntax(instance)
        context = context_for(engine, class_uid, transfer_syntax=syntax, convertible=not exact)
        source = encoded(instance, context, "dataset")
    command: dict[int, Value] = {
        e.AFFECTED_SOP_CLASS_UID: class_uid,
        e.COMMAND_FIELD: m.C_STORE_RQ,
        e.MESSAGE_ID: msg_id,
        e.PRIORITY: priority,
        e.AFFECTED_SOP_INSTANCE_UID: instance_uid,
    }
    if originator_aet is not None:
        command[e.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE] = originator_aet
    if originator_id is not None:
        command[e.MOVE_ORIGINATOR_MESSAGE_ID] = originator_id
    return (yield from request(engine, context, command, source))


def n_event_report(
    engine: Engine,
    dataset: Dataset | None,
    event_type: int,
    class_uid: str,
    instance_uid: str,
    msg_id: int = 1,
    meta_uid: str | None = None,
) -> Operation[Response]:
    """Report an event of an instance, as its SCP (PS3.7 10.1.1).

    Parameters
    ----------
    dataset
        The Event Information, None if the event has none.
    event_type
        Event Type ID.
    class_uid, instance_uid
        Affected SOP Class and Instance UID.
    msg_id
        Message ID.
    meta_uid
        The meta SOP class that the context was negotiated with.
    """
    context = reporting_context(engine, meta_uid or class_uid)
    command: dict[int, Value] = {
        e.AFFECTED_SOP_CLASS_UID: command_class(context.abstract_syntax, class_uid),
        e.COMMAND_FIELD: m.N_EVENT_REPORT_RQ,
        e.MESSAGE_ID: msg_id,
        e.AFFECTED_SOP_INSTANCE_UID: str(instance_uid),
        e.EVENT_TYPE_ID: event_type,
    }
    data = None if dataset is None else encoded(dataset, context, "Event Information") or None
    return (yield from request(engine, context, command, data))


def n_get(
    engine: Engine,
    identifier_list: Sequence[int] | None,
    class_uid: str,
    instance_uid: str,
    msg_id: int = 1,
    meta_uid: str | None = None,
) -> Operation[Response]:
    """Get attributes of an instance (PS3.7 10.1.2); of an empty list all of them."""
    context = context_for(engine, meta_uid or class_uid)
    command = _requested(m.N_GET_RQ, context, class_uid, instance_uid, msg_id)
    if identifier_list:
        command[e.ATTRIBUTE_IDENTIFIER_LIST] = tuple(int(Tag(tag)) for tag in identifier_list)
    return (yield from request(engine, context, command, None))


def n_set(
    engine: Engine,
    dataset: Dataset,
    class_uid: str,
    instance_uid: str,
    msg_id: int = 1,
    meta_uid: str | None = None,
) -> Operation[Response]:
    """Change attributes of an instance (PS3.7 10.1.3).

    Parameters
    ----------
    dataset
        The Modification List.
    class_uid, instance_uid
        Requested SOP Class and Instance UID.
    msg_id
        Message ID.
    meta_uid
        The meta SOP class that the context was negotiated with, for example that of print management.
    """
    context = context_for(engine, meta_uid or class_uid)
    command = _requested(m.N_SET_RQ, context, class_uid, instance_uid, msg_id)
    return (yield from request(engine, context, command, encoded(dataset, context, "Modification List")))


def n_action(
    engine: Engine,
    dataset: Dataset | None,
    action_type: int,
    class_uid: str,
    instance_uid: str,
    msg_id: int = 1,
    meta_uid: str | None = None,
) -> Operation[Response]:
    """Have an action performed on an instance (PS3.7 10.1.4)."""
    context = context_for(engine, meta_uid or class_uid)
    command = _requested(m.N_ACTION_RQ, context, class_uid, instance_uid, msg_id)
    command[e.ACTION_TYPE_ID] = action_type
    data = None if dataset is None else encoded(dataset, context, "Action Information") or None
    return (yield from request(engine, context, command, data))


def n_create(
    engine: Engine,
    dataset: Dataset | None,
    class_uid: str,
    instance_uid: str | None = None,
    msg_id: int = 1,
    meta_uid: str | None = None,
) -> Operation[Response]:
    """Create an instance (PS3.7 10.1.5); without ``instance_uid`` the peer makes one up."""
    context = context_for(engine, meta_uid or class_uid)
    command: dict[int, Value] = {
        e.AFFECTED_SOP_CLASS_UID: command_class(context.abstract_syntax, class_uid),
        e.COMMAND_FIELD: m.N_CREATE_RQ,
        e.MESSAGE_ID: msg_id,
    }
    if instance_uid:
        command[e.AFFECTED_SOP_INSTANCE_UID] = str(instance_uid)
    data = None if dataset is None else encoded(dataset, context, "Attribute List") or None
    return (yield from request(engine, context, command, data))


def n_delete(
    engine: Engine,
    class_uid: str,
    instance_uid: str,
    msg_id: int = 1,
    meta_uid: str | None = None,
) -> Operation[Response]:
    """Delete an instance (PS3.7 10.1.6)."""
    context = context_for(engine, meta_uid or class_uid)
    command = _requested(m.N_DELETE_RQ, context, class_uid, instance_uid, msg_id)
    return (yield from request(engine, context, command, None))


def _requested(
    field: int, context: Context, class_uid: str, instance_uid: str, msg_id: int
) -> dict[int, Value]:
    return {
        e.REQUESTED_SOP_CLASS_UID: command_class(context.abstract_syntax, str(class_uid)),
        e.COMMAND_FIELD: field,
        e.MESSAGE_ID: msg_id,
        e.REQUESTED_SOP_INSTANCE_UID: str(instance_uid),
    }


def encoded(dataset: Dataset, context: Context, what: str) -> bytes:
    try:
        return codec.encode(dataset, codec.encoding_of(context.transfer_syntax))
    except Exception as error:
        raise ValueError(f"Failed to encode the supplied {what}: {error}") from error


def _uids(dataset: Dataset) -> tuple[str, str]:
    missing = [keyword for keyword in ("SOPClassUID", "SOPInstanceUID") if keyword not in dataset]
    if missing:
        raise AttributeError(f"Unable to send the dataset: it has no {' and no '.join(missing)}")
    return str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)


def _transfer_syntax(dataset: Dataset) -> str:
    """Return the transfer syntax that a data set says it has, corrected where it cannot be so."""
    meta = getattr(dataset, "file_meta", None)
    syntax = None if meta is None else meta.get("TransferSyntaxUID")
    if not syntax:
        raise AttributeError(
            "Unable to determine the transfer syntax of the dataset: set dataset.file_meta with a "
            "(0002,0010) Transfer Syntax UID"
        )
    said = codec.encoding_of(str(syntax))
    implicit, little = dataset.original_encoding
    if implicit is None or little is None or (implicit, little) == said[:2]:
        return str(syntax)
    if implicit and little:
        return codec.IMPLICIT_VR_LITTLE_ENDIAN
    if not implicit and not little:
        return codec.EXPLICIT_VR_BIG_ENDIAN
    raise AttributeError(
        f"the dataset was read as {'implicit' if implicit else 'explicit'} VR "
        f"{'little' if little else 'big'} endian, but its file meta has the Transfer Syntax UID "
        f"'{syntax.name}': set the one that it is to be sent in"
    )
