"""Whether an association request is accepted, and with what (PS3.8 7.1, PS3.7 Annex D)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pydicom.uid import UID

from dulcimer import events as evt
from dulcimer.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from dulcimer.protocol.association.negotiate import (
    Choose,
    Supported,
    acceptor_order,
    as_acceptor,
    requestor_order,
)
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

    from dulcimer._config import Settings, Validator
    from dulcimer.association_base import AssociationBase
    from dulcimer.ops.lifecycle import Decision
    from dulcimer.presentation import PresentationContext

_LOGGER = logging.getLogger("dulcimer.acceptor")

CALLING_AE_TITLE_NOT_RECOGNIZED: Final = AssociateRJ(1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED: Final = AssociateRJ(1, 1, 7)
APPLICATION_CONTEXT_NOT_SUPPORTED: Final = AssociateRJ(1, 1, 2)
USER_NOT_VERIFIED: Final = AssociateRJ(2, 2, 1)
LOCAL_LIMIT_EXCEEDED: Final = AssociateRJ(2, 3, 2)

TransferSyntaxPolicy = str | Callable[[UID, list[UID], list[UID]], str | None]
"""``"acceptor"``, ``"requestor"``, or a function of the abstract syntax, the proposed and the supported
transfer syntaxes that returns one of the proposed ones, or None to reject the context."""

_LONGEST_NAME: Final = 16


@dataclass(frozen=True, slots=True)
class Policy:
    """What a server accepts.

    Attributes
    ----------
    supported
        Transfer syntaxes and roles by abstract syntax.
    any_storage
        Whether every abstract syntax that is not known to be something else is taken as a storage SOP class,
        in any transfer syntax; None leaves it to the settings.
    choose
        Chooses the transfer syntax.
    """

    supported: Mapping[str, Supported]
    any_storage: bool | None = None
    choose: Choose = acceptor_order


def supported(contexts: Iterable[PresentationContext]) -> dict[str, Supported]:
    """Return contexts as the table that the negotiation uses."""
    return {
        str(context.abstract_syntax): Supported(
            tuple(map(str, context.transfer_syntax)), context.scu_role, context.scp_role
        )
        for context in contexts
    }


def chooser(policy: TransferSyntaxPolicy) -> Choose:
    """Return what chooses transfer syntaxes for a server's ``ts_policy``.

    Raises
    ------
    ValueError
        If there is no such policy.
    """
    if policy == "acceptor":
        return acceptor_order
    if policy == "requestor":
        return requestor_order
    if isinstance(policy, str) or not callable(policy):
        message = "'ts_policy' must be 'acceptor', 'requestor' or a function"
        raise ValueError(message)  # noqa: TRY004 - also of a word that is none
    ask = policy

    def choose(abstract: str, proposed: tuple[str, ...], supported: tuple[str, ...]) -> str | None:
        try:
            chosen = ask(UID(abstract), [UID(uid) for uid in proposed], [UID(uid) for uid in supported])
        except Exception:
            _LOGGER.exception("The function given as 'ts_policy' raised: the acceptor's order is used")
            return acceptor_order(abstract, proposed, supported)
        return None if chosen is None else str(chosen)

    return choose


def readable(request: AssociateRQ, settings: Settings) -> AssociateRQ:
    """Return a request with its text as the codecs of the settings have it."""
    texts = request.called, request.calling, request.user.implementation_version_name
    if all(text is None or text.isascii() for text in texts):
        return request
    user = request.user
    if user.implementation_version_name is not None:
        user = replace(
            user, implementation_version_name=settings.text(user.implementation_version_name)[:_LONGEST_NAME]
        )
    return replace(
        request, called=settings.text(request.called), calling=settings.text(request.calling), user=user
    )


def decide(assoc: AssociationBase, policy: Policy, request: AssociateRQ, sent: AssociateRQ) -> Decision:
    """Decide on an association request.

    Returns None if a handler has ended the association meanwhile.

    Parameters
    ----------
    assoc
        The association.
    policy
        What is accepted.
    request
        The request with readable texts.
    sent
        The request as it came: its AE titles are repeated in the answer.
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
        items.negotiated(rejection)
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
    any_storage = policy.any_storage
    if any_storage is None:
        any_storage = assoc.settings.UNRESTRICTED_STORAGE_SERVICE
    offered = request
    if assoc.settings.screens_uids:
        validator = assoc.settings.VALIDATORS["UI"]
        offered = replace(request, contexts=tuple(_screened(validator, c) for c in request.contexts))
    negotiated = as_acceptor(
        offered,
        policy.supported,
        fallback=_any_storage if any_storage else None,
        choose=policy.choose,
        assume_roles=not ae.strict,
    )
    information = items.to_wire()
    if negotiated.roles:
        information = replace(information, roles=negotiated.roles)
    answer = AssociateAC(sent.called, sent.calling, negotiated.results, information)
    items.negotiated(answer)
    return answer, negotiated.contexts


def _rejection(assoc: AssociationBase, request: AssociateRQ) -> AssociateRJ | None:
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


def _screened(validator: Validator, proposed: ProposedContext) -> ProposedContext:
    """Return a context without an abstract syntax, which nothing supports, if that is no UID."""
    if validator(proposed.abstract_syntax)[0]:
        return proposed
    return replace(proposed, abstract_syntax="")


def _any_storage(proposed: ProposedContext) -> str | None:
    if not proposed.abstract_syntax or is_other_than_storage(proposed.abstract_syntax):
        return None
    return next(iter(proposed.transfer_syntaxes), None)


def _user_identity(assoc: AssociationBase) -> tuple[bool, UserIdentityNegotiation | None]:
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


def _extended(assoc: AssociationBase) -> list[SOPClassExtendedNegotiation]:
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


def _common(assoc: AssociationBase) -> None:
    try:
        taken = evt.trigger(assoc, evt.EVT_SOP_COMMON, {"items": assoc.requestor.sop_class_common_extended})
        assoc.acceptor.accept_common_extended(dict(taken or {}))
    except Exception:
        _LOGGER.exception("The handler bound to 'evt.EVT_SOP_COMMON' raised")


def _window(assoc: AssociationBase) -> AsynchronousOperationsWindowNegotiation | None:
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
