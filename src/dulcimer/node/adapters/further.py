"""The services of the node beside procedure steps and print, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset

from dulcimer.node.adapters.instances import SqlRepository
from dulcimer.scp.display_system import DisplaySystemService
from dulcimer.scp.event_logging import EventLoggingService
from dulcimer.scp.instance_availability import InstanceAvailabilityService
from dulcimer.scp.media_creation import MediaCreationService
from dulcimer.scp.rt_machine_verification import RTMachineVerificationService
from dulcimer.scp.storage_commitment import StorageCommitmentService
from dulcimer.services import media_creation

if TYPE_CHECKING:
    from pathlib import Path

    from dulcimer.node.adapters.database import Database
    from dulcimer.node.adapters.holdings import Holdings
    from dulcimer.scp.reports import Reporter
    from dulcimer.scp.service import Service
    from dulcimer.services.rules import Level

COMMITMENT: Final = "commitment"
VERIFICATION: Final = "verification"
NOTIFICATION: Final = "notification"
EVENT: Final = "event"
MEDIA: Final = "media"
"""The kinds of the instances that the services keep."""


class Further:
    """Storage Commitment, RT Machine Verification, Instance Availability, events, media, display system.

    Parameters
    ----------
    database
        Keeps their instances.
    holdings
        What the node holds.
    reporter
        Delivers their reports.
    aet
        From where what is committed can be retrieved.
    media
        The folder where media go.
    level
        How strictly requests are checked.
    display_system
        What the display system is; None if there is none.
    iso
        Whether media are written as ISO images too.
    """

    def __init__(
        self,
        database: Database,
        holdings: Holdings,
        reporter: Reporter,
        *,
        aet: str,
        media: Path,
        level: Level,
        display_system: Dataset | None = None,
        iso: bool = False,
    ) -> None:
        self._commitment = StorageCommitmentService(
            holdings.verdict,
            reporter,
            SqlRepository(database, COMMITMENT, lambda each: str(each.get("TransactionStatus", ""))),
            retrieve_aet=aet,
            level=level,
        )
        self._media = MediaCreationService(
            holdings.path,
            media,
            SqlRepository(database, MEDIA, media_creation.status_of),
            level=level,
            iso=iso,
        )
        self.services: list[Service] = [
            self._commitment,
            RTMachineVerificationService(
                holdings.dataset,
                reporter,
                SqlRepository(
                    database, VERIFICATION, lambda each: str(each.get("TreatmentVerificationStatus") or "")
                ),
                level=level,
            ),
            InstanceAvailabilityService(SqlRepository(database, NOTIFICATION), level=level),
            EventLoggingService(SqlRepository(database, EVENT), level=level),
            self._media,
        ]
        if display_system is not None:
            self.services.append(DisplaySystemService(display_system))

    def close(self) -> None:
        """End their threads; what is left to do is done after the next start."""
        self._commitment.close()
        self._media.close()
