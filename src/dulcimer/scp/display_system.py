"""A ready SCP of Display System (PS3.4 Annex EE)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Final

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from dulcimer.errors import Refused
from dulcimer.scp.service import Service
from dulcimer.services.rules.tables import Demand, table_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dulcimer.events import Event

DISPLAY_SYSTEM: Final = "1.2.840.10008.5.1.1.40"
DISPLAY_SYSTEM_INSTANCE: Final = "1.2.840.10008.5.1.1.40.1"
_NO_SUCH_INSTANCE: Final = 0x0112
_ATTRIBUTE_LIST_ERROR: Final = 0x0107


class DisplaySystemService(Service):
    """Describes the display system that it stands for.

    An attribute that Table EE.2.2.1-1 has and the description has not is answered without a value where its
    type is 2. What is in neither is skipped and named in the answer, which is the warning 0107H then.

    Parameters
    ----------
    description
        The attributes of the display system, or a function that returns them as they are now.
    """

    contexts = (DISPLAY_SYSTEM,)
    sop_classes = frozenset({DISPLAY_SYSTEM})
    noun = "display system"

    def __init__(self, description: Dataset | Callable[[], Dataset]) -> None:
        super().__init__()
        self._description = description

    def n_get(self, event: Event) -> tuple[int | Dataset, Dataset]:
        """Give attributes of the one instance (EE.2.2)."""
        if str(event.request.RequestedSOPInstanceUID) != DISPLAY_SYSTEM_INSTANCE:
            raise Refused(_NO_SUCH_INSTANCE, "There is one well-known display system instance")
        described = self._description if isinstance(self._description, Dataset) else self._description()
        table = table_for(DISPLAY_SYSTEM, "N-GET")
        assert table is not None
        wanted: Sequence[int] = event.attribute_identifiers or []
        answer, unknown = Dataset(), []
        for tag in wanted or [*table.rows, *(int(tag) for tag in described.keys())]:  # noqa: SIM118
            row = table.rows.get(int(tag))
            if tag in described:
                answer[tag] = deepcopy(described[tag])
            elif row is None:
                unknown.append(int(tag))
            elif row.scp.demand is Demand.PRESENCE:
                answer.add_new(tag, dictionary_VR(tag), None)
            elif wanted:
                unknown.append(int(tag))
        if "SpecificCharacterSet" in described:
            answer["SpecificCharacterSet"] = described["SpecificCharacterSet"]
        if not unknown:
            return 0x0000, answer
        status = Dataset()
        status.Status = _ATTRIBUTE_LIST_ERROR
        status.AttributeIdentifierList = unknown
        return status, answer
