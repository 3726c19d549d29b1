"""The seven PDUs as handlers of ``evt.EVT_PDU_RECV`` and ``evt.EVT_PDU_SENT`` see them (PS3.8 9.3).

A PDU is its bytes, and its attributes are read from them when they are asked for. The protocol itself works
without these classes.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, ClassVar, Final, Self

from pydicom.uid import UID

from dulcimer.pdu_items import (
    ApplicationContextItem,
    PDUItem,
    PresentationContextItemAC,
    PresentationContextItemRQ,
    PresentationDataValueItem,
    UserInformationItem,
    context_result,
    first,
    parse_item,
    proposed_context,
    split_items,
    text_of,
)
from dulcimer.pdu_primitives import (
    A_ABORT,
    A_ASSOCIATE,
    A_P_ABORT,
    A_RELEASE,
    P_DATA,
    user_information_to_wire,
)
from dulcimer.protocol.association.reasons import ABORT_REASONS
from dulcimer.protocol.wire import codec, pdus
from dulcimer.quirks import Notebook

__all__ = [
    "A_ABORT_RQ",
    "A_ASSOCIATE_AC",
    "A_ASSOCIATE_RJ",
    "A_ASSOCIATE_RQ",
    "A_RELEASE_RP",
    "A_RELEASE_RQ",
    "PDU",
    "P_DATA_TF",
    "PresentationDataValueItem",
    "abort_primitive",
    "parse",
]

_HEADER: Final = 6
_PDU: Final = Struct(">BxI")
_VALUE: Final = Struct(">IB")
_NO_VALUE: Final = "(no value available)"


class PDU:
    """What all PDUs have."""

    NAME: ClassVar[str]
    PDU_TYPE: ClassVar[int]

    def __init__(self, primitive: Any = None) -> None:
        self._encoded = b""
        if primitive is not None:
            self.from_primitive(primitive)

    def from_primitive(self, primitive: Any) -> None:
        """Become the PDU for a service primitive.

        Raises
        ------
        dulcimer.errors.LocalProtocolError
            If a value does not fit.
        """
        raise NotImplementedError

    @classmethod
    def received(cls, encoded: bytes) -> Self:
        """Return the PDU with these bytes, header included."""
        pdu = cls()
        pdu.decode(encoded)
        return pdu

    def decode(self, bytestream: bytes) -> None:
        """Become the PDU with these bytes, header included."""
        self._encoded = bytes(bytestream)

    def encode(self) -> bytes:
        """Return the PDU as it travels, header included."""
        return self._encoded

    @property
    def pdu_type(self) -> int:
        """The number of its type, 1 to 7."""
        return self.PDU_TYPE

    @property
    def pdu_length(self) -> int:
        """The bytes that follow its header."""
        return max(len(self._encoded) - _HEADER, 0)

    def _value(self) -> pdus.ControlPDU:
        # As tolerant as the association that it came by.
        return codec.decode(self.PDU_TYPE, self._encoded[_HEADER:], Notebook())

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

    def __repr__(self) -> str:
        return f"<{self.NAME} PDU of {len(self)} bytes>"

    def __str__(self) -> str:
        lines = [
            f"{self.NAME} PDU",
            f"PDU type: 0x{self.pdu_type:02X}",
            f"PDU length: {self.pdu_length} bytes",
        ]
        return "\n  ".join([*lines, *self._lines()]) + "\n"

    def _lines(self) -> list[str]:
        return []


class _Associate(PDU):
    """An A-ASSOCIATE-RQ or -AC: two AE titles and items."""

    @property
    def protocol_version(self) -> int:
        """The protocol versions that its sender knows, a bit for each."""
        return int.from_bytes(self._encoded[6:8], "big")

    @property
    def variable_items(self) -> list[PDUItem]:
        """The items: application context, presentation contexts, user information."""
        return [parse_item(encoded) for encoded in split_items(self._encoded[74:])]

    @property
    def application_context_name(self) -> UID | None:
        """The application context name."""
        item = first(self.variable_items, ApplicationContextItem)
        return None if item is None else item.application_context_name

    @property
    def called_ae_title(self) -> str:
        """The called AE title without padding."""
        return text_of(self._encoded[10:26])

    @property
    def calling_ae_title(self) -> str:
        """The calling AE title without padding."""
        return text_of(self._encoded[26:42])

    @property
    def user_information(self) -> UserInformationItem | None:
        """The user information."""
        return first(self.variable_items, UserInformationItem)

    def to_primitive(self) -> A_ASSOCIATE:
        """Return it as a service primitive."""
        value = self._value()
        assert isinstance(value, (pdus.AssociateRQ, pdus.AssociateAC))
        return A_ASSOCIATE.from_wire(value)

    def _lines(self) -> list[str]:
        return [
            f"Protocol version: {self.protocol_version}",
            f"Called AE title: {self.called_ae_title}",
            f"Calling AE title: {self.calling_ae_title}",
            *(line for item in self.variable_items for line in str(item).splitlines()),
        ]


class A_ASSOCIATE_RQ(_Associate):
    """A-ASSOCIATE-RQ (PS3.8 9.3.2)."""

    NAME = "A-ASSOCIATE-RQ"
    PDU_TYPE = codec.A_ASSOCIATE_RQ

    def from_primitive(self, primitive: A_ASSOCIATE) -> None:
        """Become the request for a service primitive.

        Raises
        ------
        dulcimer.errors.LocalProtocolError
            If a value does not fit.
        """
        self._encoded = codec.encode(
            pdus.AssociateRQ(
                primitive.called_ae_title,
                primitive.calling_ae_title,
                tuple(map(proposed_context, primitive.presentation_context_definition_list)),
                user_information_to_wire(primitive.user_information),
                str(primitive.application_context_name or pdus.APPLICATION_CONTEXT),
            )
        )

    @property
    def presentation_context(self) -> list[PresentationContextItemRQ]:
        """The proposed presentation contexts."""
        return [item for item in self.variable_items if isinstance(item, PresentationContextItemRQ)]


class A_ASSOCIATE_AC(_Associate):
    """A-ASSOCIATE-AC (PS3.8 9.3.3)."""

    NAME = "A-ASSOCIATE-AC"
    PDU_TYPE = codec.A_ASSOCIATE_AC

    def from_primitive(self, primitive: A_ASSOCIATE) -> None:
        """Become the acceptance for a service primitive.

        Raises
        ------
        dulcimer.errors.LocalProtocolError
            If a value does not fit.
        """
        self._encoded = codec.encode(
            pdus.AssociateAC(
                primitive.called_ae_title,
                primitive.calling_ae_title,
                tuple(map(context_result, primitive.presentation_context_definition_results_list)),
                user_information_to_wire(primitive.user_information),
                str(primitive.application_context_name or pdus.APPLICATION_CONTEXT),
            )
        )

    @property
    def presentation_context(self) -> list[PresentationContextItemAC]:
        """The presentation contexts with their results."""
        return [item for item in self.variable_items if isinstance(item, PresentationContextItemAC)]

    @property
    def reserved_aet(self) -> str:
        """The called AE title as it was repeated; it has no meaning."""
        return self.called_ae_title

    @property
    def reserved_aec(self) -> str:
        """The calling AE title as it was repeated; it has no meaning."""
        return self.calling_ae_title


_REJECTION_RESULTS: Final = {1: "Rejected (Permanent)", 2: "Rejected (Transient)"}
_REJECTION_SOURCES: Final = {
    1: "DUL service-user",
    2: "DUL service-provider (ACSE related)",
    3: "DUL service-provider (presentation related)",
}


class A_ASSOCIATE_RJ(PDU):
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    NAME = "A-ASSOCIATE-RJ"
    PDU_TYPE = codec.A_ASSOCIATE_RJ

    def from_primitive(self, primitive: A_ASSOCIATE) -> None:
        """Become the rejection for a service primitive."""
        self._encoded = codec.encode(
            pdus.AssociateRJ(primitive.result or 0, primitive.result_source or 0, primitive.diagnostic or 0)
        )

    @property
    def result(self) -> int | None:
        """1 rejected permanently, 2 for now."""
        return self._byte(7)

    @property
    def source(self) -> int | None:
        """1 service user, 2 service provider (ACSE), 3 service provider (presentation)."""
        return self._byte(8)

    @property
    def reason_diagnostic(self) -> int | None:
        """Why it was rejected (PS3.8 Table 9-21)."""
        return self._byte(9)

    @property
    def result_str(self) -> str:
        """The result in words."""
        return _REJECTION_RESULTS.get(self.result or 0, _NO_VALUE)

    @property
    def source_str(self) -> str:
        """The source in words."""
        return _REJECTION_SOURCES.get(self.source or 0, _NO_VALUE)

    @property
    def reason_str(self) -> str:
        """The reason in words."""
        return self.to_primitive().reason_str

    def to_primitive(self) -> A_ASSOCIATE:
        """Return it as a service primitive."""
        value = self._value()
        assert isinstance(value, pdus.AssociateRJ)
        return A_ASSOCIATE.from_wire(value)

    def _lines(self) -> list[str]:
        return [
            f"Result: {self.result_str}",
            f"Source: {self.source_str}",
            f"Reason/Diagnostic: {self.reason_str}",
        ]


class P_DATA_TF(PDU):
    """P-DATA-TF (PS3.8 9.3.5). ``str()`` shows no data."""

    NAME = "P-DATA-TF"
    PDU_TYPE = codec.P_DATA_TF

    def from_primitive(self, primitive: P_DATA) -> None:
        """Become the PDU for a service primitive."""
        values = b"".join(
            _VALUE.pack(len(value) + 1, context_id) + value
            for context_id, value in primitive.presentation_data_value_list
        )
        self._encoded = _PDU.pack(self.PDU_TYPE, len(values)) + values

    @property
    def presentation_data_value_items(self) -> list[PresentationDataValueItem]:
        """The presentation data values."""
        items: list[PresentationDataValueItem] = []
        offset, end = _HEADER, len(self._encoded)
        while end - offset >= 4:
            stop = offset + 4 + int.from_bytes(self._encoded[offset : offset + 4], "big")
            items.append(PresentationDataValueItem.parse(self._encoded[offset:stop]))
            offset = stop
        return items

    def to_primitive(self) -> P_DATA:
        """Return it as a service primitive."""
        primitive = P_DATA()
        primitive.presentation_data_value_list = [
            (item.context_id or 0, item.presentation_data_value or b"")
            for item in self.presentation_data_value_items
        ]
        return primitive

    def _lines(self) -> list[str]:
        return [line for item in self.presentation_data_value_items for line in str(item).splitlines()]


class A_RELEASE_RQ(PDU):
    """A-RELEASE-RQ (PS3.8 9.3.6)."""

    NAME = "A-RELEASE-RQ"
    PDU_TYPE = codec.A_RELEASE_RQ

    def from_primitive(self, primitive: A_RELEASE) -> None:
        """Become the PDU for a service primitive."""
        self._encoded = codec.encode(pdus.ReleaseRQ())

    @staticmethod
    def to_primitive() -> A_RELEASE:
        """Return it as a service primitive."""
        return A_RELEASE()


class A_RELEASE_RP(PDU):
    """A-RELEASE-RP (PS3.8 9.3.7)."""

    NAME = "A-RELEASE-RP"
    PDU_TYPE = codec.A_RELEASE_RP

    def from_primitive(self, primitive: A_RELEASE) -> None:
        """Become the PDU for a service primitive."""
        self._encoded = codec.encode(pdus.ReleaseRP())

    @staticmethod
    def to_primitive() -> A_RELEASE:
        """Return it as a service primitive."""
        primitive = A_RELEASE()
        primitive.result = "affirmative"
        return primitive


_ABORT_SOURCES: Final = {0: "DUL service-user", 1: "Reserved", 2: "DUL service-provider"}


class A_ABORT_RQ(PDU):
    """A-ABORT (PS3.8 9.3.8)."""

    NAME = "A-ABORT"
    PDU_TYPE = codec.A_ABORT

    def from_primitive(self, primitive: A_ABORT | A_P_ABORT) -> None:
        """Become the PDU for a service primitive."""
        if isinstance(primitive, A_P_ABORT):
            abort = pdus.Abort(2, primitive.provider_reason or 0)
        else:
            abort = pdus.Abort(primitive.abort_source or 0, 0)
        self._encoded = codec.encode(abort)

    @property
    def source(self) -> int | None:
        """0 service user, 2 service provider."""
        return self._byte(8)

    @property
    def reason_diagnostic(self) -> int | None:
        """Why the service provider aborted (PS3.8 Table 9-26)."""
        return self._byte(9)

    @property
    def source_str(self) -> str:
        """The source in words."""
        return _NO_VALUE if self.source is None else _ABORT_SOURCES.get(self.source, _NO_VALUE)

    @property
    def reason_str(self) -> str:
        """The reason in words; it has one only from the service provider."""
        if self.source != 2 or self.reason_diagnostic is None:
            return _NO_VALUE
        return ABORT_REASONS.get(self.reason_diagnostic, _NO_VALUE).capitalize().replace("pdu", "PDU")

    def to_primitive(self) -> A_ABORT | A_P_ABORT:
        """Return it as a service primitive."""
        return abort_primitive(self.source or 0, self.reason_diagnostic or 0)

    def _lines(self) -> list[str]:
        return [f"Source: {self.source_str}", f"Reason/Diagnostic: {self.reason_str}"]


def abort_primitive(source: int, reason: int) -> A_ABORT | A_P_ABORT:
    """Return the primitive for an A-ABORT: one of the service user, or one of the provider."""
    if source == 0:
        abort = A_ABORT()
        abort.abort_source = 0
        return abort
    provider = A_P_ABORT()
    provider.provider_reason = reason if reason in ABORT_REASONS else 0
    return provider


_CLASSES: Final[dict[int, type[PDU]]] = {
    cls.PDU_TYPE: cls
    for cls in (
        A_ASSOCIATE_RQ,
        A_ASSOCIATE_AC,
        A_ASSOCIATE_RJ,
        P_DATA_TF,
        A_RELEASE_RQ,
        A_RELEASE_RP,
        A_ABORT_RQ,
    )
}


def parse(encoded: bytes) -> PDU:
    """Return the PDU with these bytes, of the class for its type.

    Raises
    ------
    ValueError
        If there is no PDU of that type.
    """
    kind = encoded[0] if encoded else 0
    if kind not in _CLASSES:
        raise ValueError(f"There is no PDU of type 0x{kind:02X}")
    return _CLASSES[kind].received(encoded)
