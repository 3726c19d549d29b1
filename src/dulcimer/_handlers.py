"""What handlers look like: one documented example for each kind of event.

Bind a function of your own with the same parameters; these are here to be read. Each takes the
:class:`~dulcimer.events.Event`, and the further arguments that it was bound with. Of a notification the
answer is ignored. An intervention needs it: the examples give the shortest answer that is valid.

A status is an ``int``, or a data set with *Status* (0000,0900) and the elements that go with it. A handler
may raise :class:`~dulcimer.errors.Refused` instead of giving a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

    from dulcimer.events import Event
    from dulcimer.pdu_primitives import SOPClassCommonExtendedNegotiation

    StatusType = int | Dataset
    Answer = tuple[StatusType, Dataset | None]


def doc_handle_echo(event: Event, *args: Any) -> StatusType:
    """Handle ``evt.EVT_C_ECHO``; without a handler the answer is 0000H (PS3.4 A.4)."""
    return 0x0000


def doc_handle_store(event: Event, *args: Any) -> StatusType:
    """Handle ``evt.EVT_C_STORE``; without a handler the answer is C211H (PS3.4 B.2.3).

    ``event.dataset`` is decoded when it is asked for; ``event.encoded_dataset()`` gives the bytes as they
    came, as a Part 10 file unless told otherwise, ``event.file_meta`` its File Meta Information. A data set
    that went to a file is at ``event.dataset_path``.
    """
    return 0x0000


def doc_handle_find(event: Event, *args: Any) -> Iterator[tuple[StatusType, Dataset | None]]:
    """Handle ``evt.EVT_C_FIND``; without a handler the answer is C311H (PS3.4 C.4.1).

    Yields a pending status (FF00H or FF01H) with an identifier for each match. The end of the handler is
    answered with success. ``event.identifier`` has the keys; ``event.is_cancelled`` tells of a C-CANCEL.
    """
    yield 0x0000, None


def doc_handle_c_get(event: Event, *args: Any) -> Iterator[int | tuple[StatusType, Dataset | None]]:
    """Handle ``evt.EVT_C_GET``; without a handler the answer is C411H (PS3.4 C.4.3).

    Yields the number of C-STORE sub-operations, then a pending status (FF00H) with a data set to store for
    each. ``event.identifier`` has the keys; ``event.is_cancelled`` tells of a C-CANCEL.
    """
    yield 0


def doc_handle_move(
    event: Event, *args: Any
) -> Iterator[tuple[str | None, int | None] | tuple[str, int, dict[str, Any]] | int | Answer]:
    """Handle ``evt.EVT_C_MOVE``; without a handler the answer is C511H (PS3.4 C.4.2).

    Yields the address and port of ``event.move_destination``, perhaps with keyword arguments for
    :meth:`AE.associate <dulcimer.AE.associate>`, or (None, None) if it is not known; then the number of
    C-STORE sub-operations; then a pending status (FF00H) with a data set to store for each.
    """
    yield None, None


def doc_handle_action(event: Event, *args: Any) -> Answer:
    """Handle ``evt.EVT_N_ACTION``; without a handler the answer is 0110H (PS3.7 10.1.4).

    ``event.action_type`` and ``event.action_information`` say what is asked for. Returns a status and the
    Action Reply, or None.
    """
    return 0x0000, None


def doc_handle_create(event: Event, *args: Any) -> Answer:
    """Handle ``evt.EVT_N_CREATE``; without a handler the answer is 0110H (PS3.7 10.1.5).

    ``event.attribute_list`` has the attributes. Returns a status and the attribute list of the new instance;
    if the request names no instance that list has to have an *Affected SOP Instance UID* (0000,1000).
    """
    return 0x0110, None


def doc_handle_delete(event: Event, *args: Any) -> StatusType:
    """Handle ``evt.EVT_N_DELETE``; without a handler the answer is 0110H (PS3.7 10.1.6)."""
    return 0x0000


def doc_handle_event_report(event: Event, *args: Any) -> Answer:
    """Handle ``evt.EVT_N_EVENT_REPORT``; without a handler the answer is 0110H (PS3.7 10.1.1).

    ``event.event_type`` and ``event.event_information`` say what happened. Returns a status and the Event
    Reply, or None.
    """
    return 0x0000, None


def doc_handle_n_get(event: Event, *args: Any) -> Answer:
    """Handle ``evt.EVT_N_GET``; without a handler the answer is 0110H (PS3.7 10.1.2).

    ``event.attribute_identifiers`` has the tags that are asked for, none for all. Returns a status and the
    attribute list.
    """
    return 0x0000, None


def doc_handle_set(event: Event, *args: Any) -> Answer:
    """Handle ``evt.EVT_N_SET``; without a handler the answer is 0110H (PS3.7 10.1.3).

    ``event.modification_list`` has the changes. Returns a status and the attribute list, or None.
    """
    return 0x0000, None


def doc_handle_async(event: Event, *args: Any) -> tuple[int, int]:
    """Handle ``evt.EVT_ASYNC_OPS``; without a handler no window is negotiated (PS3.7 D.3.3.3).

    ``event.nr_invoked`` and ``event.nr_performed`` are what the requestor proposes. Whatever is returned, the
    answer is one of each: requests are performed one after the other.
    """
    return 1, 1


def doc_handle_sop_common(event: Event, *args: Any) -> dict[UID, SOPClassCommonExtendedNegotiation]:
    """Handle ``evt.EVT_SOP_COMMON``; without a handler no item is taken (PS3.7 D.3.3.6).

    ``event.items`` has the requestor's items by SOP class. Returns those that are taken; they are not
    answered.
    """
    return {}


def doc_handle_sop_extended(event: Event, *args: Any) -> dict[UID, bytes]:
    """Handle ``evt.EVT_SOP_EXTENDED``; without a handler no item is answered (PS3.7 D.3.3.5).

    ``event.app_info`` has the Service Class Application Information by SOP class. Returns that of the answer.
    """
    return {}


def doc_handle_userid(event: Event, *args: Any) -> tuple[bool, bytes | None]:
    """Handle ``evt.EVT_USER_ID``; without a handler every user is accepted (PS3.7 D.3.3.7).

    ``event.user_id_type`` is 1 to 5, ``event.primary_field`` the user name, ticket, assertion or token,
    ``event.secondary_field`` the passcode of type 2. Returns whether the user is verified, and of types 3 to
    5 the server's response. Who is not verified is rejected.
    """
    return False, None


def doc_handle_acse(event: Event, *args: Any) -> None:
    """Handle ``evt.EVT_ACSE_RECV`` or ``evt.EVT_ACSE_SENT``: ``event.primitive`` is what passed."""


def doc_handle_assoc(event: Event, *args: Any) -> None:
    """Handle how an association goes; ``event.assoc`` is the association.

    ``evt.EVT_REQUESTED``, ``evt.EVT_ACCEPTED`` and ``evt.EVT_ESTABLISHED``, or ``evt.EVT_REJECTED``; then
    ``evt.EVT_RELEASED`` or ``evt.EVT_ABORTED``.
    """


def doc_handle_dimse(event: Event, *args: Any) -> None:
    """Handle ``evt.EVT_DIMSE_RECV`` or ``evt.EVT_DIMSE_SENT``: ``event.message`` is the message."""


def doc_handle_data(event: Event, *args: Any) -> None:
    """Handle ``evt.EVT_DATA_RECV`` or ``evt.EVT_DATA_SENT``: ``event.data`` has the bytes of a PDU."""


def doc_handle_fsm(event: Event, *args: Any) -> None:
    """Handle ``evt.EVT_FSM_TRANSITION`` (PS3.8 9.2).

    ``event.current_state``, ``event.fsm_event``, ``event.action`` and ``event.next_state`` are names of PS3.8
    Table 9-10, such as ``"Sta6"``, ``"Evt9"`` and ``"DT-1"``.
    """


def doc_handle_pdu(event: Event, *args: Any) -> None:
    """Handle ``evt.EVT_PDU_RECV`` or ``evt.EVT_PDU_SENT``: ``event.pdu`` is the PDU."""


def doc_handle_transport(event: Event, *args: Any) -> None:
    """Handle ``evt.EVT_CONN_OPEN`` or ``evt.EVT_CONN_CLOSE``: ``event.address`` is that of the peer."""
