"""What a peer's answer is for a client: a status that is no failure, or an exception."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dulcimer.errors import NoPresentationContext, Refused
from dulcimer.scu.errors import IllegalStep, Refusal, unanswered
from dulcimer.services.statuses import FAILURE
from dulcimer.status import code_to_category

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.association import Association


def accepted(
    association: Association, class_uid: str, operation: str, status: Dataset, values: Dataset | None = None
) -> int:
    """Return the status of an answer: Success or a warning.

    Raises
    ------
    Refusal
        The peer answered with a failure.
    AssociationError
        The association ended before the answer came.
    """
    if "Status" not in status:
        raise unanswered(association)
    if code_to_category(int(status.Status)) == FAILURE:
        raise Refusal.of(class_uid, operation, status, values)
    return int(status.Status)


def context_of(association: Association, class_uids: Iterable[str]) -> str:
    """Return the first of some SOP classes that the peer has accepted us as the SCU of.

    Raises
    ------
    NoPresentationContext
        None of them.
    """
    wanted = list(class_uids)
    known = {str(each.abstract_syntax) for each in association.accepted_contexts if each.as_scu}
    for class_uid in wanted:
        if class_uid in known:
            return class_uid
    raise NoPresentationContext(f"the peer has accepted none of {', '.join(wanted)}")


def illegal(refused: Refused) -> IllegalStep:
    """Return what is raised for a step that the rules refuse before it is sent."""
    return IllegalStep(f"{refused} (the peer would answer {refused.status:04X})")
