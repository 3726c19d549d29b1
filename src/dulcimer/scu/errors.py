"""What the client objects raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.datadict import keyword_for_tag

from dulcimer.errors import AssociationError, DulcimerError
from dulcimer.failure import Failure, FailureKind, Party
from dulcimer.services.registry import service_for

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dulcimer.association import Association


class IllegalStep(DulcimerError, ValueError):
    """A step that the Standard does not allow here: nothing was sent."""


class Refusal(DulcimerError):
    """The peer answered a request with a failure status.

    Parameters
    ----------
    status
        The status code.
    meaning
        What it means, in words.
    comment
        Error Comment (0000,0902), empty if there is none.
    operation
        What was asked for.
    error_id
        Error ID (0000,0903).
    attributes
        The tags of the Attribute Identifier List (0000,1005).
    values
        The data set that came with the answer: attributes at fault.
    """

    def __init__(
        self,
        status: int,
        meaning: str,
        comment: str = "",
        *,
        operation: str = "",
        error_id: int | None = None,
        attributes: tuple[int, ...] = (),
        values: Dataset | None = None,
    ) -> None:
        self.status = status
        self.meaning = meaning
        self.comment = comment
        self.operation = operation
        self.error_id = error_id
        self.attributes = attributes
        self.values = values
        super().__init__(self._words())

    def _words(self) -> str:
        what = f"{self.operation}: " if self.operation else ""
        parts = [f"{what}{self.status:04X} {self.meaning}".strip()]
        if self.comment:
            parts.append(self.comment)
        if self.error_id is not None:
            parts.append(f"Error ID {self.error_id:04X}")
        if self.attributes:
            parts.append(", ".join(keyword_for_tag(tag) or f"{tag:08X}" for tag in self.attributes))
        if self.values:
            parts.append(", ".join(element.keyword or str(element.tag) for element in self.values))
        return "; ".join(parts)

    @classmethod
    def of(cls, class_uid: str, operation: str, status: Dataset, values: Dataset | None = None) -> Refusal:
        """Make it of an answer.

        Parameters
        ----------
        class_uid
            The SOP class that the request named.
        operation
            What was asked for.
        status, values
            The answer, as the methods ``send_n_*`` of an association return it.
        """
        code = int(status.Status)
        tags = status.get("AttributeIdentifierList")
        error_id = status.get("ErrorID")
        return cls(
            code,
            meaning_of(class_uid, code),
            str(status.get("ErrorComment") or ""),
            operation=operation,
            error_id=None if error_id is None else int(error_id),
            attributes=() if tags is None else tuple([tags] if isinstance(tags, int) else tags),
            values=values,
        )


def meaning_of(class_uid: str, code: int) -> str:
    """Return what a status of a SOP class means, in words."""
    service = service_for(class_uid)
    return "" if service is None else service.statuses.get(code, ("", ""))[1]


def unanswered(association: Association) -> AssociationError:
    """Return what is raised where an association ended before the answer came."""
    failure = association.failure
    if failure is None:
        failure = Failure(FailureKind.LOST, Party.PEER, "the association ended before the answer came")
    return AssociationError(failure)
