"""The DIMSE service primitives: a request or response with its parameters (PS3.7 9.1, 10.1).

A primitive keeps its parameters by element number of the command set, just as the codec gives them; each
property is a :class:`Parameter` that validates what is set and converts what is read. Making a primitive of a
received command therefore costs next to nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Self, TypeVar, overload

from pydicom.config import IGNORE
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from dulcimer.protocol.dimse import elements as e
from dulcimer.protocol.dimse.messages import MESSAGES
from dulcimer.utils import decode_bytes, set_ae, set_uid

if TYPE_CHECKING:
    from dulcimer.protocol.dimse.commands import Value

_LOGGER = logging.getLogger("dulcimer.dimse_primitives")

_G = TypeVar("_G")
_S = TypeVar("_S")

_RESPONSE: Final = 0x8000
_CANCEL: Final = 0x0FFF

_COMMENT_LENGTH: Final = 64
"""The longest value of VR LO (PS3.5 6.2); Error Comment is the only such element."""

_STATUS_ELEMENTS: Final = (e.OFFENDING_ELEMENT, e.ERROR_COMMENT, e.ERROR_ID, e.ATTRIBUTE_IDENTIFIER_LIST)
"""The status related fields that any response may carry (PS3.7 Annex C)."""


class Primitive:
    """What all primitives share: parameters by element number, and perhaps a data set."""

    COMMAND_FIELD: ClassVar[int]
    """The Command Field of the request; a response's is this with the highest bit set."""

    def __init__(self) -> None:
        self.parameters: dict[int, Any] = {}
        self.data_set: BytesIO | None = None

    @classmethod
    def received(cls, parameters: dict[int, Any], data_set: BytesIO | None) -> Self:
        """Return a primitive with these parameters, without validating them."""
        primitive = cls.__new__(cls)
        primitive.parameters = parameters
        primitive.data_set = data_set
        return primitive

    @property
    def is_response(self) -> bool:
        """Whether this is a response: those name the message that they answer."""
        return self.parameters.get(e.MESSAGE_ID_BEING_RESPONDED_TO) is not None


class Parameter(Generic[_G, _S]):
    """A parameter of a primitive that is an element of the command set.

    Parameters
    ----------
    element
        The element's number.
    label
        Its name in messages.
    """

    def __init__(self, element: int, label: str = "") -> None:
        self.element = element
        self.label = label
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: Primitive, owner: type) -> _G | None: ...

    def __get__(self, instance: Primitive | None, owner: type) -> Self | _G | None:
        if instance is None:
            return self
        value = instance.parameters.get(self.element)
        return None if value is None else self.give(value)

    def __set__(self, instance: Primitive, value: _S | None) -> None:
        instance.parameters[self.element] = None if value is None else self.accept(value)

    def accept(self, value: Any) -> Any:
        """Return the value to keep, or raise TypeError or ValueError."""
        return value

    def give(self, value: Any) -> Any:
        """Return what a user sees of a kept value."""
        return value


class _UIDParameter(Parameter[UID, str | bytes | UID]):
    def accept(self, value: Any) -> Any:
        # An empty UID is no UID: elements may be sent empty.
        return set_uid(value, self.label) or None

    def __get__(self, instance: Primitive | None, owner: type) -> Any:
        if instance is None:
            return self
        value = instance.parameters.get(self.element)
        if type(value) is str:
            # As received: the engine has looked at it, so it is not judged again. Kept, because making a UID
            # takes longer than everything else here.
            value = instance.parameters[self.element] = UID(value, IGNORE) if value else None
        return value


class _AETitle(Parameter[str, str | bytes]):
    def accept(self, value: Any) -> Any:
        return set_ae(_text(value), self.label, allow_empty=False)


class _Originator(Parameter[str, str | bytes]):
    """A Move Originator, which is information only: a bad one must not fail the C-STORE that names it."""

    def accept(self, value: Any) -> Any:
        try:
            return set_ae(_text(value), self.label)
        except ValueError as error:
            _LOGGER.warning("%s; it is left out", error)
            return None


class _Integer(Parameter[int, int]):
    """An integer, within limits if there are any."""

    def __init__(self, element: int, label: str, low: int | None = None, high: int | None = None) -> None:
        super().__init__(element, label)
        self.low = low
        self.high = high

    def accept(self, value: Any) -> Any:
        if not isinstance(value, int):
            raise TypeError(f"'{self.label}' must be an int, not '{type(value).__name__}'")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            limits = f"at least {self.low}" if self.high is None else f"from {self.low} to {self.high}"
            raise ValueError(f"'{self.label}' must be {limits}, not {value}")
        return value


class _Priority(Parameter[int, int]):
    def __set__(self, instance: Primitive, value: int | None) -> None:
        if value not in (0, 1, 2):
            raise ValueError(f"'Priority' must be 0 (medium), 1 (high) or 2 (low), not {value!r}")
        instance.parameters[self.element] = value


class _Tags(Parameter[BaseTag | list[BaseTag], Any]):
    """One tag or several."""

    def accept(self, value: Any) -> Any:
        try:
            if isinstance(value, (list, bytes)) or value == "" or _is_sequence(value):
                return [Tag(item) for item in value]
            return Tag(value)
        except OverflowError:
            raise
        except Exception as error:
            raise ValueError(f"'{self.label}' must be convertible to tags, not {value!r}") from error

    def give(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return Tag(value[0]) if len(value) == 1 else [Tag(item) for item in value]
        return value


class _Free(Parameter[Any, Any]):
    """A status related field; what cannot be encoded is refused when the response is sent."""

    def give(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return Tag(value[0]) if len(value) == 1 else [Tag(item) for item in value]
        return value


class _DataSet:
    """The encoded data set of a message, under the name that the message has for it."""

    def __init__(self) -> None:
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: Primitive, owner: type) -> BytesIO | None: ...

    def __get__(self, instance: Primitive | None, owner: type) -> Self | BytesIO | None:
        return self if instance is None else instance.data_set

    def __set__(self, instance: Primitive, value: BytesIO | None) -> None:
        if value is not None and not isinstance(value, BytesIO):
            raise TypeError(f"'{self.name}' must be a BytesIO object, not '{type(value).__name__}'")
        instance.data_set = value


def _text(value: Any) -> Any:
    return decode_bytes(value) if isinstance(value, bytes) else value


def _is_sequence(value: Any) -> bool:
    # pydicom's MultiValue is no list; a tuple is one tag, as pydicom has it.
    return not isinstance(value, (str, tuple)) and hasattr(value, "__getitem__") and hasattr(value, "__len__")


def _message_id(element: int, label: str) -> _Integer:
    return _Integer(element, label, 0, 0xFFFF)


def _count(element: int, label: str) -> _Integer:
    return _Integer(element, label, 0)


class DIMSEPrimitive(Primitive):
    """A request or response of a DIMSE service."""

    STATUS_OPTIONAL_KEYWORDS: ClassVar[tuple[str, ...]] = ()
    """The parameters, beside *Status*, that a status may bring along."""
    REQUEST_KEYWORDS: ClassVar[tuple[str, ...]] = ()
    """The parameters that a request must have."""
    RESPONSE_KEYWORDS: ClassVar[tuple[str, ...]] = ("MessageIDBeingRespondedTo", "Status")
    """The parameters that a response must have."""

    AffectedSOPClassUID = _UIDParameter(e.AFFECTED_SOP_CLASS_UID, "Affected SOP Class UID")
    MessageID = _message_id(e.MESSAGE_ID, "Message ID")
    MessageIDBeingRespondedTo = _message_id(e.MESSAGE_ID_BEING_RESPONDED_TO, "Message ID Being Responded To")
    Status = _Integer(e.STATUS, "Status")
    OffendingElement = _Free(e.OFFENDING_ELEMENT)
    ErrorComment = _Free(e.ERROR_COMMENT)
    ErrorID = _Free(e.ERROR_ID)

    @property
    def is_valid_request(self) -> bool:
        """Whether everything is there that a request must have."""
        return all(getattr(self, keyword) is not None for keyword in self.REQUEST_KEYWORDS)

    @property
    def is_valid_response(self) -> bool:
        """Whether everything is there that a response must have."""
        return all(getattr(self, keyword) is not None for keyword in self.RESPONSE_KEYWORDS)

    @property
    def msg_type(self) -> str:
        """The name of the service, such as ``"N-SET"``."""
        return type(self).__name__.replace("_", "-")


class _Prioritized(DIMSEPrimitive):
    """A request with a priority, low unless it says otherwise."""

    Priority = _Priority(e.PRIORITY)

    def __init__(self) -> None:
        super().__init__()
        self.parameters[e.PRIORITY] = 2


class _Retrieve(_Prioritized):
    """C-GET and C-MOVE: their responses count the sub-operations."""

    STATUS_OPTIONAL_KEYWORDS = (
        "ErrorComment",
        "OffendingElement",
        "NumberOfRemainingSuboperations",
        "NumberOfCompletedSuboperations",
        "NumberOfFailedSuboperations",
        "NumberOfWarningSuboperations",
    )

    Identifier = _DataSet()
    NumberOfRemainingSuboperations = _count(
        e.NUMBER_OF_REMAINING_SUBOPERATIONS, "Number of Remaining Suboperations"
    )
    NumberOfCompletedSuboperations = _count(
        e.NUMBER_OF_COMPLETED_SUBOPERATIONS, "Number of Completed Suboperations"
    )
    NumberOfFailedSuboperations = _count(e.NUMBER_OF_FAILED_SUBOPERATIONS, "Number of Failed Suboperations")
    NumberOfWarningSuboperations = _count(
        e.NUMBER_OF_WARNING_SUBOPERATIONS, "Number of Warning Suboperations"
    )


class _Requested(DIMSEPrimitive):
    """A DIMSE-N service on an instance that exists: the request names class and instance as requested."""

    RequestedSOPClassUID = _UIDParameter(e.REQUESTED_SOP_CLASS_UID, "Requested SOP Class UID")
    RequestedSOPInstanceUID = _UIDParameter(e.REQUESTED_SOP_INSTANCE_UID, "Requested SOP Instance UID")
    AffectedSOPInstanceUID = _UIDParameter(e.AFFECTED_SOP_INSTANCE_UID, "Affected SOP Instance UID")


class C_ECHO(DIMSEPrimitive):
    """C-ECHO (PS3.7 9.1.5)."""

    COMMAND_FIELD = 0x0030
    STATUS_OPTIONAL_KEYWORDS = ("ErrorComment",)
    REQUEST_KEYWORDS = ("MessageID", "AffectedSOPClassUID")


class C_STORE(_Prioritized):
    """C-STORE (PS3.7 9.1.1)."""

    COMMAND_FIELD = 0x0001
    STATUS_OPTIONAL_KEYWORDS = ("OffendingElement", "ErrorComment")
    REQUEST_KEYWORDS = ("MessageID", "AffectedSOPClassUID", "AffectedSOPInstanceUID", "Priority", "DataSet")

    AffectedSOPInstanceUID = _UIDParameter(e.AFFECTED_SOP_INSTANCE_UID, "Affected SOP Instance UID")
    MoveOriginatorApplicationEntityTitle = _Originator(
        e.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE, "Move Originator AE Title"
    )
    MoveOriginatorMessageID = _message_id(e.MOVE_ORIGINATOR_MESSAGE_ID, "Move Originator Message ID")
    DataSet = _DataSet()


class C_FIND(_Prioritized):
    """C-FIND (PS3.7 9.1.2)."""

    COMMAND_FIELD = 0x0020
    STATUS_OPTIONAL_KEYWORDS = ("OffendingElement", "ErrorComment")
    REQUEST_KEYWORDS = ("MessageID", "AffectedSOPClassUID", "Priority", "Identifier")

    Identifier = _DataSet()


class C_GET(_Retrieve):
    """C-GET (PS3.7 9.1.3)."""

    COMMAND_FIELD = 0x0010
    REQUEST_KEYWORDS = ("MessageID", "AffectedSOPClassUID", "Priority", "Identifier")


class C_MOVE(_Retrieve):
    """C-MOVE (PS3.7 9.1.4)."""

    COMMAND_FIELD = 0x0021
    REQUEST_KEYWORDS = ("MessageID", "AffectedSOPClassUID", "Priority", "Identifier", "MoveDestination")

    MoveDestination = _AETitle(e.MOVE_DESTINATION, "Move Destination")


class C_CANCEL(Primitive):
    """C-CANCEL (PS3.7 9.3.2.3)."""

    COMMAND_FIELD = _CANCEL

    MessageIDBeingRespondedTo = _message_id(e.MESSAGE_ID_BEING_RESPONDED_TO, "Message ID Being Responded To")


class N_EVENT_REPORT(DIMSEPrimitive):
    """N-EVENT-REPORT (PS3.7 10.1.1)."""

    COMMAND_FIELD = 0x0100
    STATUS_OPTIONAL_KEYWORDS = (
        "AffectedSOPClassUID",
        "AffectedSOPInstanceUID",
        "EventTypeID",
        "ErrorComment",
        "ErrorID",
        "OffendingElement",
        "AttributeIdentifierList",
    )
    REQUEST_KEYWORDS = ("MessageID", "AffectedSOPClassUID", "EventTypeID", "AffectedSOPInstanceUID")

    AffectedSOPInstanceUID = _UIDParameter(e.AFFECTED_SOP_INSTANCE_UID, "Affected SOP Instance UID")
    EventTypeID = _Integer(e.EVENT_TYPE_ID, "Event Type ID")
    AttributeIdentifierList = _Free(e.ATTRIBUTE_IDENTIFIER_LIST)
    EventInformation = _DataSet()
    EventReply = _DataSet()


class N_GET(_Requested):
    """N-GET (PS3.7 10.1.2)."""

    COMMAND_FIELD = 0x0110
    STATUS_OPTIONAL_KEYWORDS = ("AttributeIdentifierList", "ErrorComment", "ErrorID", "OffendingElement")
    REQUEST_KEYWORDS = ("MessageID", "RequestedSOPClassUID", "RequestedSOPInstanceUID")

    AttributeIdentifierList = _Tags(e.ATTRIBUTE_IDENTIFIER_LIST, "Attribute Identifier List")
    AttributeList = _DataSet()


class N_SET(_Requested):
    """N-SET (PS3.7 10.1.3)."""

    COMMAND_FIELD = 0x0120
    STATUS_OPTIONAL_KEYWORDS = ("ErrorComment", "ErrorID", "AttributeIdentifierList", "OffendingElement")
    REQUEST_KEYWORDS = ("MessageID", "RequestedSOPClassUID", "RequestedSOPInstanceUID", "ModificationList")

    AttributeIdentifierList = _Free(e.ATTRIBUTE_IDENTIFIER_LIST)
    ModificationList = _DataSet()
    AttributeList = _DataSet()


class N_ACTION(_Requested):
    """N-ACTION (PS3.7 10.1.4)."""

    COMMAND_FIELD = 0x0130
    STATUS_OPTIONAL_KEYWORDS = ("ErrorComment", "ErrorID", "AttributeIdentifierList", "OffendingElement")
    REQUEST_KEYWORDS = ("MessageID", "RequestedSOPClassUID", "RequestedSOPInstanceUID", "ActionTypeID")

    ActionTypeID = _Integer(e.ACTION_TYPE_ID, "Action Type ID")
    AttributeIdentifierList = _Free(e.ATTRIBUTE_IDENTIFIER_LIST)
    ActionInformation = _DataSet()
    ActionReply = _DataSet()


class N_CREATE(DIMSEPrimitive):
    """N-CREATE (PS3.7 10.1.5)."""

    COMMAND_FIELD = 0x0140
    STATUS_OPTIONAL_KEYWORDS = ("ErrorComment", "ErrorID", "OffendingElement", "AttributeIdentifierList")
    REQUEST_KEYWORDS = ("MessageID", "AffectedSOPClassUID")

    AffectedSOPInstanceUID = _UIDParameter(e.AFFECTED_SOP_INSTANCE_UID, "Affected SOP Instance UID")
    AttributeIdentifierList = _Free(e.ATTRIBUTE_IDENTIFIER_LIST)
    AttributeList = _DataSet()


class N_DELETE(_Requested):
    """N-DELETE (PS3.7 10.1.6)."""

    COMMAND_FIELD = 0x0150
    STATUS_OPTIONAL_KEYWORDS = ("ErrorComment", "ErrorID", "OffendingElement", "AttributeIdentifierList")
    REQUEST_KEYWORDS = ("MessageID", "RequestedSOPClassUID", "RequestedSOPInstanceUID")

    AttributeIdentifierList = _Free(e.ATTRIBUTE_IDENTIFIER_LIST)


PRIMITIVES: Final[Mapping[int, type[Primitive]]] = {
    cls.COMMAND_FIELD: cls
    for cls in (
        C_STORE,
        C_FIND,
        C_GET,
        C_MOVE,
        C_ECHO,
        N_EVENT_REPORT,
        N_GET,
        N_SET,
        N_ACTION,
        N_CREATE,
        N_DELETE,
        C_CANCEL,
    )
}
"""The primitive of each service, by the Command Field of its request."""


def from_command(command: Mapping[int, Value], data: BytesIO | None) -> Primitive:
    """Return the primitive of a received message, without validating its parameters.

    Parameters
    ----------
    command
        The decoded command set; it must have a known Command Field.
    data
        The encoded data set.
    """
    field = command[e.COMMAND_FIELD]
    if not isinstance(field, int) or field not in MESSAGES:
        raise ValueError(f"no DIMSE message has the Command Field {field!r}")
    return PRIMITIVES[field & ~_RESPONSE].received(dict(command), data)


def to_command(primitive: Primitive, *, data_set: bool | None = None) -> dict[int, Value]:
    """Return the command set of a primitive: of a response if it names a message that it responds to.

    Parameters of the other half of the service are left out, as are those without a value.

    Parameters
    ----------
    primitive
        The request or response.
    data_set
        Whether a data set follows; by default whether the primitive has one.
    """
    field = primitive.COMMAND_FIELD
    if primitive.is_response and field != _CANCEL:
        field |= _RESPONSE
    message = MESSAGES[field]
    numbers: Iterable[int] = (*message.mandatory, *message.optional)
    if field & _RESPONSE:
        numbers = (*numbers, *_STATUS_ELEMENTS)
    command: dict[int, Value] = {}
    for number in numbers:
        value = primitive.parameters.get(number)
        if value is not None:
            command[number] = _CONVERTERS[e.ELEMENTS[number].vr](value)
    has_data_set = primitive.data_set is not None if data_set is None else data_set
    command[e.COMMAND_FIELD] = field
    command[e.COMMAND_DATA_SET_TYPE] = 1 if has_data_set else e.NO_DATA_SET
    return command


def _to_tags(value: Any) -> tuple[int, ...]:
    if isinstance(value, int):
        return (int(value),)
    if isinstance(value, str):
        return (int(Tag(value)),)
    return tuple(int(Tag(item)) for item in value)


def _to_comment(value: Any) -> str:
    return str(value)[:_COMMENT_LENGTH]


_CONVERTERS: Final[Mapping[str, Callable[[Any], Value]]] = {
    "UI": str,
    "AE": str,
    "LO": _to_comment,
    "US": int,
    "UL": int,
    "AT": _to_tags,
}
