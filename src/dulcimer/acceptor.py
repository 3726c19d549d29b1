"""Whether an association request is accepted, and with what (PS3.8 7.1, PS3.7 Annex D)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pydicom.uid import UID

from dulcimer import events as evt
from dulcimer.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from dulcimer.protocol.association.negotiate import Supported, as_acceptor
from dulcimer.protocol.wire.pdus import (
    APPLICATION_CONTEXT,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    ProposedContext,
)
from dulcimer.services.registry import is_other_than_storage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dulcimer.association import Association
    from dulcimer.ops.lifecycle import Decision
    from dulcimer.presentation import PresentationContext

_LOGGER = logging.getLogger("dulcimer.acceptor")

CALLING_AE_TITLE_NOT_RECOGNIZED: Final = AssociateRJ(1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED: Final = AssociateRJ(1, 1, 7)
APPLICATION_CONTEXT_NOT_SUPPORTED: Final = AssociateRJ(1, 1, 2)
USER_NOT_VERIFIED: Final = AssociateRJ(2, 2, 1)
LOCAL_LIMIT_EXCEEDED: Final = AssociateRJ(2, 3, 2)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a server accepts.

    Attributes
    ----------
    supported
        Transfer syntaxes and roles by abstract syntax.
    unrestricted_storage
        Whether every abstract syntax that is not known to be something else is taken as a storage SOP class,
        in any transfer syntax.
    requestor_order
        Whether the first supported transfer syntax of the requestor is chosen, rather than the first one of
        ours that was proposed.
    """

    supported: Mapping[str, Supported]
    unrestricted_storage: bool = False
    requestor_order: bool = False


def supported(contexts: Iterable[PresentationContext]) -> dict[str, Supported]:
    """Return contexts as the table that the negotiation uses."""
    return {
        str(context.abstract_syntax): Supported(
            tuple(map(str, context.transfer_syntax)), context.scu_role, context.scp_role
        )
        for context in contexts
    }


def decide(assoc: Association, policy: Policy, request: AssociateRQ) -> Decision:
    """Decide on an association request.

    Returns None if a handler has ended the association meanwhile.
    """
    ae = assoc.ae
    rejection = _rejection(assoc, request)
    items = assoc.acceptor
    if rejection is None and request.user.user_identity is not None:
        verified, response = _user_identity(assoc)
        if not verified:
            rejection = USER_NOT_VERIFIED
        elif response is not None:
            items.add_negotiation_item(response)
    if rejection is None and ae.limit_exceeded(assoc):
        rejection = LOCAL_LIMIT_EXCEEDED
    if rejection is not None:
        return rejection
    user = request.user
    if user.extended:
        for item in _extended(assoc):
            items.add_negotiation_item(item)
    if user.common_extended:
        _common(assoc)
    if user.async_operations is not None and (
        user.async_operations.invoked,
        user.async_operations.performed,
    ) != (1, 1):
        window = _window(assoc)
        if window is not None:
            items.add_negotiation_item(window)
    fallback = _any_storage if policy.unrestricted_storage else None
    negotiated = as_acceptor(
        request, policy.supported, fallback=fallback, requestor_order=policy.requestor_order
    )
    information = items.to_wire()
    if negotiated.roles:
        information = replace(information, roles=negotiated.roles)
    answer = AssociateAC(request.called, request.calling, negotiated.results, information)
    items.negotiated(answer)
    return answer, negotiated.contexts


def _rejection(assoc: Association, request: AssociateRQ) -> AssociateRJ | None:
    ae = assoc.ae
    rejection = None
    if ae.require_calling_aet:
        allowed = [title.strip() for title in ae.require_calling_aet]
        if request.calling not in allowed:
            rejection = CALLING_AE_TITLE_NOT_RECOGNIZED
    if ae.require_called_aet and request.called != assoc.acceptor.ae_title.strip():
        rejection = CALLED_AE_TITLE_NOT_RECOGNIZED
    if request.application_context not in ("", APPLICATION_CONTEXT):
        rejection = APPLICATION_CONTEXT_NOT_SUPPORTED
    return rejection


def _any_storage(proposed: ProposedContext) -> str | None:
    if not proposed.abstract_syntax or is_other_than_storage(proposed.abstract_syntax):
        return None
    return next(iter(proposed.transfer_syntaxes), None)


def _user_identity(assoc: Association) -> tuple[bool, UserIdentityNegotiation | None]:
    if assoc.bound(evt.EVT_USER_ID) is None:
        return True, None
    identity = assoc.requestor.user_identity
    if identity is None:
        # Of a type that PS3.7 D.3.3.7 does not define: nobody can verify it.
        return False, None
    attributes = {
        "user_id_type": identity.user_identity_type,
        "primary_field": identity.primary_field,
        "secondary_field": identity.secondary_field or None,
    }
    try:
        verified, response = evt.trigger(assoc, evt.EVT_USER_ID, attributes) or (False, None)
    except Exception:
        _LOGGER.exception("The handler bound to 'evt.EVT_USER_ID' raised")
        return False, None
    if not verified or not identity.positive_response_requested:
        return bool(verified), None
    try:
        item = UserIdentityNegotiation()
        # Types 1 and 2 have an empty response (PS3.7 D.3.3.7.2).
        item.server_response = (response or b"") if identity.user_identity_type in (3, 4, 5) else b""
    except TypeError:
        _LOGGER.error("The handler bound to 'evt.EVT_USER_ID' gave a response that is not bytes")
        return True, None
    return True, item


def _extended(assoc: Association) -> list[SOPClassExtendedNegotiation]:
    try:
        answers = evt.trigger(assoc, evt.EVT_SOP_EXTENDED, {"app_info": assoc.requestor.sop_class_extended})
        items = []
        for uid, information in dict(answers or {}).items():
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid = UID(uid)
            item.service_class_application_information = information
            items.append(item)
    except Exception:
        _LOGGER.exception("The handler bound to 'evt.EVT_SOP_EXTENDED' raised")
        return []
    return items


def _common(assoc: Association) -> None:
    try:
        taken = evt.trigger(assoc, evt.EVT_SOP_COMMON, {"items": assoc.requestor.sop_class_common_extended})
        assoc.acceptor.accept_common_extended(dict(taken or {}))
    except Exception:
        _LOGGER.exception("The handler bound to 'evt.EVT_SOP_COMMON' raised")


def _window(assoc: Association) -> AsynchronousOperationsWindowNegotiation | None:
    if assoc.bound(evt.EVT_ASYNC_OPS) is None:
        return None
    invoked, performed = assoc.requestor.asynchronous_operations
    try:
        evt.trigger(assoc, evt.EVT_ASYNC_OPS, {"nr_invoked": invoked, "nr_performed": performed})
    except Exception:
        _LOGGER.exception("The handler bound to 'evt.EVT_ASYNC_OPS' raised")
        return None
    # Requests are performed one after the other, whatever the handler says.
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = 1
    item.maximum_number_operations_performed = 1
    return item
