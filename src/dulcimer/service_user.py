"""One of the two sides of an association: what it proposes or answers (PS3.7 D.3.3, PS3.8 7.1)."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from pydicom.uid import UID

from dulcimer._globals import DEFAULT_MAX_LENGTH, MODE_ACCEPTOR, MODE_REQUESTOR
from dulcimer.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
    user_information_to_wire,
)
from dulcimer.protocol.wire.pdus import UserInformation
from dulcimer.utils import set_ae, text_of

if TYPE_CHECKING:
    from dulcimer.pdu_primitives import NegotiationItem
    from dulcimer.presentation import PresentationContext
    from dulcimer.protocol.wire.pdus import AssociateAC, AssociateRJ, AssociateRQ
    from dulcimer.transport import AddressInformation

_I = TypeVar("_I")

_EXTENDED = (
    SCP_SCU_RoleSelectionNegotiation,
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    SOPClassCommonExtendedNegotiation,
    UserIdentityNegotiation,
)
_OF_ACCEPTORS = tuple(kind for kind in _EXTENDED if kind is not SOPClassCommonExtendedNegotiation)


@lru_cache(maxsize=64)
def _information(maximum_length: int, class_uid: str, version_name: str | None) -> UserInformation:
    return UserInformation(maximum_length, class_uid, version_name)


class ServiceUser:
    """The association requestor or the association acceptor.

    Parameters
    ----------
    assoc
        The association.
    mode
        ``"requestor"`` or ``"acceptor"``: which side this is, whichever of them is ours.

    Attributes
    ----------
    address_info : AddressInformation or None
        Where it is.
    """

    def __init__(self, assoc: Any, mode: str) -> None:
        mode = mode.lower()
        if mode not in (MODE_REQUESTOR, MODE_ACCEPTOR):
            raise ValueError("The 'mode' must be either 'requestor' or 'acceptor'")
        # The association has its users: one reference back would keep all of it until garbage is collected.
        self._assoc = ref(assoc)
        self._is_local: bool = assoc.is_requestor is (mode == MODE_REQUESTOR)
        self._mode = mode
        self._ae_title = ""
        self._primitive: A_ASSOCIATE | None = None
        self._pdu: AssociateRQ | AssociateAC | AssociateRJ | None = None
        self.address_info: AddressInformation | None = None
        self._contexts: list[PresentationContext] = []
        self._extended: list[NegotiationItem] = []
        self._common: dict[UID, SOPClassCommonExtendedNegotiation] = {}
        self._maximum_length: int = DEFAULT_MAX_LENGTH
        self._class_uid: UID | None = assoc.ae.implementation_class_uid
        self._version_name: str | None = None

    @property
    def assoc(self) -> Any:
        """The association; None when nobody keeps it any more."""
        return self._assoc()

    def set_up(self, ae_title: str, maximum_length: int, version_name: str | None) -> None:
        """Take values that have been validated before."""
        self._ae_title = ae_title
        self._maximum_length = maximum_length
        self._version_name = version_name

    def to_wire(self) -> UserInformation:
        """Return what will be sent as User Information (PS3.8 9.3.2.3)."""
        information = _information(self._maximum_length, str(self._class_uid or ""), self._version_name)
        if not self._extended:
            return information
        return replace(
            user_information_to_wire(self._extended),
            max_length=information.max_length,
            implementation_class_uid=information.implementation_class_uid,
            implementation_version_name=information.implementation_version_name,
        )

    def negotiated(self, pdu: AssociateRQ | AssociateAC | AssociateRJ) -> None:
        """Take what was sent for what this side says; nothing can be changed any more."""
        self._pdu = pdu
        self._primitive = None

    @property
    def primitive(self) -> A_ASSOCIATE | None:
        """The A-ASSOCIATE primitive of this side; None before it was sent or received."""
        if self._primitive is None and self._pdu is not None:
            self._primitive = A_ASSOCIATE.from_wire(self._pdu)
        return self._primitive

    @primitive.setter
    def primitive(self, value: A_ASSOCIATE | None) -> None:
        self._primitive = value

    @property
    def writeable(self) -> bool:
        """Whether the negotiation has yet to begin."""
        return self._primitive is None and self._pdu is None

    @property
    def mode(self) -> str:
        """``"requestor"`` or ``"acceptor"``."""
        return self._mode

    @property
    def is_requestor(self) -> bool:
        """Whether this is the association requestor."""
        return self._mode == MODE_REQUESTOR

    @property
    def is_acceptor(self) -> bool:
        """Whether this is the association acceptor."""
        return self._mode == MODE_ACCEPTOR

    @property
    def ae_title(self) -> str:
        """The AE title."""
        return self._ae_title

    @ae_title.setter
    def ae_title(self, value: str) -> None:
        self._ae_title = set_ae(text_of(value, "ae_title"), "ae_title", False, False) or ""

    def called_itself(self, title: str) -> None:
        """Take an AE title as the peer sent it, fit for one or not."""
        self._ae_title = title

    @property
    def address(self) -> str:
        """The IP address or name."""
        if self.address_info is None:
            raise ValueError("No address information has been set")
        return self.address_info.address

    @property
    def port(self) -> int:
        """The port."""
        if self.address_info is None:
            raise ValueError("No address information has been set")
        return self.address_info.port

    @property
    def info(self) -> dict[str, Any]:
        """AE title, address, port, mode and, once negotiated, the maximum length (``pdv_size``)."""
        info: dict[str, Any] = {
            "ae_title": self.ae_title,
            "address": self.address if self.address_info else None,
            "port": self.port if self.address_info else None,
            "mode": self.mode,
        }
        if not self.writeable:
            info["pdv_size"] = self.maximum_length
        return info

    # ---- negotiation items --------------------------------------------------------------------------

    @property
    def user_information(self) -> list[NegotiationItem]:
        """All negotiation items: what will be sent, or was."""
        primitive = self.primitive
        if primitive is not None:
            return primitive.user_information
        length = MaximumLengthNotification()
        length.maximum_length_received = self._maximum_length
        items: list[NegotiationItem] = [length]
        if self._class_uid:
            class_uid = ImplementationClassUIDNotification()
            class_uid.implementation_class_uid = self._class_uid
            items.append(class_uid)
        if self._version_name is not None:
            version = ImplementationVersionNameNotification()
            version.implementation_version_name = self._version_name
            items.append(version)
        return items + self._extended

    @property
    def extended_negotiation(self) -> list[NegotiationItem]:
        """The negotiation items beside maximum length and implementation."""
        if self.writeable:
            return list(self._extended)
        return [item for item in self.user_information if isinstance(item, self._kinds)]

    def add_negotiation_item(self, item: NegotiationItem) -> None:
        """Add an extended negotiation item.

        Raises
        ------
        RuntimeError
            If the negotiation has begun.
        TypeError
            If it is no such item.
        """
        if not self.writeable:
            raise RuntimeError("Can't add extended negotiation items after negotiation has started")
        if not isinstance(item, self._kinds):
            raise TypeError("'item' is not a valid extended negotiation item")
        self._extended.append(item)

    def remove_negotiation_item(self, item: NegotiationItem) -> None:
        """Remove an extended negotiation item; one that is not there is no error."""
        if not self.writeable:
            raise RuntimeError("Can't remove extended negotiation items after negotiation has started")
        if item in self._extended:
            self._extended.remove(item)

    def reset_negotiation_items(self) -> None:
        """Remove all extended negotiation items."""
        if not self.writeable:
            raise RuntimeError("Can't reset the extended negotiation items after negotiation has started")
        self._extended = []

    @property
    def maximum_length(self) -> int | None:
        """The longest P-DATA-TF that this side takes, in bytes; 0 is unlimited (PS3.8 D.1)."""
        if self.writeable:
            return self._maximum_length
        item = self._item(MaximumLengthNotification)
        return None if item is None else item.maximum_length_received

    @maximum_length.setter
    def maximum_length(self, value: int) -> None:
        self._must_be_writeable("Maximum Length")
        check = MaximumLengthNotification()
        check.maximum_length_received = value
        self._maximum_length = value

    @property
    def implementation_class_uid(self) -> UID | None:
        """The Implementation Class UID (PS3.7 D.3.3.2)."""
        if self.writeable:
            return self._class_uid
        item = self._item(ImplementationClassUIDNotification)
        return None if item is None else item.implementation_class_uid

    @implementation_class_uid.setter
    def implementation_class_uid(self, value: str | UID | None) -> None:
        self._must_be_writeable("Implementation Class UID")
        check = ImplementationClassUIDNotification()
        check.implementation_class_uid = value
        self._class_uid = check.implementation_class_uid

    @property
    def implementation_version_name(self) -> str | None:
        """The Implementation Version Name (PS3.7 D.3.3.2), None without one."""
        if self.writeable:
            return self._version_name
        item = self._item(ImplementationVersionNameNotification)
        return None if item is None else item.implementation_version_name

    @implementation_version_name.setter
    def implementation_version_name(self, value: str | None) -> None:
        self._must_be_writeable("Implementation Version Name")
        self._version_name = set_ae(value, "implementation_version_name", False)

    @property
    def asynchronous_operations(self) -> tuple[int, int]:
        """The operations invoked and performed of the asynchronous operations window; (1, 1) without one."""
        item = self._item(AsynchronousOperationsWindowNegotiation)
        if item is None:
            return 1, 1
        return item.maximum_number_operations_invoked, item.maximum_number_operations_performed

    @property
    def role_selection(self) -> dict[UID, SCP_SCU_RoleSelectionNegotiation]:
        """The role selection items by SOP class."""
        return self._by_class(SCP_SCU_RoleSelectionNegotiation)

    @property
    def sop_class_extended(self) -> dict[UID, bytes]:
        """The Service Class Application Information by SOP class (PS3.7 D.3.3.5)."""
        found = self._by_class(SOPClassExtendedNegotiation)
        return {uid: item.service_class_application_information or b"" for uid, item in found.items()}

    @property
    def sop_class_common_extended(self) -> dict[UID, SOPClassCommonExtendedNegotiation]:
        """The common extended negotiation items by SOP class (PS3.7 D.3.3.6); an acceptor has none."""
        return self._by_class(SOPClassCommonExtendedNegotiation) if self.is_requestor else {}

    @property
    def accepted_common_extended(self) -> dict[UID, tuple[UID, list[UID]]]:
        """What the acceptor took of the requestor's common extended negotiation, by SOP class."""
        if not self.is_acceptor:
            raise RuntimeError("'accepted_common_extended' is only available for the 'acceptor'")
        return {
            uid: (UID(item.service_class_uid or ""), item.related_general_sop_class_identification)
            for uid, item in self._common.items()
        }

    def accept_common_extended(self, items: dict[UID, SOPClassCommonExtendedNegotiation]) -> None:
        """Record what the acceptor takes of the common extended negotiation."""
        self._common = items

    @property
    def user_identity(self) -> UserIdentityNegotiation | None:
        """The user identity item; None without one."""
        return self._item(UserIdentityNegotiation)

    # ---- presentation contexts ------------------------------------------------------------------------

    def get_contexts(self, cx_type: str) -> list[PresentationContext]:
        """Return presentation contexts.

        Parameters
        ----------
        cx_type
            ``"requested"`` or ``"supported"`` (what this side was set up with), ``"pcdl"`` (what the
            requestor proposed) or ``"pcdrl"`` (what the acceptor answered), as far as they are known.
        """
        known: dict[str, list[PresentationContext]] = {}
        if self._is_local:
            known["requested" if self.is_requestor else "supported"] = self._contexts
        primitive = self.primitive
        if primitive is not None:
            if self.is_requestor:
                known["pcdl"] = primitive.presentation_context_definition_list
            else:
                known["pcdrl"] = primitive.presentation_context_definition_results_list
        if cx_type not in known:
            raise ValueError(
                f"No '{cx_type}' presentation contexts are available for the {self.mode} service user"
            )
        return known[cx_type]

    @property
    def requested_contexts(self) -> list[PresentationContext]:
        """What the requestor proposes."""
        return self.get_contexts("requested" if self._is_local is self.is_requestor else "pcdl")

    @requested_contexts.setter
    def requested_contexts(self, value: list[PresentationContext]) -> None:
        self._must_be_writeable("requested presentation contexts")
        if not self.is_requestor:
            raise AttributeError("'requested_contexts' can only be set for the association requestor")
        self._contexts = value

    @property
    def supported_contexts(self) -> list[PresentationContext]:
        """What the acceptor supports."""
        return self.get_contexts("supported")

    @supported_contexts.setter
    def supported_contexts(self, value: list[PresentationContext]) -> None:
        self._must_be_writeable("supported presentation contexts")
        if not self.is_acceptor:
            raise AttributeError("'supported_contexts' can only be set for the association acceptor")
        self._contexts = value

    # ---- helpers -------------------------------------------------------------------------------------

    @property
    def _kinds(self) -> tuple[type[NegotiationItem], ...]:
        # An A-ASSOCIATE-AC has no common extended negotiation (PS3.7 D.3.3.6).
        return _EXTENDED if self.is_requestor else _OF_ACCEPTORS

    def _must_be_writeable(self, what: str) -> None:
        if not self.writeable:
            raise RuntimeError(f"Can't set the {what} after negotiation has started")

    def _items(self) -> list[NegotiationItem]:
        return self._extended if self.writeable else self.user_information

    def _item(self, kind: type[_I]) -> _I | None:
        return next((item for item in self._items() if isinstance(item, kind)), None)

    def _by_class(self, kind: type[_I]) -> dict[UID, _I]:
        found: dict[UID, _I] = {}
        for item in self._items():
            if isinstance(item, kind):
                uid: UID | None = getattr(item, "sop_class_uid", None)
                if uid is not None:
                    found[uid] = item
        return found
