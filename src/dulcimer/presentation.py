"""Presentation contexts: what an association carries, in which encoding and role (PS3.8 7.1.1.13).

The lists for the service classes, such as :data:`StoragePresentationContexts`, hold one context per
SOP class with the default transfer syntaxes. They are made when they are first asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom.uid import UID

from dulcimer._globals import DEFAULT_TRANSFER_SYNTAXES
from dulcimer.services import sop_classes
from dulcimer.utils import set_uid, validate_uid

if TYPE_CHECKING:
    from dulcimer.pdu_primitives import SCP_SCU_RoleSelectionNegotiation

    AllStoragePresentationContexts: list[PresentationContext]
    ApplicationEventLoggingPresentationContexts: list[PresentationContext]
    BasicWorklistManagementPresentationContexts: list[PresentationContext]
    ColorPalettePresentationContexts: list[PresentationContext]
    DefinedProcedureProtocolPresentationContexts: list[PresentationContext]
    DisplaySystemPresentationContexts: list[PresentationContext]
    HangingProtocolPresentationContexts: list[PresentationContext]
    ImplantTemplatePresentationContexts: list[PresentationContext]
    InstanceAvailabilityPresentationContexts: list[PresentationContext]
    MediaCreationManagementPresentationContexts: list[PresentationContext]
    MediaStoragePresentationContexts: list[PresentationContext]
    ModalityPerformedPresentationContexts: list[PresentationContext]
    NonPatientObjectPresentationContexts: list[PresentationContext]
    PrintManagementPresentationContexts: list[PresentationContext]
    ProcedureStepPresentationContexts: list[PresentationContext]
    ProtocolApprovalPresentationContexts: list[PresentationContext]
    QueryRetrievePresentationContexts: list[PresentationContext]
    RTMachineVerificationPresentationContexts: list[PresentationContext]
    RelevantPatientInformationPresentationContexts: list[PresentationContext]
    StorageCommitmentPresentationContexts: list[PresentationContext]
    StoragePresentationContexts: list[PresentationContext]
    SubstanceAdministrationPresentationContexts: list[PresentationContext]
    UnifiedProcedurePresentationContexts: list[PresentationContext]
    VerificationPresentationContexts: list[PresentationContext]

RoleType = tuple[bool | None, bool | None]
"""The SCU and the SCP role of the association requestor; None where nothing was said."""

ACCEPTED: Final = 0
USER_REJECTION: Final = 1
NO_REASON: Final = 2
ABSTRACT_SYNTAX_NOT_SUPPORTED: Final = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED: Final = 4

_STATUSES: Final[Mapping[int | None, str]] = {
    None: "Pending",
    ACCEPTED: "Accepted",
    USER_REJECTION: "User Rejected",
    NO_REASON: "Provider Rejected",
    ABSTRACT_SYNTAX_NOT_SUPPORTED: "Abstract Syntax Not Supported",
    TRANSFER_SYNTAXES_NOT_SUPPORTED: "Transfer Syntax(es) Not Supported",
}

_DEFAULT_ROLE: Final = (True, False)
"""The roles of a requestor when none were negotiated (PS3.7 D.3.3.4): SCU and not SCP."""


class PresentationContextTuple(NamedTuple):
    """An accepted presentation context, as handlers see it."""

    context_id: int
    abstract_syntax: UID
    transfer_syntax: UID


class PresentationContext:
    """A presentation context: an abstract syntax with the transfer syntaxes to carry it.

    Attributes
    ----------
    result : int or None
        The outcome of the negotiation: 0 accepted, 1 to 4 rejected (PS3.8 9.3.3.2), None before it.
    """

    def __init__(self) -> None:
        self.result: int | None = None
        self._context_id: int | None = None
        self._abstract_syntax: UID | None = None
        self._transfer_syntax: list[UID] = []
        self._scu_role: bool | None = None
        self._scp_role: bool | None = None
        self._as_scu: bool | None = None
        self._as_scp: bool | None = None

    @property
    def context_id(self) -> int | None:
        """The presentation context ID, an odd number from 1 to 255."""
        return self._context_id

    @context_id.setter
    def context_id(self, value: int | None) -> None:
        if value is not None and not (1 <= value <= 255 and value % 2):
            raise ValueError("'context_id' must be an odd integer between 1 and 255, inclusive")
        self._context_id = value

    @property
    def abstract_syntax(self) -> UID | None:
        """The abstract syntax: the UID of a SOP class."""
        return self._abstract_syntax

    @abstract_syntax.setter
    def abstract_syntax(self, value: str | bytes | UID) -> None:
        self._abstract_syntax = set_uid(value, "abstract_syntax", allow_none=False)

    @property
    def transfer_syntax(self) -> list[UID]:
        """The transfer syntaxes, or after the negotiation the one that was accepted."""
        return self._transfer_syntax

    @transfer_syntax.setter
    def transfer_syntax(self, value: Sequence[str | bytes | UID]) -> None:
        # Other sequences are refused because a lone UID would be taken for a sequence of characters.
        if not isinstance(value, list):
            raise TypeError("'transfer_syntax' must be a list")
        self._transfer_syntax = []
        for syntax in value:
            self.add_transfer_syntax(syntax)

    def add_transfer_syntax(self, syntax: str | bytes | UID | None) -> None:
        """Add a transfer syntax, unless it is there already.

        What is neither text nor bytes is ignored.
        """
        if not isinstance(syntax, (str, bytes)):
            return
        uid = set_uid(syntax, "transfer_syntax", allow_none=False, validate=False)
        if uid is None or not validate_uid(uid):
            raise ValueError("'transfer_syntax' contains an invalid UID")
        if uid not in self._transfer_syntax:
            self._transfer_syntax.append(uid)

    @property
    def scu_role(self) -> bool | None:
        """For an acceptor: whether it agrees to the requestor being SCU; None ignores role proposals.

        For a requestor: whether it proposes to be SCU.
        """
        return self._scu_role

    @scu_role.setter
    def scu_role(self, value: bool | None) -> None:
        self._scu_role = _checked_role(value, "scu_role")

    @property
    def scp_role(self) -> bool | None:
        """For an acceptor: whether it agrees to the requestor being SCP; None ignores role proposals.

        For a requestor: whether it proposes to be SCP.
        """
        return self._scp_role

    @scp_role.setter
    def scp_role(self, value: bool | None) -> None:
        self._scp_role = _checked_role(value, "scp_role")

    @property
    def as_scu(self) -> bool | None:
        """Whether this side may act as SCU in the context; None before the negotiation."""
        return self._as_scu

    @property
    def as_scp(self) -> bool | None:
        """Whether this side may act as SCP in the context; None before the negotiation."""
        return self._as_scp

    def set_outcome(self, as_scu: bool, as_scp: bool) -> None:
        """Record the roles that the negotiation left to this side."""
        self._as_scu = as_scu
        self._as_scp = as_scp

    @property
    def as_tuple(self) -> PresentationContextTuple:
        """The context as a tuple of its ID, abstract syntax and (first) transfer syntax."""
        syntax = self._transfer_syntax[0]
        # An accepted context has both; a context in the making gives what it has.
        return PresentationContextTuple(
            self._context_id,  # type: ignore[arg-type]
            self._abstract_syntax,  # type: ignore[arg-type]
            syntax,
        )

    @property
    def status(self) -> str:
        """The outcome of the negotiation in words."""
        return _STATUSES.get(self.result, "Unknown")

    @property
    def explanation(self) -> str:
        """Why the context was rejected and what to change, in a sentence; empty unless it was rejected."""
        if self.result in (None, ACCEPTED):
            return ""
        name = self._abstract_syntax.name if self._abstract_syntax else "an unnamed abstract syntax"
        if self.result == ABSTRACT_SYNTAX_NOT_SUPPORTED:
            return (
                f"The peer does not support {name}: add it to the SOP classes that the peer supports, or ask "
                "for one that it does support."
            )
        if self.result == TRANSFER_SYNTAXES_NOT_SUPPORTED:
            syntaxes = ", ".join(uid.name for uid in self._transfer_syntax) or "none"
            return (
                f"The peer supports {name}, but in none of the transfer syntaxes proposed ({syntaxes}): "
                "propose another one, for example Implicit VR Little Endian."
            )
        if self.result == USER_REJECTION:
            return (
                f"The peer rejected {name} in the roles proposed: propose other roles with build_role(), or "
                "allow them with scu_role and scp_role at the peer."
            )
        if self.result == NO_REASON:
            return (
                f"The peer gave no reason for rejecting {name}, or no answer at all: look into its log, and "
                "whether it knows this AE title."
            )
        return f"The peer answered {name} with result {self.result}, which the Standard does not define."

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PresentationContext):
            return self._key() == other._key()
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self._context_id, self._abstract_syntax, tuple(self._transfer_syntax)))

    def _key(self) -> tuple[Any, ...]:
        return (
            self._context_id,
            self._abstract_syntax,
            self._transfer_syntax,
            self.result,
            self._scu_role,
            self._scp_role,
            self._as_scu,
            self._as_scp,
        )

    def __repr__(self) -> str:
        return self._abstract_syntax.name if self._abstract_syntax is not None else "PresentationContext()"

    def __str__(self) -> str:
        lines = []
        if self._context_id is not None:
            lines.append(f"ID: {self._context_id}")
        if self._abstract_syntax is not None:
            lines.append(f"Abstract Syntax: {self._abstract_syntax.name}")
        lines.append("Transfer Syntax(es):")
        lines.extend(f"    ={syntax.name}" for syntax in self._transfer_syntax)
        if not self._transfer_syntax:
            lines.append("    (none)")
        if self.result is not None:
            lines.append(f"Result: {self.status}")
        roles = [name for name, taken in (("SCU", self._as_scu), ("SCP", self._as_scp)) if taken]
        if roles:
            lines.append(f"Role: {' and '.join(roles)}" if len(roles) > 1 else f"Role: {roles[0]} only")
        elif None not in (self._as_scu, self._as_scp):
            lines.append("Role: (none)")
        return "\n".join(lines)


def build_context(
    abstract_syntax: str | UID, transfer_syntax: str | UID | list[str | UID] | None = None
) -> PresentationContext:
    """Return a presentation context.

    Parameters
    ----------
    abstract_syntax
        The UID of a SOP class.
    transfer_syntax
        One transfer syntax or several; :data:`~dulcimer.DEFAULT_TRANSFER_SYNTAXES` by default.
    """
    context = PresentationContext()
    context.abstract_syntax = UID(abstract_syntax)
    if transfer_syntax is None:
        context.transfer_syntax = DEFAULT_TRANSFER_SYNTAXES
    elif isinstance(transfer_syntax, str):
        context.transfer_syntax = [transfer_syntax]
    else:
        context.transfer_syntax = transfer_syntax
    return context


def build_role(
    uid: str | UID, scu_role: bool = False, scp_role: bool = False
) -> SCP_SCU_RoleSelectionNegotiation:
    """Return an SCP/SCU Role Selection item for ``AE.associate(ext_neg=[...])`` (PS3.7 D.3.3.4).

    Parameters
    ----------
    uid
        The UID of the SOP class.
    scu_role, scp_role
        Whether the requestor proposes to act as SCU, and as SCP.
    """
    from dulcimer.pdu_primitives import SCP_SCU_RoleSelectionNegotiation

    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid = UID(uid)
    role.scu_role = scu_role
    role.scp_role = scp_role
    return role


def negotiate_as_acceptor(
    rq_contexts: list[PresentationContext],
    ac_contexts: list[PresentationContext],
    roles: dict[UID, RoleType] | None = None,
) -> tuple[list[PresentationContext], list[SCP_SCU_RoleSelectionNegotiation]]:
    """Decide on the contexts that a requestor proposes.

    Parameters
    ----------
    rq_contexts
        The proposed contexts.
    ac_contexts
        The supported contexts. Of several for one abstract syntax the last one counts.
    roles
        The proposed (SCU, SCP) roles per SOP class.

    Returns
    -------
    tuple
        The contexts with their results, in order of their IDs, and the role selection items to answer.
    """
    supported = {context.abstract_syntax: context for context in ac_contexts}
    proposals = roles or {}
    results: list[PresentationContext] = []
    replies: dict[UID | None, SCP_SCU_RoleSelectionNegotiation] = {}
    for proposed in rq_contexts:
        context = PresentationContext()
        context.context_id = proposed.context_id
        if proposed.abstract_syntax is not None:
            context.abstract_syntax = proposed.abstract_syntax
        # Rejections are answered with a transfer syntax too: it means nothing, but some peers want one.
        context.transfer_syntax = proposed.transfer_syntax[:1]
        context.set_outcome(False, False)
        results.append(context)
        match = supported.get(proposed.abstract_syntax)
        if match is None:
            context.result = ABSTRACT_SYNTAX_NOT_SUPPORTED
            continue
        syntaxes = [uid for uid in match.transfer_syntax if uid in proposed.transfer_syntax]
        if not syntaxes:
            context.result = TRANSFER_SYNTAXES_NOT_SUPPORTED
            continue
        context.transfer_syntax = syntaxes[:1]
        wanted = None if match.abstract_syntax is None else proposals.get(match.abstract_syntax)
        if wanted == (None, None):
            wanted = None
        scu, scp = _DEFAULT_ROLE
        # Without an opinion on both roles no answer is sent, which leaves the default (PS3.7 D.3.3.4).
        if wanted is not None and match.scu_role is not None and match.scp_role is not None:
            scu = bool(wanted[0]) and match.scu_role
            scp = bool(wanted[1]) and match.scp_role
            if not (scu or scp):
                context.result = USER_REJECTION
                continue
            replies[match.abstract_syntax] = build_role(match.abstract_syntax or "", scu, scp)
        context.result = ACCEPTED
        context.set_outcome(as_scu=scp, as_scp=scu)
    return sorted(results, key=_by_id), list(replies.values())


def negotiate_as_requestor(
    rq_contexts: list[PresentationContext],
    ac_contexts: list[PresentationContext],
    roles: dict[UID, RoleType] | None = None,
) -> list[PresentationContext]:
    """Combine the proposed contexts with the acceptor's answer.

    Parameters
    ----------
    rq_contexts
        The contexts that were proposed; their roles are those that were proposed.
    ac_contexts
        The answer, matched by context ID. What was not proposed is ignored, and what was not answered is
        rejected.
    roles
        The (SCU, SCP) roles of the acceptor's answer, per SOP class.

    Returns
    -------
    list of PresentationContext
        The contexts with their results, in order of their IDs.
    """
    if not rq_contexts:
        raise ValueError("Requestor contexts are required")
    answers = {context.context_id: context for context in ac_contexts}
    agreed = roles or {}
    results: list[PresentationContext] = []
    for proposed in rq_contexts:
        context = PresentationContext()
        context.context_id = proposed.context_id
        if proposed.abstract_syntax is not None:
            context.abstract_syntax = proposed.abstract_syntax
        answer = answers.get(proposed.context_id)
        results.append(context)
        if answer is None:
            context.transfer_syntax = proposed.transfer_syntax[:1]
            context.result = NO_REASON
            context.set_outcome(False, False)
            continue
        context.result = answer.result
        context.transfer_syntax = answer.transfer_syntax[:]
        scu, scp = _DEFAULT_ROLE
        reply = None if proposed.abstract_syntax is None else agreed.get(proposed.abstract_syntax)
        # Roles hold only where both sides spoke of them.
        if reply is not None and None not in reply and proposed.scu_role is proposed.scp_role is None:
            reply = None
        if reply is not None and None not in reply:
            scu = bool(proposed.scu_role) and bool(reply[0])
            scp = bool(proposed.scp_role) and bool(reply[1])
        context.set_outcome(scu, scp)
    return sorted(results, key=_by_id)


def _by_id(context: PresentationContext) -> int:
    return context.context_id or 0


def _checked_role(value: bool | None, name: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"'{name}' must be a bool or None")
    return value


_Rows = tuple[sop_classes.Row, ...]

_LISTS: Final[Mapping[str, tuple[_Rows, ...]]] = {
    "AllStoragePresentationContexts": (sop_classes.STORAGE, sop_classes.STORAGE_SPECIALIZED),
    "ApplicationEventLoggingPresentationContexts": (sop_classes.APPLICATION_EVENT,),
    "BasicWorklistManagementPresentationContexts": (sop_classes.BASIC_WORKLIST,),
    "ColorPalettePresentationContexts": (sop_classes.COLOR_PALETTE,),
    "DefinedProcedureProtocolPresentationContexts": (sop_classes.DEFINED_PROCEDURE,),
    "DisplaySystemPresentationContexts": (sop_classes.DISPLAY_SYSTEM,),
    "HangingProtocolPresentationContexts": (sop_classes.HANGING_PROTOCOL,),
    "ImplantTemplatePresentationContexts": (sop_classes.IMPLANT_TEMPLATE,),
    "InstanceAvailabilityPresentationContexts": (sop_classes.INSTANCE_AVAILABILITY,),
    "MediaCreationManagementPresentationContexts": (sop_classes.MEDIA_CREATION,),
    "MediaStoragePresentationContexts": (sop_classes.MEDIA_STORAGE,),
    "ModalityPerformedPresentationContexts": (sop_classes.PROCEDURE_STEP,),
    "NonPatientObjectPresentationContexts": (sop_classes.NON_PATIENT_OBJECT,),
    "PrintManagementPresentationContexts": (sop_classes.PRINT_MANAGEMENT,),
    "ProcedureStepPresentationContexts": (sop_classes.PROCEDURE_STEP,),
    "ProtocolApprovalPresentationContexts": (sop_classes.PROTOCOL_APPROVAL,),
    "QueryRetrievePresentationContexts": (sop_classes.QR,),
    "RTMachineVerificationPresentationContexts": (sop_classes.RT_MACHINE_VERIFICATION,),
    "RelevantPatientInformationPresentationContexts": (sop_classes.RELEVANT_PATIENT_QUERY,),
    "StorageCommitmentPresentationContexts": (sop_classes.STORAGE_COMMITMENT,),
    "StoragePresentationContexts": (sop_classes.STORAGE, sop_classes.STORAGE_RETIRED),
    "SubstanceAdministrationPresentationContexts": (sop_classes.SUBSTANCE_ADMINISTRATION,),
    "UnifiedProcedurePresentationContexts": (sop_classes.UNIFIED_PROCEDURE_STEP,),
    "VerificationPresentationContexts": (sop_classes.VERIFICATION,),
}

__all__ = [
    "PresentationContext",
    "PresentationContextTuple",
    "build_context",
    "build_role",
    "negotiate_as_acceptor",
    "negotiate_as_requestor",
    *_LISTS,
]


def _contexts(tables: Iterable[_Rows]) -> list[PresentationContext]:
    return [build_context(uid) for uid in sorted(uid for rows in tables for _, uid, _ in rows)]


if not TYPE_CHECKING:  # a type checker knows the names from the declarations above

    def __getattr__(name: str) -> list[PresentationContext]:
        tables = _LISTS.get(name)
        if tables is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Kept, so that the name stands for one list: programs extend and shorten these in place.
        contexts = globals()[name] = _contexts(tables)
        return contexts


def __dir__() -> list[str]:
    return sorted({*globals(), *_LISTS})
