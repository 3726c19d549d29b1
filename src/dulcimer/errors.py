"""Every exception that the package raises.

    DulcimerError
    ├─ ProtocolError                   carries the A-ABORT that answers it
    │  ├─ LocalProtocolError           the caller asked for what the state forbids (RuntimeError)
    │  └─ RemoteProtocolError          the peer broke the protocol
    │     ├─ UnrecognizedPDU
    │     ├─ UnexpectedPDU
    │     ├─ UnrecognizedParameter
    │     ├─ UnexpectedParameter
    │     └─ InvalidParameter
    ├─ AssociationError                the association failed or ended; `.failure` says how
    │  ├─ ConnectFailed
    │  ├─ AssociationRejected
    │  ├─ AssociationAborted
    │  ├─ ConnectionLost
    │  └─ AssociationTimeout           (TimeoutError)
    ├─ NoPresentationContext           nothing negotiated carries this request (ValueError)
    └─ Refused                         a handler raises it to answer a failure status

The core never raises for what the *peer* did: it records the failure, queues an A-ABORT and lets the
conversation that waits for an answer raise an :class:`AssociationError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom.dataset import Dataset

    from dulcimer.failure import Failure


class DulcimerError(Exception):
    """Base of everything that the package raises on its own account."""


class ProtocolError(DulcimerError):
    """A breach of PS3.7 or PS3.8, with the A-ABORT source and reason that answer it (PS3.8 9.3.8)."""

    abort_source: ClassVar[int] = 2
    abort_reason: ClassVar[int] = 0


class LocalProtocolError(ProtocolError, RuntimeError):
    """The local user asked for something that the association's state does not allow."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that the protocol does not allow."""


class UnrecognizedPDU(RemoteProtocolError):
    """A PDU of a type that PS3.8 does not define."""

    abort_reason = 1


class UnexpectedPDU(RemoteProtocolError):
    """A PDU that the present state does not allow."""

    abort_reason = 2


class UnrecognizedParameter(RemoteProtocolError):
    """A PDU parameter that is not recognised where it must be."""

    abort_reason = 4


class UnexpectedParameter(RemoteProtocolError):
    """A PDU parameter where none such may be."""

    abort_reason = 5


class InvalidParameter(RemoteProtocolError):
    """A PDU parameter with an invalid value: lengths that do not add up, a length beyond the maximum."""

    abort_reason = 6


class AssociationError(DulcimerError):
    """The association failed or ended before the request was answered."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class ConnectFailed(AssociationError):
    """No transport connection to the peer (name, network, refusal, TLS)."""


class AssociationRejected(AssociationError):
    """The peer answered A-ASSOCIATE-RJ (PS3.8 9.3.4)."""


class AssociationAborted(AssociationError):
    """One of the sides sent A-ABORT (PS3.8 9.3.8)."""


class ConnectionLost(AssociationError):
    """The transport connection closed without a release or an abort."""


class AssociationTimeout(AssociationError, TimeoutError):
    """The peer did not answer in time; ``failure.timeout`` names which timeout."""


class NoPresentationContext(DulcimerError, ValueError):
    """No accepted presentation context carries the request in the role needed (PS3.8 7.1.1.13)."""


class Refused(DulcimerError):
    """Raised by a handler to answer a request with a failure or warning status.

    Parameters
    ----------
    status
        The status code, for example ``0x0112``.
    comment
        Error Comment (0000,0902), at most 64 characters travel.
    error_id
        Error ID (0000,0903).
    attributes
        Tags for the Attribute Identifier List (0000,1005).
    offending
        Tags for Offending Element (0000,0901).
    values
        A data set that goes with the answer: the attributes at fault with their values (0106H, 0121H;
        PS3.7 C.5.11 and C.5.19).
    """

    def __init__(
        self,
        status: int,
        comment: str | None = None,
        *,
        error_id: int | None = None,
        attributes: Sequence[int] = (),
        offending: Sequence[int] = (),
        values: Dataset | None = None,
    ) -> None:
        super().__init__(comment or f"refused with status 0x{status:04X}")
        self.status = status
        self.comment = comment
        self.error_id = error_id
        self.attributes = tuple(attributes)
        self.offending = tuple(offending)
        self.values = values
