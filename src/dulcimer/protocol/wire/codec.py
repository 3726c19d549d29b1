"""The six control PDUs to and from bytes (PS3.8 9.3 and Annex D, PS3.7 Annex D).

An association PDU is a fixed head and *variable items*; a User Information Item holds *sub-items* of its own.
Both have the same shape: type, a reserved byte, a length of two bytes, content. Strict on output, tolerant on
input:

* reserved bytes are zero on output and not looked at on input;
* AE titles and UIDs may be padded with NUL or spaces, and may be blank;
* an item of unknown type is skipped, in the user information kept in ``unknown`` (PS3.8 9.3.1, PS3.7 D.3.3);
* an item that should be there once and comes twice: the last one counts. That is also what a look-up by SOP
  class makes of repeated negotiation items, all of which are kept, so one rule holds for everything;
* an item that is missing leaves the field at "", None or (); whether that matters is decided elsewhere;
* surplus bytes after the parameters of an item or of a PDU are not looked at.

What bends the rules is noted for whoever gives :func:`decode` a notebook for it. Then lengths that do not add
up are tolerated as well, where they leave no doubt: an item that claims more bytes than its parent has ends
with its parent, and user information items that are too short are skipped.

What is left is refused: a presentation context item without its parameters, and presentation context IDs that
are even, zero, repeated, or more than 128, since what data in such a context means would be a guess.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import Final

from dulcimer.errors import InvalidParameter, LocalProtocolError, UnexpectedPDU, UnrecognizedPDU
from dulcimer.protocol.wire.pdus import (
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    AsyncOperations,
    CommonExtendedNegotiation,
    ContextResult,
    ControlPDU,
    ExtendedNegotiation,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from dulcimer.quirks import Notebook, QuirkKind

A_ASSOCIATE_RQ: Final = 0x01
A_ASSOCIATE_AC: Final = 0x02
A_ASSOCIATE_RJ: Final = 0x03
P_DATA_TF: Final = 0x04
A_RELEASE_RQ: Final = 0x05
A_RELEASE_RP: Final = 0x06
A_ABORT: Final = 0x07

MAX_CONTEXTS: Final = 128
"""Odd IDs from 1 to 255 (PS3.8 9.3.2.2)."""

_APPLICATION_CONTEXT = 0x10
_PROPOSED_CONTEXT = 0x20
_CONTEXT_RESULT = 0x21
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50
_MAXIMUM_LENGTH = 0x51
_IMPLEMENTATION_CLASS_UID = 0x52
_ASYNC_OPERATIONS = 0x53
_ROLE_SELECTION = 0x54
_IMPLEMENTATION_VERSION_NAME = 0x55
_EXTENDED = 0x56
_COMMON_EXTENDED = 0x57
_USER_IDENTITY = 0x58
_IDENTITY_RESPONSE = 0x59

_LONGEST_KEPT = 1 << 13
"""An association request of more bytes is decoded each time that it comes."""

_AE_TITLE_LENGTH = 16
_UID_LENGTH = 64
_VERSION_NAME_LENGTH = 16
_SHORT_LENGTH = 4
_SMALLEST_MAXIMUM = 8
"""The 6 bytes that precede a value in a P-DATA-TF, and a fragment of two bytes."""
_UID_FORM = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*", re.ASCII)

_ITEM = struct.Struct(">BxH")
_VERSIONED_ITEM = struct.Struct(">BBH")
_CONTEXT_ITEM = struct.Struct(">BxHBxBx")
_ASSOCIATE_HEAD = struct.Struct(">BxIHxx16s16s32x")
_SHORT_PDU = struct.Struct(">BxIBBBB")
_MAXIMUM_LENGTH_ITEM = struct.Struct(">BxHI")
_ASYNC_OPERATIONS_ITEM = struct.Struct(">BxHHH")
_LENGTH = struct.Struct(">H")
_LONG = struct.Struct(">I")
_PAIR = struct.Struct(">HH")

_HEAD_OFFSET = 6
_BODY_HEAD = 68
"""Protocol version, AE titles and reserved bytes: where the variable items of a body begin."""


# ---- bytes to values ------------------------------------------------------------------------------------

Notes = Notebook | None
"""Where to note what bends the rules; None for nowhere."""


def decode(pdu_type: int, body: bytes | bytearray | memoryview, notes: Notes = None) -> ControlPDU:
    """Return the PDU of this type whose bytes after the 6-byte header are ``body``.

    Parameters
    ----------
    pdu_type, body
        What the reader found.
    notes
        Gets what bends the rules. Without it, lengths have to add up.

    Raises
    ------
    dulcimer.errors.UnrecognizedPDU
        If there is no such type.
    dulcimer.errors.UnexpectedPDU
        If it is P-DATA-TF, which is streamed by the reader and never assembled.
    dulcimer.errors.InvalidParameter
        If the lengths do not add up, or a presentation context ID is not valid.
    """
    data = bytes(body)
    if pdu_type == A_ASSOCIATE_RQ:
        known = None
        if len(data) <= _LONGEST_KEPT and _USER_IDENTITY not in data:
            known = _decode_clean(data)
        return known or _decode_rq(data, notes)
    if pdu_type == A_ASSOCIATE_AC:
        return _decode_ac(data, notes)
    if pdu_type == P_DATA_TF:
        raise UnexpectedPDU("P-DATA-TF among the control PDUs")
    if not A_ASSOCIATE_RQ <= pdu_type <= A_ABORT:
        raise UnrecognizedPDU(f"there is no PDU of type 0x{pdu_type:02X}")
    if len(data) != _SHORT_LENGTH:
        if notes is not None:
            notes.add(QuirkKind.PDU_LENGTH, f"type 0x{pdu_type:02X}, {len(data)} bytes")
            data = data.ljust(_SHORT_LENGTH, b"\0")
        elif len(data) < _SHORT_LENGTH:
            raise InvalidParameter(f"a PDU of type 0x{pdu_type:02X} with {len(data)} bytes, it has 4")
    if pdu_type == A_ASSOCIATE_RJ:
        return AssociateRJ(data[1], data[2], data[3])
    if pdu_type == A_RELEASE_RQ:
        return ReleaseRQ()
    if pdu_type == A_RELEASE_RP:
        return ReleaseRP()
    return Abort(data[2], data[3])


@lru_cache(maxsize=64)
def _decode_clean(data: bytes) -> AssociateRQ | None:
    """Return an association request that bends no rule, None for any other.

    Peers request one association after the other with the same bytes. Credentials are not kept: the type of
    their item is nowhere in these bytes.
    """
    notes = Notebook()
    request = _decode_rq(data, notes)
    return None if notes else request


def _decode_rq(data: bytes, notes: Notes) -> AssociateRQ:
    called, calling, version = _head(data)
    if notes is not None:
        called = _note_title(notes, data[4:20], called, "called")
        calling = _note_title(notes, data[20:36], calling, "calling")
    application_context = ""
    contexts: list[ProposedContext] = []
    user: UserInformation | None = None
    for kind, start, stop in _items(data, _BODY_HEAD, len(data), notes):
        if kind == _PROPOSED_CONTEXT:
            identifier = _context_id(data, start, stop)
            abstract_syntax = ""
            transfer_syntaxes: list[str] = []
            for inner, low, high in _items(data, start + 4, stop, notes):
                if inner == _TRANSFER_SYNTAX:
                    transfer_syntaxes.append(_uid(data[low:high], notes, "transfer syntax"))
                elif inner == _ABSTRACT_SYNTAX:
                    abstract_syntax = _uid(data[low:high], notes, "abstract syntax")
                elif notes is not None:
                    notes.add(QuirkKind.ITEM_UNKNOWN, f"0x{inner:02X}")
            if notes is not None:
                if not abstract_syntax or not transfer_syntaxes:
                    notes.add(QuirkKind.SYNTAX_MISSING, f"context {identifier}")
                elif len(transfer_syntaxes) > 1 and len(set(transfer_syntaxes)) < len(transfer_syntaxes):
                    notes.add(QuirkKind.SYNTAX_REPEATED, f"context {identifier}")
            contexts.append(ProposedContext(identifier, abstract_syntax, tuple(transfer_syntaxes)))
        elif kind == _APPLICATION_CONTEXT:
            application_context = _uid(data[start:stop], notes, "application context")
        elif kind == _USER_INFORMATION:
            user = _decode_user(data, start, stop, notes)
        elif notes is not None:
            notes.add(QuirkKind.ITEM_UNKNOWN, f"0x{kind:02X}")
    _check_unique(contexts)
    if notes is not None:
        _note_missing(notes, application_context, user)
    return AssociateRQ(
        called, calling, tuple(contexts), user or UserInformation(), application_context, version
    )


def _decode_ac(data: bytes, notes: Notes) -> AssociateAC:
    # The AE titles of an answer are reserved and not tested (PS3.8 9.3.3).
    called, calling, version = _head(data)
    application_context = ""
    contexts: list[ContextResult] = []
    user: UserInformation | None = None
    for kind, start, stop in _items(data, _BODY_HEAD, len(data), notes):
        if kind == _CONTEXT_RESULT:
            identifier = _context_id(data, start, stop)
            transfer_syntax = ""
            for inner, low, high in _items(data, start + 4, stop, notes):
                if inner == _TRANSFER_SYNTAX:
                    transfer_syntax = _uid(data[low:high], notes, "transfer syntax")
                elif notes is not None:
                    notes.add(QuirkKind.ITEM_UNKNOWN, f"0x{inner:02X}")
            contexts.append(ContextResult(identifier, data[start + 2], transfer_syntax))
        elif kind == _APPLICATION_CONTEXT:
            application_context = _uid(data[start:stop], notes, "application context")
        elif kind == _USER_INFORMATION:
            user = _decode_user(data, start, stop, notes)
        elif notes is not None:
            notes.add(QuirkKind.ITEM_UNKNOWN, f"0x{kind:02X}")
    _check_unique(contexts)
    if notes is not None:
        _note_missing(notes, application_context, user)
    return AssociateAC(
        called, calling, tuple(contexts), user or UserInformation(), application_context, version
    )


def _head(data: bytes) -> tuple[str, str, int]:
    if len(data) < _BODY_HEAD:
        raise InvalidParameter(f"an association PDU of {len(data)} bytes, it has at least {_BODY_HEAD}")
    return _text(data, 4, 20), _text(data, 20, 36), data[0] << 8 | data[1]


def _items(data: bytes, offset: int, end: int, notes: Notes) -> list[tuple[int, int, int]]:
    """List the items of ``data[offset:end]`` as type, start and stop of the content."""
    found: list[tuple[int, int, int]] = []
    unpack = _ITEM.unpack_from
    while offset < end:
        if end - offset < 4:
            if notes is not None:
                notes.add(QuirkKind.ITEM_LEFTOVER, f"{end - offset} bytes")
                break
            raise InvalidParameter(f"{end - offset} bytes left over where an item would begin")
        kind, length = unpack(data, offset)
        start = offset + 4
        offset = start + length
        if offset > end:
            if notes is None:
                raise InvalidParameter(f"item 0x{kind:02X} of {length} bytes overruns what it is in")
            notes.add(QuirkKind.ITEM_OVERRUN, f"item 0x{kind:02X} of {length} bytes")
            offset = end
        found.append((kind, start, offset))
    return found


def _text(data: bytes, start: int, stop: int) -> str:
    # Latin-1 has a character for every byte, so a title from another code page survives the round trip.
    return data[start:stop].decode("latin-1").strip("\0 ")


def _uid(raw: bytes, notes: Notes, what: str) -> str:
    if len(raw) > _UID_LENGTH:
        text, kinds = _judge_uid(raw)
    else:
        text, kinds = _known_uid(raw)
    if kinds and notes is not None:
        for kind in kinds:
            notes.add(kind, f"{what} {_shown(raw)}")
    return text


def _judge_uid(raw: bytes) -> tuple[str, tuple[QuirkKind, ...]]:
    latin = raw.decode("latin-1")
    text = latin.strip("\0 ")
    kinds = []
    if text != latin:
        kinds.append(QuirkKind.UID_PADDING)
    if len(text) > _UID_LENGTH:
        kinds.append(QuirkKind.UID_LENGTH)
    if text and not _UID_FORM.fullmatch(text):
        kinds.append(QuirkKind.UID_FORM)
    return text, tuple(kinds)


# The same few UIDs come again and again; only what is short is kept.
_known_uid = lru_cache(maxsize=1024)(_judge_uid)


def _shown(raw: bytes) -> str:
    return repr(raw[:_UID_LENGTH].decode("latin-1"))


def _note_title(notes: Notebook, raw: bytes, title: str, which: str) -> str:
    kind: QuirkKind | None = None
    if b"\0" in raw:
        kind = QuirkKind.TITLE_NUL
        # What follows the end of a C string is whatever was in memory.
        title = title.partition("\0")[0].rstrip(" ")
    elif not title:
        kind = QuirkKind.TITLE_BLANK
    elif not title.isascii() or not title.isprintable() or "\\" in title:
        kind = QuirkKind.TITLE_CHARACTERS
    if kind is not None:
        notes.add(kind, f"{which} AE title {_shown(raw)}", which)
    return title


def _note_missing(notes: Notebook, application_context: str, user: UserInformation | None) -> None:
    if not application_context:
        notes.add(QuirkKind.APPLICATION_CONTEXT_MISSING)
    if user is None:
        notes.add(QuirkKind.USER_INFORMATION_MISSING)
        return
    if user.max_length is None:
        notes.add(QuirkKind.MAXIMUM_LENGTH_MISSING)
    elif 0 < user.max_length < _SMALLEST_MAXIMUM:
        notes.add(QuirkKind.MAXIMUM_LENGTH_SMALL, str(user.max_length))
    if not user.implementation_class_uid:
        notes.add(QuirkKind.IMPLEMENTATION_MISSING)
    name = user.implementation_version_name
    if name is not None and not (
        0 < len(name) <= _VERSION_NAME_LENGTH and name.isascii() and name.isprintable()
    ):
        notes.add(QuirkKind.VERSION_NAME, repr(name[:_UID_LENGTH]))


def _context_id(data: bytes, start: int, stop: int) -> int:
    if stop - start < 4:
        raise InvalidParameter("a presentation context item without its parameters")
    identifier = data[start]
    if not identifier & 1:
        raise InvalidParameter(f"presentation context ID {identifier}, it has to be odd")
    return identifier


def _check_unique(contexts: list[ProposedContext] | list[ContextResult]) -> None:
    # IDs are odd numbers of one byte: more than 128 of them repeat.
    if len({context.id for context in contexts}) != len(contexts):
        raise InvalidParameter("a presentation context ID is used twice")


def decode_user_information(content: bytes) -> UserInformation:
    """Return the sub-items of a User Information Item, all or some of them, as a value.

    It is as tolerant as :func:`decode` with a notebook.

    Raises
    ------
    dulcimer.errors.InvalidParameter
        If the lengths do not add up.
    """
    return _decode_user(content, 0, len(content), Notebook())


def _decode_user(data: bytes, start: int, stop: int, notes: Notes) -> UserInformation:
    max_length: int | None = None
    class_uid = ""
    version_name: str | None = None
    async_operations: AsyncOperations | None = None
    roles: list[RoleSelection] = []
    extended: list[ExtendedNegotiation] = []
    common_extended: list[CommonExtendedNegotiation] = []
    identity: UserIdentity | None = None
    identity_response: bytes | None = None
    unknown: list[tuple[int, bytes]] = []
    for kind, low, high in _items(data, start, stop, notes):
        try:
            if kind == _MAXIMUM_LENGTH:
                _require(kind, high - low, 4)
                max_length = _LONG.unpack_from(data, low)[0]
            elif kind == _IMPLEMENTATION_CLASS_UID:
                class_uid = _uid(data[low:high], notes, "implementation class UID")
            elif kind == _IMPLEMENTATION_VERSION_NAME:
                version_name = _text(data, low, high)
            elif kind == _ROLE_SELECTION:
                sop_class, after = _counted(data, low, high, kind)
                _require(kind, high - after, 2)
                uid = _uid(sop_class, notes, "SOP class of a role selection")
                roles.append(RoleSelection(uid, data[after] != 0, data[after + 1] != 0))
            elif kind == _ASYNC_OPERATIONS:
                _require(kind, high - low, 4)
                async_operations = AsyncOperations(*_PAIR.unpack_from(data, low))
            elif kind == _EXTENDED:
                sop_class, after = _counted(data, low, high, kind)
                uid = _uid(sop_class, notes, "SOP class of an extended negotiation")
                extended.append(ExtendedNegotiation(uid, data[after:high]))
            elif kind == _COMMON_EXTENDED:
                common_extended.append(_decode_common(data, low, high, notes))
            elif kind == _USER_IDENTITY:
                identity = _decode_identity(data, low, high)
            elif kind == _IDENTITY_RESPONSE:
                identity_response, _ = _counted(data, low, high, kind)
            else:
                unknown.append((kind, data[low:high]))
                if notes is not None:
                    notes.add(QuirkKind.USER_ITEM_UNKNOWN, f"0x{kind:02X}")
        except InvalidParameter as error:
            # A request to be identified that cannot be read must not be taken for none.
            if notes is None or kind == _USER_IDENTITY:
                raise
            notes.add(QuirkKind.ITEM_SHORT, str(error))
    return UserInformation(
        max_length,
        class_uid,
        version_name,
        async_operations,
        tuple(roles),
        tuple(extended),
        tuple(common_extended),
        identity,
        identity_response,
        tuple(unknown),
    )


def _decode_common(data: bytes, start: int, stop: int, notes: Notes) -> CommonExtendedNegotiation:
    # The byte that is reserved in every other item is this one's version (PS3.7 D.3.3.6).
    version = data[start - 3]
    sop_class, offset = _counted(data, start, stop, _COMMON_EXTENDED)
    service_class, offset = _counted(data, offset, stop, _COMMON_EXTENDED)
    related: list[str] = []
    if offset < stop:
        _require(_COMMON_EXTENDED, stop - offset, 2)
        end = offset + 2 + _LENGTH.unpack_from(data, offset)[0]
        _require(_COMMON_EXTENDED, stop - offset, end - offset)
        offset += 2
        while offset < end:
            uid, offset = _counted(data, offset, end, _COMMON_EXTENDED)
            related.append(_uid(uid, notes, "related general SOP class"))
    return CommonExtendedNegotiation(
        _uid(sop_class, notes, "SOP class of a common extended negotiation"),
        _uid(service_class, notes, "service class of a common extended negotiation"),
        tuple(related),
        version,
    )


def _decode_identity(data: bytes, start: int, stop: int) -> UserIdentity:
    _require(_USER_IDENTITY, stop - start, 2)
    primary, offset = _counted(data, start + 2, stop, _USER_IDENTITY)
    secondary = b""
    # Peers leave the secondary field out altogether where it has no use (types 1, 3, 4 and 5).
    if offset < stop:
        secondary, _ = _counted(data, offset, stop, _USER_IDENTITY)
    return UserIdentity(data[start], primary, secondary, data[start + 1] != 0)


def _counted(data: bytes, offset: int, stop: int, kind: int) -> tuple[bytes, int]:
    """Return a field that its two-byte length precedes, and the offset after it."""
    _require(kind, stop - offset, 2)
    start = offset + 2
    end = start + _LENGTH.unpack_from(data, offset)[0]
    _require(kind, stop - offset, end - offset)
    return data[start:end], end


def _require(kind: int, present: int, needed: int) -> None:
    if present < needed:
        raise InvalidParameter(f"item 0x{kind:02X} has {present} bytes where {needed} are needed")


# ---- values to bytes ------------------------------------------------------------------------------------


def encode(pdu: ControlPDU) -> bytes:
    """Return a PDU as it travels, header included.

    Raises
    ------
    dulcimer.errors.LocalProtocolError
        If a value does not fit: an AE title of more than 16 characters, items longer than their length
        fields can say, more than 128 presentation contexts.
    """
    try:
        match pdu:
            case AssociateRQ():
                return _encode_rq(pdu)
            case AssociateAC():
                return _encode_ac(pdu)
            case AssociateRJ():
                return _SHORT_PDU.pack(A_ASSOCIATE_RJ, 4, 0, pdu.result, pdu.source, pdu.reason)
            case ReleaseRQ():
                return _SHORT_PDU.pack(A_RELEASE_RQ, 4, 0, 0, 0, 0)
            case ReleaseRP():
                return _SHORT_PDU.pack(A_RELEASE_RP, 4, 0, 0, 0, 0)
            case Abort():
                return _SHORT_PDU.pack(A_ABORT, 4, 0, 0, pdu.source, pdu.reason)
    except (struct.error, ValueError) as error:
        raise LocalProtocolError(f"{type(pdu).__name__} cannot be encoded: {error}") from error


def _encode_rq(pdu: AssociateRQ) -> bytes:
    _check_contexts(pdu.contexts)
    parts: list[bytes] = []
    for context in pdu.contexts:
        syntaxes = [_item(_ABSTRACT_SYNTAX, context.abstract_syntax)]
        syntaxes += [_item(_TRANSFER_SYNTAX, syntax) for syntax in context.transfer_syntaxes]
        content = b"".join(syntaxes)
        parts += (_CONTEXT_ITEM.pack(_PROPOSED_CONTEXT, len(content) + 4, context.id, 0), content)
    return _associate(A_ASSOCIATE_RQ, pdu, parts)


def _encode_ac(pdu: AssociateAC) -> bytes:
    _check_contexts(pdu.contexts)
    parts: list[bytes] = []
    for context in pdu.contexts:
        # The sub-item has to be there even where it is not significant (PS3.8 9.3.3.2).
        content = _item(_TRANSFER_SYNTAX, context.transfer_syntax)
        parts += (_CONTEXT_ITEM.pack(_CONTEXT_RESULT, len(content) + 4, context.id, context.result), content)
    return _associate(A_ASSOCIATE_AC, pdu, parts)


def _check_contexts(contexts: tuple[ProposedContext, ...] | tuple[ContextResult, ...]) -> None:
    if len(contexts) > MAX_CONTEXTS:
        raise LocalProtocolError(f"{len(contexts)} presentation contexts, an association has {MAX_CONTEXTS}")


def _associate(kind: int, pdu: AssociateRQ | AssociateAC, contexts: list[bytes]) -> bytes:
    application_context = b""
    if pdu.application_context:
        application_context = _item(_APPLICATION_CONTEXT, pdu.application_context)
    user = _encode_user(pdu.user)
    items = b"".join(
        (application_context, *contexts, _ITEM.pack(_USER_INFORMATION, len(user)), user),
    )
    return (
        _ASSOCIATE_HEAD.pack(
            kind,
            _ASSOCIATE_HEAD.size - _HEAD_OFFSET + len(items),
            pdu.protocol_version,
            _ae_title(pdu.called),
            _ae_title(pdu.calling),
        )
        + items
    )


def _ae_title(title: str) -> bytes:
    if len(title) > _AE_TITLE_LENGTH:
        raise LocalProtocolError(f"AE title {title!r} has more than {_AE_TITLE_LENGTH} characters")
    return title.encode("latin-1").ljust(_AE_TITLE_LENGTH)


def _item(kind: int, text: str) -> bytes:
    content = text.encode("latin-1")
    return _ITEM.pack(kind, len(content)) + content


def _encode_user(user: UserInformation) -> bytes:
    parts: list[bytes] = []
    if user.max_length is not None:
        parts.append(_MAXIMUM_LENGTH_ITEM.pack(_MAXIMUM_LENGTH, 4, user.max_length))
    if user.implementation_class_uid:
        parts.append(_item(_IMPLEMENTATION_CLASS_UID, user.implementation_class_uid))
    if user.async_operations is not None:
        window = user.async_operations
        parts.append(_ASYNC_OPERATIONS_ITEM.pack(_ASYNC_OPERATIONS, 4, window.invoked, window.performed))
    for role in user.roles:
        content = _field(role.sop_class) + bytes((role.scu, role.scp))
        parts += (_ITEM.pack(_ROLE_SELECTION, len(content)), content)
    if user.implementation_version_name is not None:
        parts.append(_item(_IMPLEMENTATION_VERSION_NAME, user.implementation_version_name))
    for extended in user.extended:
        content = _field(extended.sop_class) + extended.information
        parts += (_ITEM.pack(_EXTENDED, len(content)), content)
    for common in user.common_extended:
        related = b"".join(map(_field, common.related))
        content = b"".join(
            (_field(common.sop_class), _field(common.service_class), _LENGTH.pack(len(related)), related)
        )
        parts += (_VERSIONED_ITEM.pack(_COMMON_EXTENDED, common.version, len(content)), content)
    if user.user_identity is not None:
        identity = user.user_identity
        content = b"".join(
            (
                bytes((identity.type, identity.response_requested)),
                _LENGTH.pack(len(identity.primary)),
                identity.primary,
                _LENGTH.pack(len(identity.secondary)),
                identity.secondary,
            )
        )
        parts += (_ITEM.pack(_USER_IDENTITY, len(content)), content)
    if user.identity_response is not None:
        response = user.identity_response
        parts += (
            _ITEM.pack(_IDENTITY_RESPONSE, len(response) + 2),
            _LENGTH.pack(len(response)),
            response,
        )
    for kind, content in user.unknown:
        parts += (_ITEM.pack(kind, len(content)), content)
    return b"".join(parts)


def _field(uid: str) -> bytes:
    content = uid.encode("latin-1")
    return _LENGTH.pack(len(content)) + content
