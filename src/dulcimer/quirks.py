"""What peers do that the Standard does not say, or says otherwise, as one table.

All of it is tolerated by default: the association goes on as if the peer had done right. Each kind is noted
once for an association, in :attr:`Association.quirks <dulcimer.association.Association.quirks>` and as a
warning of the logger ``dulcimer.quirks``. A strict application entity (:attr:`AE.strict
<dulcimer.AE.strict>`) refuses those that break a rule; those that are merely unusual are noted by it as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

_UNEXPECTED: Final = 5
_INVALID: Final = 6


class QuirkKind(Enum):
    """A kind of quirk.

    Attributes
    ----------
    identifier : str
        Its name, such as ``"ae-title-nul"``; does not change between versions.
    sentence : str
        What the peer does.
    clause : str
        The clause that it bends, or that allows it.
    abort_reason : int or None
        The reason of the A-ABORT that a strict entity answers with (PS3.8 Table 9-26); None for what the
        Standard allows, which is never refused.
    """

    # ---- AE titles ----
    TITLE_NUL = ("ae-title-nul", "an AE title is padded with NUL", "PS3.8 9.3.2", _INVALID)
    TITLE_BLANK = ("ae-title-blank", "an AE title consists of spaces", "PS3.8 9.3.2", _INVALID)
    TITLE_CHARACTERS = (
        "ae-title-characters",
        "an AE title has characters that are not in the default repertoire",
        "PS3.5 6.2",
        _INVALID,
    )
    TITLE_LENGTH = ("ae-title-length", "an AE title has more than 16 characters", "PS3.5 6.2", _INVALID)

    # ---- UIDs ----
    UID_PADDING = ("uid-padding", "a UID is padded where it must not be", "PS3.5 9.1", _INVALID)
    UID_FORM = ("uid-form", "a UID is not made of numbers and dots as it should be", "PS3.5 9.1", _INVALID)
    UID_LENGTH = ("uid-length", "a UID has more than 64 characters", "PS3.5 9.1", _INVALID)

    # ---- the PDUs of the association ----
    PDU_LENGTH = ("pdu-length", "a PDU of fixed length has another one", "PS3.8 9.3.4 to 9.3.8", _INVALID)
    ITEM_OVERRUN = ("item-overrun", "an item claims more bytes than there are", "PS3.8 9.3.2", _INVALID)
    ITEM_LEFTOVER = ("item-leftover", "bytes follow the last item", "PS3.8 9.3.2", _INVALID)
    ITEM_SHORT = (
        "item-short",
        "a user information item is too short for its fields",
        "PS3.7 D.3.3",
        _INVALID,
    )
    ITEM_UNKNOWN = ("item-unknown", "a variable item is of an unknown type", "PS3.8 9.3.1", None)
    USER_ITEM_UNKNOWN = (
        "user-item-unknown",
        "a user information item is of an unknown type",
        "PS3.7 D.3.3",
        None,
    )
    APPLICATION_CONTEXT_MISSING = (
        "application-context-missing",
        "there is no application context item",
        "PS3.8 9.3.2.1",
        _INVALID,
    )
    USER_INFORMATION_MISSING = (
        "user-information-missing",
        "there is no user information item",
        "PS3.8 9.3.2.3",
        _INVALID,
    )
    MAXIMUM_LENGTH_MISSING = (
        "maximum-length-missing",
        "the user information has no maximum length",
        "PS3.8 D.1",
        _INVALID,
    )
    MAXIMUM_LENGTH_SMALL = (
        "maximum-length-small",
        "the maximum length leaves no room for an even number of bytes",
        "PS3.8 D.1",
        None,
    )
    IMPLEMENTATION_MISSING = (
        "implementation-class-missing",
        "the user information has no implementation class UID",
        "PS3.7 D.3.3.2",
        _INVALID,
    )
    VERSION_NAME = (
        "implementation-version-name",
        "the implementation version name is not 1 to 16 characters of the default repertoire",
        "PS3.7 D.3.3.2",
        _INVALID,
    )
    SYNTAX_MISSING = (
        "syntax-missing",
        "a presentation context has no abstract or no transfer syntax",
        "PS3.8 9.3.2.2",
        _INVALID,
    )
    SYNTAX_REPEATED = (
        "syntax-repeated",
        "a presentation context names a transfer syntax twice",
        "PS3.8 9.3.2.2",
        None,
    )

    # ---- the acceptor's answer ----
    ANSWER_ORDER = (
        "answer-order",
        "the presentation contexts are answered in another order",
        "PS3.8 9.3.3.2",
        None,
    )
    ANSWER_MISSING = (
        "answer-missing",
        "a proposed presentation context is not answered",
        "PS3.8 7.1.1.14",
        _INVALID,
    )
    ANSWER_UNASKED = (
        "answer-unasked",
        "a presentation context is answered that was not proposed",
        "PS3.8 7.1.1.14",
        _INVALID,
    )
    ANSWER_SYNTAX_MISSING = (
        "answer-syntax-missing",
        "a presentation context is accepted without a transfer syntax",
        "PS3.8 9.3.3.2",
        _INVALID,
    )
    ANSWER_SYNTAX_UNASKED = (
        "answer-syntax-unasked",
        "a presentation context is accepted with a transfer syntax that was not proposed",
        "PS3.8 9.3.3.2",
        _INVALID,
    )
    ANSWER_SYNTAX_OMITTED = (
        "answer-syntax-omitted",
        "a rejected presentation context has no transfer syntax sub-item",
        "PS3.8 9.3.3.2",
        None,
    )
    ROLE_UNANSWERED = (
        "role-unanswered",
        "the role selection proposed for an accepted SOP class is not answered",
        "PS3.7 D.3.3.4",
        None,
    )
    ROLE_UNASKED = (
        "role-unasked",
        "roles are answered that were not proposed",
        "PS3.7 D.3.3.4",
        _INVALID,
    )
    ROLE_ASSUMED = (
        "role-assumed",
        "requests come, or have to be sent, in a role that was not negotiated",
        "PS3.7 D.3.3.4",
        _UNEXPECTED,
    )

    # ---- P-DATA-TF ----
    SEVERAL_VALUES = (
        "several-values",
        "a P-DATA-TF has several values, such as a command and its data",
        "PS3.8 9.3.5",
        None,
    )
    EMPTY_FRAGMENT = ("empty-fragment", "a fragment of a message has no bytes", "PS3.8 E.1", None)
    EMPTY_PDU = ("empty-p-data", "a P-DATA-TF has no value", "PS3.8 9.3.5", _INVALID)

    # ---- messages ----
    GROUP_LENGTH = (
        "group-length",
        "a command's group length is missing or wrong",
        "PS3.7 E.1",
        _INVALID,
    )
    ELEMENT_ORDER = ("element-order", "a command's elements do not ascend", "PS3.7 6.3.1", _INVALID)
    ELEMENT_LENGTH = (
        "element-length",
        "an element of a command has an odd length, or one that its VR does not have",
        "PS3.7 6.3.1",
        _INVALID,
    )
    ELEMENT_UNKNOWN = ("element-unknown", "a command has retired or unknown elements", "PS3.7 E.2", None)
    ELEMENT_MISSING = ("element-missing", "a command lacks a mandatory element", "PS3.7 9.3, 10.3", _INVALID)
    PRIORITY = ("priority", "a command has a priority that is not defined", "PS3.7 E.1", _INVALID)
    DATA_SET_TYPE = (
        "data-set-type",
        "a command announces a data set that its message does not have",
        "PS3.7 9.3, 10.3",
        _INVALID,
    )
    CLASS_MISMATCH = (
        "class-mismatch",
        "a command names another SOP class than its presentation context",
        "PS3.7 9.1",
        _INVALID,
    )
    WINDOW_EXCEEDED = (
        "window-exceeded",
        "more operations are invoked at a time than were negotiated",
        "PS3.7 D.3.3.3",
        _UNEXPECTED,
    )
    RESPONSE_UNMATCHED = (
        "response-unmatched",
        "a response answers nothing that is outstanding",
        "PS3.7 6.3.2",
        _UNEXPECTED,
    )

    # ---- the end ----
    RELEASE_OUTSTANDING = (
        "release-outstanding",
        "the release is requested while an operation is outstanding",
        "PS3.8 7.2",
        None,
    )
    RELEASE_COLLISION = (
        "release-collision",
        "both sides request the release at the same time",
        "PS3.8 7.2.3",
        None,
    )
    ABORT_IN_PDU = ("abort-in-pdu", "an A-ABORT comes in the middle of a PDU", "PS3.8 9.3.8", None)

    def __init__(self, identifier: str, sentence: str, clause: str, abort_reason: int | None) -> None:
        self.identifier = identifier
        self.sentence = sentence
        self.clause = clause
        self.abort_reason = abort_reason


class Note(NamedTuple):
    """A quirk where it was found.

    ``place`` says which field it is about where that makes a difference: ``"called"`` or ``"calling"`` AE
    title.
    """

    kind: QuirkKind
    detail: str = ""
    place: str = ""


class Notebook(dict[QuirkKind, Note]):
    """Keeps the first note of every kind: however often a peer does something, it is one quirk."""

    __slots__ = ()

    def add(self, kind: QuirkKind, detail: str = "", place: str = "") -> None:
        """Note a quirk."""
        if kind not in self:
            self[kind] = Note(kind, detail, place)

    def take(self) -> list[Note]:
        """Return what was noted, in order, and keep it no longer."""
        notes = list(self.values())
        self.clear()
        return notes


@dataclass(frozen=True, slots=True)
class Quirk:
    """A quirk of the peer of an association: ``str(quirk)`` is a sentence for people.

    Attributes
    ----------
    kind
        What kind it is: :class:`QuirkKind` has sentence and clause.
    detail
        With what it was seen first; empty where there is nothing to say. Never the value of a SOP instance.
    """

    kind: QuirkKind
    detail: str = ""

    @property
    def identifier(self) -> str:
        """The name of its kind."""
        return self.kind.identifier

    @property
    def clause(self) -> str:
        """The clause that it bends, or that allows it."""
        return self.kind.clause

    @property
    def breaks_a_rule(self) -> bool:
        """Whether a strict application entity refuses it."""
        return self.kind.abort_reason is not None

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.kind.sentence}{detail} ({self.clause})"
