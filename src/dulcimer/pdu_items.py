"""The items that association PDUs and P-DATA-TF consist of, as handlers of notification events see them.

An item is its bytes, and its attributes are read from them: what is not looked at costs nothing, and
:meth:`PDUItem.encode` gives what travelled (PS3.8 9.3, PS3.7 Annex D).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Final, Self, TypeVar

from pydicom.uid import UID

from dulcimer.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    NegotiationItem,
    SCP_SCU_RoleSelectionNegotiation,
    ServiceParameter,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
    user_information_from_wire,
    user_information_to_wire,
)
from dulcimer.presentation import PresentationContext
from dulcimer.protocol.wire import codec, pdus

__all__ = [
    "AbstractSyntaxSubItem",
    "ApplicationContextItem",
    "AsynchronousOperationsWindowSubItem",
    "ImplementationClassUIDSubItem",
    "ImplementationVersionNameSubItem",
    "MaximumLengthSubItem",
    "PDUItem",
    "PresentationContextItemAC",
    "PresentationContextItemRQ",
    "PresentationDataValueItem",
    "SCP_SCU_RoleSelectionSubItem",
    "SOPClassCommonExtendedNegotiationSubItem",
    "SOPClassExtendedNegotiationSubItem",
    "TransferSyntaxSubItem",
    "UserIdentitySubItemAC",
    "UserIdentitySubItemRQ",
    "UserInformationItem",
]

_I = TypeVar("_I", bound="PDUItem")
_V = TypeVar("_V")
_N = TypeVar("_N")

_HEADER: Final = 4
"""Bytes of the header of an item: its type, a reserved byte, the length of what follows."""

_NO_VALUE: Final = "(no value available)"


def text_of(content: bytes) -> str:
    """Return a text of a PDU without its padding."""
    return content.decode("latin-1").strip("\0 ")


def _uid_of(text: str) -> UID | None:
    return UID(text) if text else None


def split_items(content: bytes) -> Iterator[bytes]:
    """Cut the content of a PDU or an item into items; what is too short for one at the end is left out."""
    offset = 0
    while len(content) - offset >= _HEADER:
        size = _HEADER + int.from_bytes(content[offset + 2 : offset + _HEADER], "big")
        yield content[offset : offset + size]
        offset += size


class PDUItem:
    """An item; of a type that the Standard does not define if it is none of the classes below."""

    TITLE: ClassVar[str] = "Item"
    SHOWN: ClassVar[tuple[str, ...]] = ()
    """The attributes that ``str()`` shows."""

    def __init__(self) -> None:
        self._encoded = b""

    @classmethod
    def parse(cls, encoded: bytes) -> Self:
        """Return the item with these bytes, header included."""
        item = cls()
        item.decode(encoded)
        return item

    def decode(self, bytestream: bytes) -> None:
        """Become the item with these bytes, header included."""
        self._encoded = bytes(bytestream)

    def encode(self) -> bytes:
        """Return the bytes of the item, header included."""
        return self._encoded

    @property
    def item_type(self) -> int:
        """The number of its type."""
        return self._encoded[0]

    @property
    def item_length(self) -> int:
        """The bytes that follow its header."""
        return max(len(self._encoded) - _HEADER, 0)

    def _items(self, offset: int = _HEADER) -> list[PDUItem]:
        return [parse_item(encoded) for encoded in split_items(self._encoded[offset:])]

    def _byte(self, offset: int) -> int | None:
        return self._encoded[offset] if len(self._encoded) > offset else None

    def __len__(self) -> int:
        return len(self._encoded)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if isinstance(other, type(self)):
            return self._encoded == other._encoded
        return NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._encoded))

    def __str__(self) -> str:
        lines = [self.TITLE]
        for name in self.SHOWN:
            value = getattr(self, name)
            label = name.replace("_", " ").capitalize()
            lines += [f"  {label}: {shown}" for shown in _shown(value)]
        return "\n".join(lines)


def _shown(value: object) -> list[str]:
    if isinstance(value, list):
        return [shown for item in value for shown in _shown(item)]
    if isinstance(value, UID):
        return [str(value) if value.name == value else f"{value} ({value.name})"]
    return [str(value)]


def proposed_context(context: PresentationContext) -> pdus.ProposedContext:
    """Return a presentation context as an A-ASSOCIATE-RQ proposes it."""
    return pdus.ProposedContext(
        context.context_id or 0, str(context.abstract_syntax or ""), tuple(map(str, context.transfer_syntax))
    )


def context_result(context: PresentationContext) -> pdus.ContextResult:
    """Return a presentation context as an A-ASSOCIATE-AC answers it."""
    syntax = str(context.transfer_syntax[0]) if context.transfer_syntax else ""
    return pdus.ContextResult(context.context_id or 0, context.result or 0, syntax)


def _encoded_in(pdu: pdus.AssociateRQ | pdus.AssociateAC, kind: int) -> bytes:
    """Return the item of a type as the codec writes it."""
    return next(item for item in split_items(codec.encode(pdu)[74:]) if item[0] == kind)


_NOBODY: Final = pdus.AssociateRQ("", "", (), pdus.UserInformation())


def _encoded_user(items: Iterable[Any]) -> bytes:
    return _encoded_in(replace(_NOBODY, user=user_information_to_wire(items)), 0x50)


def first(items: list[PDUItem], kind: type[_I]) -> _I | None:
    """Return the first item of a class, None if there is none."""
    return next((item for item in items if isinstance(item, kind)), None)


class _NameItem(PDUItem):
    """An item that consists of one UID."""

    @property
    def _name(self) -> UID | None:
        return _uid_of(text_of(self._encoded[_HEADER:]))


class ApplicationContextItem(_NameItem):
    """Application Context Item (PS3.8 9.3.2.1)."""

    TITLE = "Application Context Item"
    SHOWN = ("application_context_name",)

    @property
    def application_context_name(self) -> UID | None:
        """The application context name."""
        return self._name


class AbstractSyntaxSubItem(_NameItem):
    """Abstract Syntax Sub-Item (PS3.8 9.3.2.2.1)."""

    TITLE = "Abstract Syntax Sub-item"
    SHOWN = ("abstract_syntax",)

    @property
    def abstract_syntax_name(self) -> UID | None:
        """The abstract syntax."""
        return self._name

    @property
    def abstract_syntax(self) -> UID | None:
        """The abstract syntax."""
        return self._name


class TransferSyntaxSubItem(_NameItem):
    """Transfer Syntax Sub-Item (PS3.8 9.3.2.2.2)."""

    TITLE = "Transfer Syntax Sub-item"
    SHOWN = ("transfer_syntax",)

    @property
    def transfer_syntax_name(self) -> UID | None:
        """The transfer syntax."""
        return self._name

    @property
    def transfer_syntax(self) -> UID | None:
        """The transfer syntax."""
        return self._name


class _ContextItem(PDUItem):
    """A presentation context: its ID, three bytes, sub-items."""

    @property
    def presentation_context_id(self) -> int | None:
        """The ID of the presentation context."""
        return self._byte(4)

    @property
    def context_id(self) -> int | None:
        """The ID of the presentation context."""
        return self._byte(4)

    def _syntaxes(self) -> list[TransferSyntaxSubItem]:
        return [item for item in self._items(8) if isinstance(item, TransferSyntaxSubItem)]

    def _context(self) -> PresentationContext:
        context = PresentationContext()
        context.context_id = self.context_id
        for item in self._syntaxes():
            context.add_transfer_syntax(item.transfer_syntax)
        return context


class PresentationContextItemRQ(_ContextItem):
    """Presentation Context Item of an A-ASSOCIATE-RQ (PS3.8 9.3.2.2)."""

    TITLE = "Presentation Context (RQ) Item"
    SHOWN = ("context_id", "abstract_syntax", "transfer_syntax")

    @property
    def abstract_transfer_syntax_sub_items(self) -> list[PDUItem]:
        """The abstract syntax and the transfer syntaxes as sub-items."""
        return self._items(8)

    @property
    def abstract_syntax(self) -> UID | None:
        """The abstract syntax."""
        item = first(self._items(8), AbstractSyntaxSubItem)
        return None if item is None else item.abstract_syntax

    @property
    def transfer_syntax(self) -> list[UID]:
        """The transfer syntaxes."""
        return [item.transfer_syntax for item in self._syntaxes() if item.transfer_syntax]

    def from_primitive(self, primitive: PresentationContext) -> None:
        """Become the item for a presentation context."""
        request = replace(_NOBODY, contexts=(proposed_context(primitive),))
        self._encoded = _encoded_in(request, 0x20)

    def to_primitive(self) -> PresentationContext:
        """Return it as a presentation context."""
        context = self._context()
        if self.abstract_syntax:
            context.abstract_syntax = self.abstract_syntax
        return context


_RESULTS: Final = {
    0: "Accepted",
    1: "User Rejection",
    2: "Provider Rejection",
    3: "Rejected - Abstract Syntax Not Supported",
    4: "Rejected - Transfer Syntax Not Supported",
}


class PresentationContextItemAC(_ContextItem):
    """Presentation Context Item of an A-ASSOCIATE-AC (PS3.8 9.3.3.2)."""

    TITLE = "Presentation Context (AC) Item"
    SHOWN = ("context_id", "result_str", "transfer_syntax")

    @property
    def transfer_syntax_sub_item(self) -> list[TransferSyntaxSubItem]:
        """The transfer syntax as a sub-item."""
        return self._syntaxes()

    @property
    def transfer_syntax(self) -> UID | None:
        """The transfer syntax; it has a meaning only if the context was accepted."""
        return next((item.transfer_syntax for item in self._syntaxes()), None)

    @property
    def result_reason(self) -> int | None:
        """0 accepted, 1 user rejection, 2 no reason, 3 abstract syntax, 4 transfer syntaxes not supported."""
        return self._byte(6)

    @property
    def result(self) -> int | None:
        """The same as :attr:`result_reason`."""
        return self._byte(6)

    @property
    def result_str(self) -> str:
        """The result in words."""
        return _NO_VALUE if self.result is None else _RESULTS.get(self.result, _NO_VALUE)

    def from_primitive(self, primitive: PresentationContext) -> None:
        """Become the item for a presentation context with its result."""
        answer = pdus.AssociateAC("", "", (context_result(primitive),), pdus.UserInformation())
        self._encoded = _encoded_in(answer, 0x21)

    def to_primitive(self) -> PresentationContext:
        """Return it as a presentation context."""
        context = self._context()
        context.result = self.result
        return context


class _SubItem(PDUItem):
    """A sub-item of the User Information."""

    @property
    def _information(self) -> pdus.UserInformation:
        return codec.decode_user_information(self._encoded)

    def from_primitive(self, primitive: NegotiationItem) -> None:
        """Become the sub-item for a negotiation item."""
        self._encoded = _encoded_user([primitive])[_HEADER:]

    def _negotiation(self, kind: type[_N]) -> _N:
        for item in user_information_from_wire(self._information):
            if isinstance(item, kind):
                return item
        raise ValueError(f"The {self.TITLE} has a value that is not valid")


def _only(values: tuple[_V, ...]) -> _V | None:
    return values[0] if values else None


class MaximumLengthSubItem(_SubItem):
    """Maximum Length Sub-Item (PS3.8 D.1)."""

    TITLE = "Maximum Length Sub-item"
    SHOWN = ("maximum_length_received",)

    @property
    def maximum_length_received(self) -> int | None:
        """The longest P-DATA-TF that its sender receives, in bytes; 0 for any length."""
        return self._information.max_length

    def to_primitive(self) -> MaximumLengthNotification:
        """Return it as a negotiation item."""
        return self._negotiation(MaximumLengthNotification)


class ImplementationClassUIDSubItem(_SubItem):
    """Implementation Class UID Sub-Item (PS3.7 D.3.3.2.1)."""

    TITLE = "Implementation Class UID Sub-item"
    SHOWN = ("implementation_class_uid",)

    @property
    def implementation_class_uid(self) -> UID | None:
        """The implementation class."""
        return _uid_of(self._information.implementation_class_uid)

    def to_primitive(self) -> ImplementationClassUIDNotification:
        """Return it as a negotiation item."""
        return self._negotiation(ImplementationClassUIDNotification)


class ImplementationVersionNameSubItem(_SubItem):
    """Implementation Version Name Sub-Item (PS3.7 D.3.3.2.3)."""

    TITLE = "Implementation Version Name Sub-item"
    SHOWN = ("implementation_version_name",)

    @property
    def implementation_version_name(self) -> str | None:
        """The version name."""
        return self._information.implementation_version_name

    def to_primitive(self) -> ImplementationVersionNameNotification:
        """Return it as a negotiation item."""
        return self._negotiation(ImplementationVersionNameNotification)


class SCP_SCU_RoleSelectionSubItem(_SubItem):
    """SCP/SCU Role Selection Sub-Item (PS3.7 D.3.3.4)."""

    TITLE = "SCP/SCU Role Selection Sub-item"
    SHOWN = ("sop_class_uid", "scu_role", "scp_role")

    @property
    def _role(self) -> pdus.RoleSelection | None:
        return _only(self._information.roles)

    @property
    def sop_class_uid(self) -> UID | None:
        """The SOP class."""
        return None if self._role is None else _uid_of(self._role.sop_class)

    @property
    def uid(self) -> UID | None:
        """The SOP class."""
        return self.sop_class_uid

    @property
    def uid_length(self) -> int:
        """The length of the SOP class UID."""
        return len(self.sop_class_uid or "")

    @property
    def scu_role(self) -> int | None:
        """1 if the requestor of the association is to be SCU, or may be."""
        return None if self._role is None else int(self._role.scu)

    @property
    def scp_role(self) -> int | None:
        """1 if the requestor of the association is to be SCP, or may be."""
        return None if self._role is None else int(self._role.scp)

    @property
    def scu(self) -> int | None:
        """The same as :attr:`scu_role`."""
        return self.scu_role

    @property
    def scp(self) -> int | None:
        """The same as :attr:`scp_role`."""
        return self.scp_role

    def to_primitive(self) -> SCP_SCU_RoleSelectionNegotiation:
        """Return it as a negotiation item."""
        return self._negotiation(SCP_SCU_RoleSelectionNegotiation)


class AsynchronousOperationsWindowSubItem(_SubItem):
    """Asynchronous Operations Window Sub-Item (PS3.7 D.3.3.3)."""

    TITLE = "Asynchronous Operations Window Sub-item"
    SHOWN = ("max_operations_invoked", "max_operations_performed")

    @property
    def maximum_number_operations_invoked(self) -> int | None:
        """How many operations its sender may have outstanding; 0 for any number."""
        window = self._information.async_operations
        return None if window is None else window.invoked

    @property
    def maximum_number_operations_performed(self) -> int | None:
        """How many operations its sender performs at a time; 0 for any number."""
        window = self._information.async_operations
        return None if window is None else window.performed

    @property
    def max_operations_invoked(self) -> int | None:
        """The same as :attr:`maximum_number_operations_invoked`."""
        return self.maximum_number_operations_invoked

    @property
    def max_operations_performed(self) -> int | None:
        """The same as :attr:`maximum_number_operations_performed`."""
        return self.maximum_number_operations_performed

    def to_primitive(self) -> AsynchronousOperationsWindowNegotiation:
        """Return it as a negotiation item."""
        return self._negotiation(AsynchronousOperationsWindowNegotiation)


_IDENTITY_TYPES: Final = {
    1: "Username",
    2: "Username/Password",
    3: "Kerberos",
    4: "SAML",
    5: "JSON Web Token",
}


class UserIdentitySubItemRQ(_SubItem):
    """User Identity Sub-Item of an A-ASSOCIATE-RQ (PS3.7 D.3.3.7.1). ``str()`` shows no credentials."""

    TITLE = "User Identity (RQ) Sub-item"
    SHOWN = ("id_type_str", "response_requested", "primary_field_length", "secondary_field_length")

    @property
    def user_identity_type(self) -> int | None:
        """1 user name, 2 user name and passcode, 3 Kerberos, 4 SAML, 5 JSON web token."""
        return None if (identity := self._information.user_identity) is None else identity.type

    @property
    def id_type(self) -> int | None:
        """The same as :attr:`user_identity_type`."""
        return self.user_identity_type

    @property
    def id_type_str(self) -> str:
        """The type in words."""
        return _IDENTITY_TYPES.get(self.user_identity_type or 0, _NO_VALUE)

    @property
    def positive_response_requested(self) -> int | None:
        """1 if an answer is wanted."""
        identity = self._information.user_identity
        return None if identity is None else int(identity.response_requested)

    @property
    def response_requested(self) -> bool | None:
        """Whether an answer is wanted."""
        return None if (identity := self._information.user_identity) is None else identity.response_requested

    @property
    def primary_field(self) -> bytes | None:
        """The user name, ticket, assertion or token."""
        return None if (identity := self._information.user_identity) is None else identity.primary

    @property
    def primary(self) -> bytes | None:
        """The same as :attr:`primary_field`."""
        return self.primary_field

    @property
    def primary_field_length(self) -> int:
        """The length of :attr:`primary_field`."""
        return len(self.primary_field or b"")

    @property
    def secondary_field(self) -> bytes | None:
        """The passcode of type 2."""
        return None if (identity := self._information.user_identity) is None else identity.secondary

    @property
    def secondary(self) -> bytes | None:
        """The same as :attr:`secondary_field`."""
        return self.secondary_field

    @property
    def secondary_field_length(self) -> int:
        """The length of :attr:`secondary_field`."""
        return len(self.secondary_field or b"")

    def to_primitive(self) -> UserIdentityNegotiation:
        """Return it as a negotiation item."""
        return self._negotiation(UserIdentityNegotiation)


class UserIdentitySubItemAC(_SubItem):
    """User Identity Sub-Item of an A-ASSOCIATE-AC (PS3.7 D.3.3.7.2). ``str()`` shows no credentials."""

    TITLE = "User Identity (AC) Sub-item"
    SHOWN = ("server_response_length",)

    @property
    def server_response(self) -> bytes | None:
        """The server's answer."""
        return self._information.identity_response

    @property
    def response(self) -> bytes | None:
        """The same as :attr:`server_response`."""
        return self.server_response

    @property
    def server_response_length(self) -> int:
        """The length of the server's answer."""
        return len(self.server_response or b"")

    def to_primitive(self) -> UserIdentityNegotiation:
        """Return it as a negotiation item."""
        return self._negotiation(UserIdentityNegotiation)


class SOPClassExtendedNegotiationSubItem(_SubItem):
    """SOP Class Extended Negotiation Sub-Item (PS3.7 D.3.3.5)."""

    TITLE = "SOP Class Extended Negotiation Sub-item"
    SHOWN = ("sop_class_uid", "app_info")

    @property
    def _extension(self) -> pdus.ExtendedNegotiation | None:
        return _only(self._information.extended)

    @property
    def sop_class_uid(self) -> UID | None:
        """The SOP class."""
        return None if self._extension is None else _uid_of(self._extension.sop_class)

    @property
    def uid(self) -> UID | None:
        """The SOP class."""
        return self.sop_class_uid

    @property
    def sop_class_uid_length(self) -> int:
        """The length of the SOP class UID."""
        return len(self.sop_class_uid or "")

    @property
    def service_class_application_information(self) -> bytes | None:
        """What the service class defines for it."""
        return None if self._extension is None else self._extension.information

    @property
    def app_info(self) -> bytes | None:
        """The same as :attr:`service_class_application_information`."""
        return self.service_class_application_information

    def to_primitive(self) -> SOPClassExtendedNegotiation:
        """Return it as a negotiation item."""
        return self._negotiation(SOPClassExtendedNegotiation)


class SOPClassCommonExtendedNegotiationSubItem(_SubItem):
    """SOP Class Common Extended Negotiation Sub-Item (PS3.7 D.3.3.6)."""

    TITLE = "SOP Class Common Extended Negotiation Sub-item"
    SHOWN = ("sop_class_uid", "service_class_uid", "related_general_sop_class_identification")

    @property
    def _relation(self) -> pdus.CommonExtendedNegotiation | None:
        return _only(self._information.common_extended)

    @property
    def sub_item_version(self) -> int | None:
        """The version of the sub-item."""
        return None if self._relation is None else self._relation.version

    @property
    def sop_class_uid(self) -> UID | None:
        """The SOP class."""
        return None if self._relation is None else _uid_of(self._relation.sop_class)

    @property
    def sop_class_uid_length(self) -> int:
        """The length of the SOP class UID."""
        return len(self.sop_class_uid or "")

    @property
    def service_class_uid(self) -> UID | None:
        """The service class."""
        return None if self._relation is None else _uid_of(self._relation.service_class)

    @property
    def service_class_uid_length(self) -> int:
        """The length of the service class UID."""
        return len(self.service_class_uid or "")

    @property
    def related_general_sop_class_identification(self) -> list[UID]:
        """The general SOP classes that the SOP class is related to."""
        return [] if self._relation is None else [UID(uid) for uid in self._relation.related]

    @property
    def related_general_sop_class_identification_length(self) -> int:
        """The length of the field with the general SOP classes: each has two bytes more for its length."""
        return sum(2 + len(uid) for uid in self.related_general_sop_class_identification)

    def to_primitive(self) -> SOPClassCommonExtendedNegotiation:
        """Return it as a negotiation item."""
        return self._negotiation(SOPClassCommonExtendedNegotiation)


class UserInformationItem(PDUItem):
    """User Information Item (PS3.8 9.3.2.3, PS3.7 D.3.3)."""

    TITLE = "User Information Item"

    @property
    def user_data(self) -> list[PDUItem]:
        """The sub-items."""
        return self._items()

    @property
    def maximum_length(self) -> int | None:
        """The longest P-DATA-TF that its sender receives, in bytes; 0 for any length."""
        return self._read(MaximumLengthSubItem, lambda item: item.maximum_length_received)

    @property
    def implementation_class_uid(self) -> UID | None:
        """The implementation class."""
        return self._read(ImplementationClassUIDSubItem, lambda item: item.implementation_class_uid)

    @property
    def implementation_version_name(self) -> str | None:
        """The version name."""
        return self._read(ImplementationVersionNameSubItem, lambda item: item.implementation_version_name)

    @property
    def async_ops_window(self) -> AsynchronousOperationsWindowSubItem | None:
        """The asynchronous operations window."""
        return first(self.user_data, AsynchronousOperationsWindowSubItem)

    @property
    def role_selection(self) -> dict[UID, SCP_SCU_RoleSelectionSubItem]:
        """The roles by SOP class."""
        roles = (item for item in self.user_data if isinstance(item, SCP_SCU_RoleSelectionSubItem))
        return {role.sop_class_uid or UID(""): role for role in roles}

    @property
    def ext_neg(self) -> list[SOPClassExtendedNegotiationSubItem]:
        """The SOP class extended negotiation."""
        return [item for item in self.user_data if isinstance(item, SOPClassExtendedNegotiationSubItem)]

    @property
    def common_ext_neg(self) -> list[SOPClassCommonExtendedNegotiationSubItem]:
        """The SOP class common extended negotiation."""
        return [item for item in self.user_data if isinstance(item, SOPClassCommonExtendedNegotiationSubItem)]

    @property
    def user_identity(self) -> UserIdentitySubItemRQ | UserIdentitySubItemAC | None:
        """The user identity, or the server's answer to one."""
        items = self.user_data
        return first(items, UserIdentitySubItemRQ) or first(items, UserIdentitySubItemAC)

    def from_primitive(self, primitive: list[NegotiationItem]) -> None:
        """Become the item for negotiation items."""
        self._encoded = _encoded_user(primitive)

    def to_primitive(self) -> list[NegotiationItem]:
        """Return it as negotiation items."""
        return user_information_from_wire(codec.decode_user_information(self._encoded[_HEADER:]))

    def _read(self, kind: type[_I], attribute: Callable[[_I], _V]) -> _V | None:
        item = first(self.user_data, kind)
        return None if item is None else attribute(item)

    def __str__(self) -> str:
        lines = [self.TITLE, *(line for item in self.user_data for line in str(item).splitlines())]
        return "\n  ".join(lines)


class PresentationDataValueItem(PDUItem):
    """Presentation Data Value Item of a P-DATA-TF (PS3.8 9.3.5.1). ``str()`` shows no data."""

    TITLE = "Presentation Data Value Item"
    SHOWN = ("context_id", "message_control_header_byte", "item_length")

    @property
    def item_type(self) -> int:
        """A presentation data value has no type.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError("A Presentation Data Value Item has no type")

    @property
    def presentation_context_id(self) -> int | None:
        """The ID of the presentation context."""
        return self._byte(4)

    @property
    def context_id(self) -> int | None:
        """The ID of the presentation context."""
        return self._byte(4)

    @property
    def presentation_data_value(self) -> bytes | None:
        """The message control header and the fragment that follows it."""
        return self._encoded[5:] if self._encoded else None

    @property
    def data(self) -> bytes | None:
        """The same as :attr:`presentation_data_value`."""
        return self.presentation_data_value

    @property
    def message_control_header_byte(self) -> str:
        """The message control header as eight digits: the last is 1 for a command, the one before it for the
        last fragment (PS3.8 E.2)."""
        return f"{self._byte(5) or 0:08b}"


_CLASSES: Final[dict[int, type[PDUItem]]] = {
    0x10: ApplicationContextItem,
    0x20: PresentationContextItemRQ,
    0x21: PresentationContextItemAC,
    0x30: AbstractSyntaxSubItem,
    0x40: TransferSyntaxSubItem,
    0x50: UserInformationItem,
    0x51: MaximumLengthSubItem,
    0x52: ImplementationClassUIDSubItem,
    0x53: AsynchronousOperationsWindowSubItem,
    0x54: SCP_SCU_RoleSelectionSubItem,
    0x55: ImplementationVersionNameSubItem,
    0x56: SOPClassExtendedNegotiationSubItem,
    0x57: SOPClassCommonExtendedNegotiationSubItem,
    0x58: UserIdentitySubItemRQ,
    0x59: UserIdentitySubItemAC,
}


def sub_item(parameter: ServiceParameter) -> PDUItem:
    """Return a negotiation item as a sub-item of the User Information."""
    return parse_item(_encoded_user([parameter])[_HEADER:])


def parse_item(encoded: bytes) -> PDUItem:
    """Return the item with these bytes, of the class for its type."""
    return _CLASSES.get(encoded[0], PDUItem).parse(encoded)
