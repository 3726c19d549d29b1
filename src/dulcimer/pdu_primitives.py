"""The service primitives of the upper layer: association, release, abort, data (PS3.8 clause 7).

The negotiation items of an association are classes of their own (PS3.7 Annex D).
:func:`user_information_to_wire` and :func:`user_information_from_wire` convert them to and from the values of
the protocol layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar, overload

from pydicom.uid import UID

from dulcimer._globals import DEFAULT_MAX_LENGTH
from dulcimer.presentation import PresentationContext
from dulcimer.protocol.association.reasons import REJECT_REASONS
from dulcimer.protocol.wire import pdus
from dulcimer.utils import set_ae, set_uid, validate_uid

if TYPE_CHECKING:
    from dulcimer.pdu_items import PDUItem
    from dulcimer.protocol.wire.pdus import AssociateAC, AssociateRJ, AssociateRQ, UserInformation

__all__ = [
    "A_ABORT",
    "A_ASSOCIATE",
    "A_P_ABORT",
    "A_RELEASE",
    "P_DATA",
    "AsynchronousOperationsWindowNegotiation",
    "ImplementationClassUIDNotification",
    "ImplementationVersionNameNotification",
    "MaximumLengthNotification",
    "NegotiationItem",
    "SCP_SCU_RoleSelectionNegotiation",
    "SOPClassCommonExtendedNegotiation",
    "SOPClassExtendedNegotiation",
    "ServiceParameter",
    "UserIdentityNegotiation",
    "user_information_from_wire",
    "user_information_to_wire",
]

_G = TypeVar("_G")
_S = TypeVar("_S")

_NO_VALUE: Final = "(no value available)"

_RESULTS: Final = {0: "Accepted", 1: "Rejected Permanent", 2: "Rejected Transient"}
_SOURCES: Final = {1: "Service User", 2: "Service Provider (ACSE)", 3: "Service Provider (Presentation)"}
_RESERVED_REASONS: Final = {(3, 0), (3, 3), (3, 4), (3, 5), (3, 6), (3, 7)}


class _Property(Generic[_G, _S]):
    """A property whose value a function checks and converts when it is set."""

    def __init__(self, check: Callable[[Any], Any], default: Any, doc: str) -> None:
        self._check = check
        self._default = default
        self._key = ""
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._key = f"_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> _G: ...

    def __get__(self, instance: object | None, owner: type) -> Self | _G:
        if instance is None:
            return self
        value: _G = instance.__dict__.get(self._key, self._default)
        return value

    def __set__(self, instance: object, value: _S) -> None:
        instance.__dict__[self._key] = self._check(value)


def _uid(label: str) -> _Property[UID | None, str | bytes | UID | None]:
    return _Property(lambda value: set_uid(value, label), None, f"The {label}.")


def _bool(label: str, *, optional: bool) -> Callable[[Any], bool | None]:
    def check(value: Any) -> bool | None:
        if isinstance(value, bool) or (optional and value is None):
            return value
        raise TypeError(f"{label} must be a bool, not '{type(value).__name__}'")

    return check


def _bytes(label: str) -> Callable[[Any], bytes | None]:
    def check(value: Any) -> bytes | None:
        if value is None or isinstance(value, bytes):
            return value
        raise TypeError(f"{label} must be bytes or None, not '{type(value).__name__}'")

    return check


def _count(label: str) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int):
            raise TypeError(f"{label} must be an int, not '{type(value).__name__}'")
        if value < 0:
            raise ValueError(f"{label} must not be negative: {value}")
        return value

    return check


def _one_of(label: str, *choices: Any) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value in choices:
            return value
        shown = ", ".join(str(choice) for choice in choices)
        raise ValueError(f"{label} must be one of {shown}, not {value!r}")

    return check


class ServiceParameter:
    """Base of the negotiation items: two are equal when they are of one kind and say the same."""

    def __eq__(self, other: object) -> bool:
        if other is self:
            return True
        return isinstance(other, type(self)) and self.to_wire() == other.to_wire()

    def to_wire(self) -> Any:
        """Return the item as the value that the protocol layer has for it."""
        raise NotImplementedError

    def from_primitive(self) -> PDUItem:
        """Return the sub-item of a PDU that says the same, see :mod:`dulcimer.pdu_items`."""
        from dulcimer.pdu_items import sub_item

        return sub_item(self)


class MaximumLengthNotification(ServiceParameter):
    """Maximum Length (PS3.8 D.1): the longest P-DATA PDU that the sender receives; 0 is unlimited."""

    maximum_length_received: _Property[int, int] = _Property(
        _count("Maximum Length Received"),
        DEFAULT_MAX_LENGTH,
        "The maximum length in bytes, 0 for no maximum.",
    )

    def to_wire(self) -> int:
        """Return the maximum length."""
        return self.maximum_length_received

    def __str__(self) -> str:
        return _block(
            "Maximum Length Negotiation", f"Maximum length received: {self.maximum_length_received} bytes"
        )


class ImplementationClassUIDNotification(ServiceParameter):
    """Implementation Class UID (PS3.7 D.3.3.2.1)."""

    implementation_class_uid = _uid("Implementation Class UID")

    def to_wire(self) -> str:
        """Return the UID."""
        return str(self.implementation_class_uid or "")

    def __str__(self) -> str:
        return _block(
            "Implementation Class UID", f"Implementation class UID: {self.implementation_class_uid}"
        )


class ImplementationVersionNameNotification(ServiceParameter):
    """Implementation Version Name (PS3.7 D.3.3.2.3)."""

    # It follows the rules of an AE title: up to 16 characters of ISO 646 without control characters.
    implementation_version_name: _Property[str | None, str | None] = _Property(
        lambda value: set_ae(value, "Implementation Version Name"), None, "The name, up to 16 characters."
    )

    def to_wire(self) -> str | None:
        """Return the name."""
        return self.implementation_version_name

    def __str__(self) -> str:
        return _block(
            "Implementation Version Name", f"Implementation version name: {self.implementation_version_name}"
        )


class AsynchronousOperationsWindowNegotiation(ServiceParameter):
    """Asynchronous Operations Window (PS3.7 D.3.3.3)."""

    maximum_number_operations_invoked: _Property[int, int] = _Property(
        _count("Maximum Number Operations Invoked"),
        1,
        "How many operations may be invoked at once, 0 for any.",
    )
    maximum_number_operations_performed: _Property[int, int] = _Property(
        _count("Maximum Number Operations Performed"),
        1,
        "How many operations may be performed at once, 0 for any.",
    )

    def to_wire(self) -> pdus.AsyncOperations:
        """Return the window."""
        return pdus.AsyncOperations(
            self.maximum_number_operations_invoked, self.maximum_number_operations_performed
        )

    def __str__(self) -> str:
        return _block(
            "Asynchronous Operations Window",
            f"Maximum number operations invoked: {self.maximum_number_operations_invoked}",
            f"Maximum number operations performed: {self.maximum_number_operations_performed}",
        )


class SCP_SCU_RoleSelectionNegotiation(ServiceParameter):
    """SCP/SCU Role Selection (PS3.7 D.3.3.4): the roles of the association requestor."""

    sop_class_uid = _uid("SOP Class UID")
    scu_role: _Property[bool | None, bool | None] = _Property(
        _bool("SCU Role", optional=True), None, "Whether the requestor acts as SCU."
    )
    scp_role: _Property[bool | None, bool | None] = _Property(
        _bool("SCP Role", optional=True), None, "Whether the requestor acts as SCP."
    )

    def to_wire(self) -> pdus.RoleSelection:
        """Return the roles; one that was not set is not proposed."""
        return pdus.RoleSelection(str(self.sop_class_uid or ""), bool(self.scu_role), bool(self.scp_role))

    def __str__(self) -> str:
        return _block(
            "SCP/SCU Role Selection",
            f"SOP class UID: {_named(self.sop_class_uid)}",
            f"SCU role: {self.scu_role}",
            f"SCP role: {self.scp_role}",
        )


class SOPClassExtendedNegotiation(ServiceParameter):
    """SOP Class Extended Negotiation (PS3.7 D.3.3.5)."""

    sop_class_uid = _uid("SOP Class UID")
    service_class_application_information: _Property[bytes | None, bytes | None] = _Property(
        _bytes("Service Class Application Information"), None, "What the service class defines for it."
    )

    def to_wire(self) -> pdus.ExtendedNegotiation:
        """Return the item."""
        return pdus.ExtendedNegotiation(
            str(self.sop_class_uid or ""), self.service_class_application_information or b""
        )

    def __str__(self) -> str:
        information = self.service_class_application_information or b""
        return _block(
            "SOP Class Extended Negotiation",
            f"SOP class UID: {_named(self.sop_class_uid)}",
            f"Application information: {information.hex(' ')}",
        )


def _related(value: Any) -> list[UID]:
    label = "Related General SOP Class Identification"
    if not isinstance(value, list):
        raise TypeError(f"{label} must be a list of UIDs")
    uids: list[UID] = []
    for item in value:
        if not isinstance(item, (str, bytes)):
            raise TypeError(f"{label} must be a list of UIDs")
        uid = set_uid(item, label, validate=False)
        if uid is None or not validate_uid(uid):
            raise ValueError(f"{label} contains an invalid UID")
        uids.append(uid)
    return uids


class SOPClassCommonExtendedNegotiation(ServiceParameter):
    """SOP Class Common Extended Negotiation (PS3.7 D.3.3.6)."""

    sop_class_uid = _uid("SOP Class UID")
    service_class_uid = _uid("Service Class UID")
    _related_property: _Property[list[UID] | None, list[str | bytes | UID]] = _Property(
        _related, None, "The general SOP classes that this one is related to."
    )

    @property
    def related_general_sop_class_identification(self) -> list[UID]:
        """The general SOP classes that this SOP class is related to."""
        return self._related_property or []

    @related_general_sop_class_identification.setter
    def related_general_sop_class_identification(self, value: list[str | bytes | UID]) -> None:
        self._related_property = value

    def to_wire(self) -> pdus.CommonExtendedNegotiation:
        """Return the item."""
        related = tuple(str(uid) for uid in self.related_general_sop_class_identification)
        return pdus.CommonExtendedNegotiation(
            str(self.sop_class_uid or ""), str(self.service_class_uid or ""), related
        )

    def __str__(self) -> str:
        return _block(
            "SOP Class Common Extended Negotiation",
            f"SOP class UID: {_named(self.sop_class_uid)}",
            f"Service class UID: {_named(self.service_class_uid)}",
            *(
                f"Related general SOP class: {_named(uid)}"
                for uid in self.related_general_sop_class_identification
            ),
        )


def _identity_type(value: Any) -> int | None:
    if value is not None and not isinstance(value, int):
        raise TypeError(f"User Identity Type must be an int or None, not '{type(value).__name__}'")
    if value not in (None, 1, 2, 3, 4, 5):
        raise ValueError(f"User Identity Type must be 1 to 5, not {value}")
    return value


class UserIdentityNegotiation(ServiceParameter):
    """User Identity (PS3.7 D.3.3.7): of a request, or the server's response."""

    user_identity_type: _Property[int | None, int | None] = _Property(
        _identity_type, None, "1 user name, 2 user name and passcode, 3 Kerberos, 4 SAML, 5 JSON web token."
    )
    positive_response_requested: _Property[bool, bool] = _Property(
        _bool("Positive Response Requested", optional=False), False, "Whether an answer is wanted."
    )
    primary_field: _Property[bytes | None, bytes | None] = _Property(
        _bytes("Primary Field"), None, "The user name, ticket, assertion or token."
    )
    secondary_field: _Property[bytes | None, bytes | None] = _Property(
        _bytes("Secondary Field"), b"", "The passcode of type 2."
    )
    server_response: _Property[bytes | None, bytes | None] = _Property(
        _bytes("Server Response"), None, "The acceptor's answer, for types 3 to 5."
    )

    def to_wire(self) -> pdus.UserIdentity | bytes:
        """Return the identity of a request, or the bytes of a response."""
        if self.user_identity_type is None:
            return self.server_response or b""
        return pdus.UserIdentity(
            self.user_identity_type,
            self.primary_field or b"",
            self.secondary_field or b"",
            self.positive_response_requested,
        )

    def __str__(self) -> str:
        # Credentials never reach a log.
        if self.user_identity_type is None:
            return _block("User Identity Parameters", f"Server response: {_size(self.server_response)}")
        return _block(
            "User Identity Parameters",
            f"User identity type: {self.user_identity_type}",
            f"Positive response requested: {self.positive_response_requested}",
            f"Primary field: {_size(self.primary_field)}",
            f"Secondary field: {_size(self.secondary_field)}",
        )


NegotiationItem = (
    MaximumLengthNotification
    | ImplementationClassUIDNotification
    | ImplementationVersionNameNotification
    | AsynchronousOperationsWindowNegotiation
    | SCP_SCU_RoleSelectionNegotiation
    | SOPClassExtendedNegotiation
    | SOPClassCommonExtendedNegotiation
    | UserIdentityNegotiation
)
"""What ``ext_neg`` and the user information of an association consist of."""


def user_information_to_wire(items: Iterable[NegotiationItem]) -> UserInformation:
    """Return negotiation items as the User Information of an A-ASSOCIATE PDU.

    Of several items of one kind that may occur only once, the last one counts. For one SOP class the last
    role, extended or common extended negotiation counts.
    """
    max_length: int | None = None
    class_uid = ""
    version_name: str | None = None
    window: pdus.AsyncOperations | None = None
    roles: dict[str, pdus.RoleSelection] = {}
    extended: dict[str, pdus.ExtendedNegotiation] = {}
    common: dict[str, pdus.CommonExtendedNegotiation] = {}
    identity: pdus.UserIdentity | None = None
    response: bytes | None = None
    for item in items:
        match item:
            case MaximumLengthNotification():
                max_length = item.to_wire()
            case ImplementationClassUIDNotification():
                class_uid = item.to_wire()
            case ImplementationVersionNameNotification():
                version_name = item.to_wire()
            case AsynchronousOperationsWindowNegotiation():
                window = item.to_wire()
            case SCP_SCU_RoleSelectionNegotiation():
                role = item.to_wire()
                roles[role.sop_class] = role
            case SOPClassExtendedNegotiation():
                extension = item.to_wire()
                extended[extension.sop_class] = extension
            case SOPClassCommonExtendedNegotiation():
                relation = item.to_wire()
                common[relation.sop_class] = relation
            case UserIdentityNegotiation():
                value = item.to_wire()
                if isinstance(value, bytes):
                    response = value
                else:
                    identity = value
    return pdus.UserInformation(
        max_length=max_length,
        implementation_class_uid=class_uid,
        implementation_version_name=version_name,
        async_operations=window,
        roles=tuple(roles.values()),
        extended=tuple(extended.values()),
        common_extended=tuple(common.values()),
        user_identity=identity,
        identity_response=response,
    )


def user_information_from_wire(information: UserInformation) -> list[NegotiationItem]:
    """Return the User Information of an A-ASSOCIATE PDU as negotiation items.

    What the peer sent is taken as it is, except that a value which cannot be represented is left out.
    """
    items: list[NegotiationItem] = []
    if information.max_length is not None:
        length = MaximumLengthNotification()
        length.maximum_length_received = information.max_length
        items.append(length)
    if information.implementation_class_uid:
        class_uid = ImplementationClassUIDNotification()
        if _try(class_uid, "implementation_class_uid", information.implementation_class_uid):
            items.append(class_uid)
    if information.implementation_version_name is not None:
        version = ImplementationVersionNameNotification()
        if _try(version, "implementation_version_name", information.implementation_version_name):
            items.append(version)
    if information.async_operations is not None:
        window = AsynchronousOperationsWindowNegotiation()
        window.maximum_number_operations_invoked = information.async_operations.invoked
        window.maximum_number_operations_performed = information.async_operations.performed
        items.append(window)
    for role in information.roles:
        selection = SCP_SCU_RoleSelectionNegotiation()
        selection.scu_role = role.scu
        selection.scp_role = role.scp
        if _try(selection, "sop_class_uid", role.sop_class):
            items.append(selection)
    for extension in information.extended:
        extended = SOPClassExtendedNegotiation()
        extended.service_class_application_information = extension.information
        if _try(extended, "sop_class_uid", extension.sop_class):
            items.append(extended)
    for relation in information.common_extended:
        common = SOPClassCommonExtendedNegotiation()
        if (
            _try(common, "sop_class_uid", relation.sop_class)
            and _try(common, "service_class_uid", relation.service_class)
            and _try(common, "related_general_sop_class_identification", list(relation.related))
        ):
            items.append(common)
    if information.user_identity is not None:
        identity = UserIdentityNegotiation()
        identity.primary_field = information.user_identity.primary
        identity.secondary_field = information.user_identity.secondary
        identity.positive_response_requested = information.user_identity.response_requested
        if _try(identity, "user_identity_type", information.user_identity.type):
            items.append(identity)
    if information.identity_response is not None:
        response = UserIdentityNegotiation()
        response.server_response = information.identity_response
        items.append(response)
    return items


def _try(item: NegotiationItem, name: str, value: object) -> bool:
    try:
        setattr(item, name, value)
    except ValueError:
        return False
    return True


class Address(Protocol):
    """A presentation address, such as :class:`~dulcimer.transport.AddressInformation`."""

    @property
    def address(self) -> str:
        """The IP address or host name."""

    port: int


def _address(value: Any) -> Address | None:
    if value is None or (hasattr(value, "address") and hasattr(value, "port")):
        address: Address | None = value
        return address
    raise TypeError(f"a presentation address must be an AddressInformation or None, not {value!r}")


def _list_of(label: str, kinds: Any) -> Callable[[Any], list[Any]]:
    def check(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError(f"{label} must be a list")
        return [item for item in value if isinstance(item, kinds)]

    return check


def _title(label: str) -> _Property[str, str]:
    return _Property(
        lambda value: set_ae(value, label, allow_empty=False, allow_none=False), "DEFAULT", f"The {label}."
    )


def _address_property(label: str) -> _Property[Address | None, Address | None]:
    return _Property(_address, None, f"The {label}.")


class A_ASSOCIATE:
    """An association request, or the answer to one (PS3.8 7.1)."""

    application_context_name = _uid("Application Context Name")
    calling_ae_title = _title("Calling AE Title")
    called_ae_title = _title("Called AE Title")
    calling_presentation_address = _address_property("calling presentation address")
    called_presentation_address = _address_property("called presentation address")
    result: _Property[int | None, int | None] = _Property(
        _one_of("A_ASSOCIATE.result", None, 0, 1, 2), None, "0 accepted, 1 rejected permanently, 2 for now."
    )
    result_source: _Property[int | None, int | None] = _Property(
        _one_of("A_ASSOCIATE.result_source", None, 1, 2, 3), None, "Who rejected (PS3.8 Table 9-21)."
    )
    diagnostic: _Property[int | None, int | None] = _Property(
        _one_of("A_ASSOCIATE.diagnostic", None, 1, 2, 3, 7), None, "Why it was rejected (PS3.8 Table 9-21)."
    )

    def __init__(self) -> None:
        self._user_information: list[NegotiationItem] = []
        self._proposed: list[PresentationContext] = []
        self._answered: list[PresentationContext] = []

    @classmethod
    def from_wire(cls, pdu: AssociateRQ | AssociateAC | AssociateRJ) -> A_ASSOCIATE:
        """Return the primitive that a received A-ASSOCIATE PDU stands for.

        Items that break the Standard (an even context ID, a UID that is too long) are left out.
        """
        primitive = cls()
        if isinstance(pdu, pdus.AssociateRJ):
            primitive.result = pdu.result if pdu.result in _RESULTS else 1
            primitive.result_source = pdu.source if pdu.source in _SOURCES else None
            primitive.diagnostic = pdu.reason if pdu.reason in (1, 2, 3, 7) else None
            return primitive
        # A peer's AE titles are shown as they came: they are compared, never sent on.
        primitive.__dict__["_calling_ae_title"] = pdu.calling
        primitive.__dict__["_called_ae_title"] = pdu.called
        primitive.__dict__["_application_context_name"] = UID(pdu.application_context)
        primitive.user_information = user_information_from_wire(pdu.user)
        if isinstance(pdu, pdus.AssociateRQ):
            proposed = (_context(c.id, c.transfer_syntaxes, c.abstract_syntax) for c in pdu.contexts)
            primitive.presentation_context_definition_list = [c for c in proposed if c is not None]
        else:
            primitive.result = 0
            primitive.result_source = 1
            answered = (_context(c.id, (c.transfer_syntax,), result=c.result) for c in pdu.contexts)
            primitive.presentation_context_definition_results_list = [c for c in answered if c is not None]
        return primitive

    @property
    def mode(self) -> str:
        """Always ``"normal"``."""
        return "normal"

    @property
    def presentation_requirements(self) -> str:
        """Always ``"Presentation Kernel"``."""
        return "Presentation Kernel"

    @property
    def session_requirements(self) -> str:
        """Always empty."""
        return ""

    @property
    def responding_ae_title(self) -> str | None:
        """The AE title that answers: the one that was called."""
        return self.called_ae_title

    @property
    def responding_presentation_address(self) -> Address | None:
        """The address that answers: the one that was called."""
        return self.called_presentation_address

    @property
    def user_information(self) -> list[NegotiationItem]:
        """The negotiation items."""
        return self._user_information

    @user_information.setter
    def user_information(self, value: list[NegotiationItem]) -> None:
        self._user_information = _list_of("A_ASSOCIATE.user_information", ServiceParameter)(value)

    @property
    def presentation_context_definition_list(self) -> list[PresentationContext]:
        """The proposed presentation contexts."""
        return self._proposed

    @presentation_context_definition_list.setter
    def presentation_context_definition_list(self, value: list[PresentationContext]) -> None:
        check = _list_of("A_ASSOCIATE.presentation_context_definition_list", PresentationContext)
        self._proposed = check(value)

    @property
    def presentation_context_definition_results_list(self) -> list[PresentationContext]:
        """The presentation contexts with their results."""
        return self._answered

    @presentation_context_definition_results_list.setter
    def presentation_context_definition_results_list(self, value: list[PresentationContext]) -> None:
        check = _list_of("A_ASSOCIATE.presentation_context_definition_results_list", PresentationContext)
        self._answered = check(value)

    @property
    def maximum_length_received(self) -> int | None:
        """The maximum length of the Maximum Length item; None without one."""
        item = self._item(MaximumLengthNotification)
        return None if item is None else item.maximum_length_received

    @maximum_length_received.setter
    def maximum_length_received(self, value: int) -> None:
        item = self._item(MaximumLengthNotification)
        new = MaximumLengthNotification() if item is None else item
        new.maximum_length_received = value
        if item is None:
            self._user_information.append(new)

    @property
    def implementation_class_uid(self) -> UID | None:
        """The UID of the Implementation Class UID item.

        Raises
        ------
        ValueError
            If there is none.
        """
        item = self._item(ImplementationClassUIDNotification)
        if item is None or item.implementation_class_uid is None:
            raise ValueError("Implementation Class UID has not been set")
        return item.implementation_class_uid

    @implementation_class_uid.setter
    def implementation_class_uid(self, value: str | bytes | UID | None) -> None:
        item = self._item(ImplementationClassUIDNotification)
        new = ImplementationClassUIDNotification() if item is None else item
        new.implementation_class_uid = value
        if item is None:
            self._user_information.append(new)

    def _item(self, kind: type[_T]) -> _T | None:
        return next((item for item in self._user_information if isinstance(item, kind)), None)

    @property
    def result_str(self) -> str:
        """The result in words."""
        return _NO_VALUE if self.result is None else _RESULTS[self.result]

    @property
    def source_str(self) -> str:
        """The source of a rejection in words."""
        return _NO_VALUE if self.result_source is None else _SOURCES[self.result_source]

    @property
    def reason_str(self) -> str:
        """The reason of a rejection in words."""
        if self.result_source is None or self.diagnostic is None:
            return _NO_VALUE
        code = (self.result_source, self.diagnostic)
        if code in _RESERVED_REASONS:
            return "Reserved"
        reason = REJECT_REASONS.get(code, _NO_VALUE)
        return reason[:1].upper() + reason[1:]


_T = TypeVar("_T")


def _context(
    context_id: int, syntaxes: Iterable[str], abstract_syntax: str | None = None, result: int | None = None
) -> PresentationContext | None:
    context = PresentationContext()
    try:
        context.context_id = context_id
        if abstract_syntax is not None:
            context.abstract_syntax = abstract_syntax
        # Some peers leave it empty in rejections.
        context.transfer_syntax = [syntax for syntax in syntaxes if syntax]
    except ValueError:
        return None
    context.result = result
    return context


class A_RELEASE:
    """A release request, or the answer to one (PS3.8 7.2)."""

    def __init__(self) -> None:
        self._result: str | None = None

    @property
    def reason(self) -> str:
        """Always ``"normal"``."""
        return "normal"

    @property
    def result(self) -> str | None:
        """``"affirmative"`` in an answer, None in a request."""
        return self._result

    @result.setter
    def result(self, value: str | None) -> None:
        if value not in (None, "affirmative"):
            raise ValueError("A_RELEASE.result must be None or 'affirmative'")
        self._result = value


class A_ABORT:
    """An abort by a service user (PS3.8 7.3)."""

    def __init__(self) -> None:
        self._abort_source: int | None = None

    @property
    def abort_source(self) -> int | None:
        """0 service user, 2 service provider.

        Raises
        ------
        ValueError
            If it has not been set.
        """
        if self._abort_source is None:
            raise ValueError("A_ABORT.abort_source has not been set")
        return self._abort_source

    @abort_source.setter
    def abort_source(self, value: int | None) -> None:
        self._abort_source = _one_of("A_ABORT.abort_source", None, 0, 1, 2)(value)


class A_P_ABORT:
    """An abort by the service provider (PS3.8 7.4)."""

    def __init__(self) -> None:
        self._provider_reason: int | None = None

    @property
    def provider_reason(self) -> int | None:
        """Why it aborted (PS3.8 Table 9-26).

        Raises
        ------
        ValueError
            If it has not been set.
        """
        if self._provider_reason is None:
            raise ValueError("A_P_ABORT.provider_reason has not been set")
        return self._provider_reason

    @provider_reason.setter
    def provider_reason(self, value: int | None) -> None:
        self._provider_reason = _one_of("A_P_ABORT.provider_reason", None, 0, 1, 2, 4, 5, 6)(value)


class P_DATA:
    """Presentation data values, each with the ID of its presentation context (PS3.8 7.6)."""

    def __init__(self) -> None:
        self._values: list[tuple[int, bytes]] = []

    @property
    def presentation_data_value_list(self) -> list[tuple[int, bytes]]:
        """Pairs of context ID and value; the first byte of a value is its message control header."""
        return self._values

    @presentation_data_value_list.setter
    def presentation_data_value_list(self, value: list[tuple[int, bytes]]) -> None:
        valid = isinstance(value, list) and all(
            isinstance(item, (list, tuple))
            and len(item) >= 2
            and isinstance(item[0], int)
            and isinstance(item[1], bytes)
            for item in value
        )
        if not valid:
            raise TypeError("P_DATA.presentation_data_value_list must be a list of (context ID, bytes)")
        self._values = value

    def __str__(self) -> str:
        lines: list[str] = []
        for item in self._values:
            context_id, data = item[0], item[1]
            lines += [f"Context ID: {context_id}", f"Value Length: {len(data)} bytes"]
            if data:
                kind = "Command" if data[0] & 1 else "Data set"
                last = "the last" if data[0] & 2 else "not the last"
                lines.append(f"Message Control Header Byte: {data[0]:08b}")
                lines.append(f"  {kind} information, {last} fragment of the DIMSE message")
        return _block("P-DATA", *lines)


def _block(title: str, *lines: str) -> str:
    return "".join([f"{title}\n", *(f"  {line}\n" for line in lines)])


def _named(uid: UID | None) -> str:
    if uid is None:
        return "None"
    return f"{uid} ({uid.name})" if uid.name != uid else str(uid)


def _size(value: bytes | None) -> str:
    return "none" if value is None else f"{len(value)} bytes"
