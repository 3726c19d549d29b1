"""The C-MOVE SCP as SCU of its sub-operations: the association with the move destination (PS3.4 C.4.2.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dulcimer.protocol.dimse import elements as e

if TYPE_CHECKING:
    from dulcimer.association import Association
    from dulcimer.association_base import AssociationBase
    from dulcimer.ops.streams import Instance
    from dulcimer.protocol.dimse.commands import Value


class Destination:
    """An association with a move destination."""

    def __init__(self, association: Association) -> None:
        self._association = association

    def store(self, instance: Instance, msg_id: int, originator_aet: str, originator_id: int) -> int | None:
        """Store an instance; return the status, None if there was no answer."""
        status = self._association.send_c_store(
            instance, msg_id=msg_id, originator_aet=originator_aet, originator_id=originator_id
        )
        value: int | None = status.get("Status")
        return value

    def close(self) -> None:
        """Release the association."""
        self._association.release()


class Move:
    """A C-MOVE that a handler answers.

    Parameters
    ----------
    association
        The association that it was requested on.
    command
        Its command set.
    yielded
        What the handler returned: an iterator of the destination, the number of sub-operations and the
        instances.
    """

    def __init__(self, association: AssociationBase, command: Mapping[int, Value], yielded: Any) -> None:
        self._ae = association.ae
        self._destination = str(command.get(e.MOVE_DESTINATION) or "")
        self.originator_aet = association.requestor.ae_title
        self.results: Iterator[Any] = yielded

    def arguments(self, where: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Return the address, the port and the further arguments of the association."""
        address, port, *more = where
        return address, port, {"ae_title": self._destination, **(more[0] if more and more[0] else {})}

    def connect(self, where: Any) -> Destination | None:
        """Open an association with ``(address, port)`` or ``(address, port, arguments of AE.associate)``."""
        address, port, arguments = self.arguments(where)
        association = self._ae.associate(address, port, **arguments)
        return Destination(association) if association.is_established else None
