"""What happens on an association, and the handlers that programs bind to it.

Of a *notification* event a handler is told: its return value is ignored, what it raises is logged, and any
number may be bound. An *intervention* event asks: exactly one handler gives the answer.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property, lru_cache
from hashlib import blake2s
from inspect import isawaitable
from io import BytesIO
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from pydicom.uid import UID

from dulcimer.data import codec, part10
from dulcimer.dimse_primitives import N_GET, from_command
from dulcimer.ops.answers import UndecodableDataSet
from dulcimer.presentation import PresentationContextTuple

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.tag import BaseTag

    from dulcimer.protocol.association.contexts import Context
    from dulcimer.protocol.dimse.commands import Value

_LOGGER = logging.getLogger("dulcimer.events")

_SAFE_UID: Final = re.compile(r"[0-9.]{1,64}")


class NotificationEvent(NamedTuple):
    """An event that handlers are told of."""

    name: str
    description: str
    is_intervention: bool = False
    is_notification: bool = True

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name


class InterventionEvent(NamedTuple):
    """An event whose one handler gives the answer."""

    name: str
    description: str
    is_intervention: bool = True
    is_notification: bool = False

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name


EventType = NotificationEvent | InterventionEvent
EventHandlerType = tuple[EventType, Callable[..., Any]] | tuple[EventType, Callable[..., Any], list[Any]]
HandlerArgs = tuple[Callable[..., Any], list[Any] | None]

EVT_ABORTED = NotificationEvent("EVT_ABORTED", "Association aborted")
EVT_ACCEPTED = NotificationEvent("EVT_ACCEPTED", "Association request accepted")
EVT_ACSE_RECV = NotificationEvent("EVT_ACSE_RECV", "Association primitive received")
EVT_ACSE_SENT = NotificationEvent("EVT_ACSE_SENT", "Association primitive sent")
EVT_CONN_CLOSE = NotificationEvent("EVT_CONN_CLOSE", "Connection closed")
EVT_CONN_OPEN = NotificationEvent("EVT_CONN_OPEN", "Connection opened")
EVT_DATA_RECV = NotificationEvent("EVT_DATA_RECV", "PDU data received")
EVT_DATA_SENT = NotificationEvent("EVT_DATA_SENT", "PDU data sent")
EVT_DIMSE_RECV = NotificationEvent("EVT_DIMSE_RECV", "DIMSE message received")
EVT_DIMSE_SENT = NotificationEvent("EVT_DIMSE_SENT", "DIMSE message sent")
EVT_ESTABLISHED = NotificationEvent("EVT_ESTABLISHED", "Association established")
EVT_FSM_TRANSITION = NotificationEvent("EVT_FSM_TRANSITION", "State machine about to transition")
EVT_PDU_RECV = NotificationEvent("EVT_PDU_RECV", "PDU received")
EVT_PDU_SENT = NotificationEvent("EVT_PDU_SENT", "PDU sent")
EVT_REJECTED = NotificationEvent("EVT_REJECTED", "Association request rejected")
EVT_RELEASED = NotificationEvent("EVT_RELEASED", "Association released")
EVT_REQUESTED = NotificationEvent("EVT_REQUESTED", "Association requested")

EVT_ASYNC_OPS = InterventionEvent("EVT_ASYNC_OPS", "Asynchronous operations negotiation requested")
EVT_SOP_COMMON = InterventionEvent("EVT_SOP_COMMON", "SOP class common extended negotiation requested")
EVT_SOP_EXTENDED = InterventionEvent("EVT_SOP_EXTENDED", "SOP class extended negotiation requested")
EVT_USER_ID = InterventionEvent("EVT_USER_ID", "User identity negotiation requested")
EVT_C_ECHO = InterventionEvent("EVT_C_ECHO", "C-ECHO request received")
EVT_C_FIND = InterventionEvent("EVT_C_FIND", "C-FIND request received")
EVT_C_GET = InterventionEvent("EVT_C_GET", "C-GET request received")
EVT_C_MOVE = InterventionEvent("EVT_C_MOVE", "C-MOVE request received")
EVT_C_STORE = InterventionEvent("EVT_C_STORE", "C-STORE request received")
EVT_C_STORE_OPEN = InterventionEvent(
    "EVT_C_STORE_OPEN", "C-STORE request: where its data set goes, before it arrives"
)
EVT_N_ACTION = InterventionEvent("EVT_N_ACTION", "N-ACTION request received")
EVT_N_CREATE = InterventionEvent("EVT_N_CREATE", "N-CREATE request received")
EVT_N_DELETE = InterventionEvent("EVT_N_DELETE", "N-DELETE request received")
EVT_N_EVENT_REPORT = InterventionEvent("EVT_N_EVENT_REPORT", "N-EVENT-REPORT request received")
EVT_N_GET = InterventionEvent("EVT_N_GET", "N-GET request received")
EVT_N_SET = InterventionEvent("EVT_N_SET", "N-SET request received")


class _WhenAsked:
    """An attribute of an event that is made when it is first asked for; absent where there is nothing."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __get__(self, event: Event | None, owner: type) -> Any:
        if event is None:
            return self
        name = self._make.__name__
        made = self._make(event)
        if made is None:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {name!r}")
        event.__dict__[name] = made
        return made


@lru_cache(maxsize=1024)
def _as_tuple(context: Context) -> PresentationContextTuple:
    return PresentationContextTuple(context.id, UID(context.abstract_syntax), UID(context.transfer_syntax))


class Event:
    """What a handler is given.

    Parameters
    ----------
    assoc
        The association that it happened on.
    event
        What happened.
    attrs
        Further attributes, which depend on the event.

    Attributes
    ----------
    assoc
        The :class:`~dulcimer.association.Association`.
    address : tuple
        Of ``EVT_CONN_OPEN`` and ``EVT_CONN_CLOSE``: the peer's host and port.
    data : bytes
        Of ``EVT_DATA_RECV`` and ``EVT_DATA_SENT``: a whole PDU as it travels, header included. Each is put
        together in memory while a handler is bound, and an unlimited ``max_pdu`` lets the peer choose how
        long it is.
    pdu : dulcimer.pdu.PDU
        Of ``EVT_PDU_RECV`` and ``EVT_PDU_SENT``: the same PDU as an object of the class for its type.
    primitive : A_ASSOCIATE, A_RELEASE, A_ABORT or A_P_ABORT
        Of ``EVT_ACSE_RECV`` and ``EVT_ACSE_SENT``, see :mod:`dulcimer.pdu_primitives`.
    message : dulcimer.dimse_messages.DIMSEMessage
        Of ``EVT_DIMSE_RECV`` and ``EVT_DIMSE_SENT``, of the class for its Command Field. Its ``data_set`` is
        empty if that was streamed from or to a file or another sink.
    current_state, fsm_event, action, next_state : str
        Of ``EVT_FSM_TRANSITION``, in the terms of PS3.8 Table 9-10: ``"Sta6"``, ``"Evt9"``, ``"DT-1"``,
        ``"Sta6"``.
    """

    def __init__(self, assoc: Any, event: EventType, attrs: dict[str, Any] | None = None) -> None:
        self.assoc = assoc
        self._event = event
        self._time = time()
        if attrs:
            if not _RESERVED.isdisjoint(attrs):
                name = min(_RESERVED.intersection(attrs))
                raise AttributeError(f"'Event' object already has an attribute '{name}'")
            self.__dict__.update(attrs)

    @classmethod
    def of_request(
        cls,
        assoc: Any,
        event: EventType,
        command: Mapping[int, Value],
        data_set: BytesIO | None,
        context: Context,
    ) -> Self:
        """Return the event of a request, whose primitive is made when it is asked for."""
        happened = cls(assoc, event)
        happened._received = command, data_set
        happened._context = context
        return happened

    _received: tuple[Mapping[int, Value], BytesIO | None] | None = None
    _context: Context | None = None

    if TYPE_CHECKING:
        # What further attributes there are depends on the event.
        sink: Any
        path: Path

        def __getattr__(self, name: str) -> Any: ...

    @_WhenAsked
    def request(self) -> Any:
        """The request as a primitive, see :mod:`dulcimer.dimse_primitives`."""
        return self._received and from_command(*self._received)

    @_WhenAsked
    def context(self) -> Any:
        """The presentation context of the request."""
        return self._context and _as_tuple(self._context)

    @cached_property
    def timestamp(self) -> datetime:
        """When the event was processed."""
        return datetime.fromtimestamp(self._time)

    @property
    def event(self) -> EventType:
        """What happened."""
        return self._event

    @property
    def message_id(self) -> int:
        """The *Message ID* of the request."""
        return int(self._parameter("MessageID", "message_id"))

    @property
    def is_cancelled(self) -> bool:
        """Whether the peer has sent a C-CANCEL for the request; False where the event is no request."""
        try:
            message_id = self._parameter("MessageID", "is_cancelled")
        except AttributeError:
            return False
        return bool(self.assoc.is_cancelled(message_id))

    @property
    def modification_list(self) -> Dataset:
        """The Modification List of an N-SET request (PS3.7 10.1.3).

        It is decoded when it is first asked for, and its values when they are: bad bytes raise then.
        """
        return self._data_set("ModificationList", "modification_list")

    @property
    def attribute_list(self) -> Dataset:
        """The Attribute List of an N-CREATE request (PS3.7 10.1.5); of an N-SET its Modification List."""
        if hasattr(type(getattr(self, "request", None)), "ModificationList"):
            return self._data_set("ModificationList", "attribute_list")
        return self._data_set("AttributeList", "attribute_list")

    @property
    def action_information(self) -> Dataset:
        """The Action Information of an N-ACTION request (PS3.7 10.1.4)."""
        return self._data_set("ActionInformation", "action_information")

    @property
    def action_type(self) -> int | None:
        """The *Action Type ID* of an N-ACTION request."""
        value: int | None = self._parameter("ActionTypeID", "action_type")
        return value

    @property
    def event_information(self) -> Dataset:
        """The Event Information of an N-EVENT-REPORT request (PS3.7 10.1.1)."""
        return self._data_set("EventInformation", "event_information")

    @property
    def event_type(self) -> int | None:
        """The *Event Type ID* of an N-EVENT-REPORT request."""
        value: int | None = self._parameter("EventTypeID", "event_type")
        return value

    @property
    def attribute_identifiers(self) -> list[BaseTag]:
        """The *Attribute Identifier List* of an N-GET request; empty if it has none (PS3.7 10.1.2)."""
        request = getattr(self, "request", None)
        if not isinstance(request, N_GET):
            raise self._absent("attribute_identifiers")
        tags: Any = request.AttributeIdentifierList
        if tags is None:
            return []
        return list(tags) if isinstance(tags, list) else [tags]

    @property
    def identifier(self) -> Dataset:
        """The Identifier of a C-FIND, C-GET or C-MOVE request."""
        return self._data_set("Identifier", "identifier")

    @property
    def move_destination(self) -> str | None:
        """The *Move Destination* of a C-MOVE request."""
        value: str | None = self._parameter("MoveDestination", "move_destination")
        return value

    @property
    def dataset(self) -> Dataset:
        """The data set of a C-STORE request; read from the file if that is where it went."""
        path = self.__dict__.get("path")
        if path is not None:
            from pydicom import dcmread

            return dcmread(path)
        return self._data_set("DataSet", "dataset")

    @property
    def dataset_path(self) -> Path:
        """The Part 10 file that a C-STORE request's data set was written to."""
        path = self.__dict__.get("path")
        if path is None:
            raise AttributeError(
                "The data set is in memory: set '_config.STORE_RECV_CHUNKED_DATASET', or have a handler for "
                "'evt.EVT_C_STORE_OPEN' return a path"
            )
        return Path(path)

    @cached_property
    def file_meta(self) -> FileMetaDataset:
        """File Meta Information for the data set of a C-STORE request (PS3.10 7.1)."""
        from dulcimer.dsutils import create_file_meta

        request = self.request
        return create_file_meta(
            sop_class_uid=request.AffectedSOPClassUID,
            sop_instance_uid=request.AffectedSOPInstanceUID,
            transfer_syntax=self.context.transfer_syntax,
        )

    @property
    def file_name(self) -> str:
        """A name for a file with the instance of a C-STORE request: its UID, made safe, and ``.dcm``.

        What a peer sends as a UID may be anything, also a path.
        """
        uid = str(self._parameter("AffectedSOPInstanceUID", "file_name") or "")
        if not _SAFE_UID.fullmatch(uid) or not uid.strip("."):
            uid = f"uid-{blake2s(uid.encode(), digest_size=16).hexdigest()}"
        return f"{uid}.dcm"

    @property
    def raw(self) -> memoryview:
        """The data set of the request as it was received, for reading; in memory it is not copied."""
        if self.__dict__.get("path") is not None:
            return memoryview(self.encoded_dataset(include_meta=False))
        if not hasattr(self, "request"):
            raise self._absent("raw")
        stream: BytesIO | None = self.request.data_set
        return memoryview(b"" if stream is None else stream.getbuffer()).toreadonly()

    def encoded_dataset(self, include_meta: bool = True) -> bytes:
        """Return the data set of a C-STORE request as it was received.

        Parameters
        ----------
        include_meta
            Whether it comes as a Part 10 file: with preamble, prefix and File Meta Information.
        """
        path = self.__dict__.get("path")
        if path is not None:
            offset = 0 if include_meta else part10.scan(path).data_offset
            return Path(path).read_bytes()[offset:]
        stream: BytesIO | None = self._parameter("DataSet", "encoded_dataset()")
        data = b"" if stream is None else stream.getvalue()
        if not include_meta:
            return data
        request = self.request
        head = part10.preamble(
            str(request.AffectedSOPClassUID or ""),
            str(request.AffectedSOPInstanceUID or ""),
            str(self.context.transfer_syntax),
        )
        return head + data

    def _parameter(self, keyword: str, name: str) -> Any:
        request = getattr(self, "request", None)
        if request is None or not hasattr(type(request), keyword):
            raise self._absent(name)
        return getattr(request, keyword)

    def _absent(self, name: str) -> AttributeError:
        return AttributeError(f"An {self._event.name} event has no '{name}'")

    def _data_set(self, keyword: str, name: str) -> Dataset:
        known: dict[str, Dataset] = self.__dict__.setdefault("_decoded", {})
        found = known.get(keyword)
        if found is None:
            stream = self._parameter(keyword, name)
            if stream is None:
                from pydicom.dataset import Dataset

                found = Dataset()
            else:
                try:
                    found = codec.decode(stream, codec.encoding_of(str(self.context.transfer_syntax)))
                except Exception as error:
                    raise UndecodableDataSet(f"the {name} cannot be decoded: {error}") from error
            known[keyword] = found
        return found


_RESERVED: Final = frozenset({*dir(Event), "assoc"} - {"request", "context"})


class Handlers:
    """The handlers that are bound to events, of an association or a server."""

    def __init__(self, bindings: Iterable[EventHandlerType] = ()) -> None:
        self._notified: dict[EventType, list[HandlerArgs]] = {}
        self._asked: dict[EventType, HandlerArgs] = {}
        for binding in bindings:
            self.bind(*binding)

    def copy(self) -> Handlers:
        """Return the same bindings, to be changed on their own."""
        other = Handlers()
        other._notified = {event: list(bound) for event, bound in self._notified.items()}
        other._asked = dict(self._asked)
        return other

    def bind(self, event: EventType, handler: Callable[..., Any], args: list[Any] | None = None) -> None:
        """Bind a handler; a second one to an intervention event replaces the first."""
        if event.is_intervention:
            self._asked[event] = (handler, args)
            return
        bound = self._notified.get(event, [])
        if (handler, args) not in bound:
            # A new list, since another thread may be going through the old one.
            self._notified[event] = [*bound, (handler, args)]

    def unbind(self, event: EventType, handler: Callable[..., Any]) -> None:
        """Unbind a handler; one that is not bound is no error."""
        if event.is_intervention:
            if event in self._asked and self._asked[event][0] == handler:
                del self._asked[event]
            return
        rest = [binding for binding in self._notified.get(event, []) if binding[0] != handler]
        if rest:
            self._notified[event] = rest
        else:
            self._notified.pop(event, None)

    def events(self) -> list[EventType]:
        """List the events that something is bound to, by name; each intervention event has a default."""
        return sorted({*self._notified, *self._asked, *_INTERVENTIONS}, key=lambda event: event.name)

    def of(self, event: EventType) -> list[HandlerArgs] | HandlerArgs:
        """Return the handlers of a notification event, or the one of an intervention event."""
        if event.is_intervention:
            return self._asked.get(event) or (get_default_handler(event), None)
        return list(self._notified.get(event, ()))

    def notified(self, event: EventType) -> list[HandlerArgs] | None:
        """Return the handlers of a notification event, None if there are none."""
        return self._notified.get(event)

    def listen_to(self, events: frozenset[EventType]) -> bool:
        """Tell whether one of these notification events has a handler."""
        return not events.isdisjoint(self._notified)

    def asked(self, event: EventType) -> HandlerArgs | None:
        """Return the handler that is bound to an intervention event, None if none is."""
        return self._asked.get(event)


def trigger(assoc: Any, event: EventType, attrs: dict[str, Any] | None = None) -> Any | None:
    """Call what is bound to an event.

    Parameters
    ----------
    assoc
        The association that it happened on.
    event
        What happened.
    attrs
        Further attributes of the :class:`Event`.

    Returns
    -------
    object or None
        Of an intervention event what its handler returns; what that raises is not caught.
    """
    if event.is_intervention:
        handler, args = assoc.get_handlers(event)
        return handler(Event(assoc, event, attrs), *(args or ()))
    if bound := assoc.get_handlers(event):
        happened = Event(assoc, event, attrs)
        for handler, args in bound:
            try:
                result = handler(happened, *(args or ()))
                if result is not None and isawaitable(result):
                    # Only an association in an event loop can have it awaited.
                    assoc.look_after(result)
            except Exception:
                _LOGGER.exception("A handler bound to 'evt.%s' raised", event.name)
    return None


def get_default_handler(event: EventType) -> Callable[[Event], Any]:
    """Return what answers an intervention event to which nothing is bound."""
    return _DEFAULTS.get(event, _not_implemented)


def _not_implemented(event: Event) -> Any:
    raise NotImplementedError(f"No handler has been bound to 'evt.{event.event.name}'")


def _success(event: Event) -> int:
    return 0x0000


def _in_memory(event: Event) -> None:
    return None


def _accept_user(event: Event) -> tuple[bool, None]:
    return True, None


def _nothing(event: Event) -> dict[Any, Any]:
    return {}


_INTERVENTIONS: Final[tuple[EventType, ...]] = (
    EVT_ASYNC_OPS,
    EVT_C_ECHO,
    EVT_C_FIND,
    EVT_C_GET,
    EVT_C_MOVE,
    EVT_C_STORE,
    EVT_N_ACTION,
    EVT_N_CREATE,
    EVT_N_DELETE,
    EVT_N_EVENT_REPORT,
    EVT_N_GET,
    EVT_N_SET,
    EVT_SOP_COMMON,
    EVT_SOP_EXTENDED,
    EVT_USER_ID,
)

_DEFAULTS: Final[dict[EventType, Callable[[Event], Any]]] = {
    EVT_C_ECHO: _success,
    EVT_C_STORE_OPEN: _in_memory,
    EVT_USER_ID: _accept_user,
    EVT_SOP_EXTENDED: _nothing,
    EVT_SOP_COMMON: _nothing,
}
