"""The C-MOVE SCP as SCU of its sub-operations, on asyncio (PS3.4 C.4.2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dulcimer.errors import AssociationError
from dulcimer.moving import Move

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from dulcimer.aio.association import AsyncAssociation
    from dulcimer.ops.streams import Instance
    from dulcimer.protocol.dimse.commands import Value


class AsyncDestination:
    """An association with a move destination."""

    def __init__(self, association: AsyncAssociation) -> None:
        self._association = association

    async def store(
        self, instance: Instance, msg_id: int, originator_aet: str, originator_id: int
    ) -> int | None:
        """Store an instance; return the status, None if there was no answer."""
        status = await self._association.send_c_store(
            instance, msg_id=msg_id, originator_aet=originator_aet, originator_id=originator_id
        )
        value: int | None = status.get("Status")
        return value

    async def aclose(self) -> None:
        """Release the association."""
        await self._association.release()


class AsyncMove(Move):
    """A C-MOVE that a handler answers; see :class:`~dulcimer.moving.Move`.

    Parameters
    ----------
    opening
        Opens an association, given the address, the port and further arguments.
    """

    def __init__(
        self,
        association: AsyncAssociation,
        command: Mapping[int, Value],
        yielded: Any,
        opening: Callable[..., Awaitable[AsyncAssociation]],
    ) -> None:
        super().__init__(association, command, yielded)
        self._opening = opening

    async def connect(self, where: Any) -> AsyncDestination | None:  # type: ignore[override]
        """Open an association with what the handler yielded first."""
        address, port, arguments = self.arguments(where)
        try:
            return AsyncDestination(await self._opening(address, port, **arguments))
        except AssociationError:
            return None
