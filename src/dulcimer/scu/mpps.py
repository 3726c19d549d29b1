"""A client of Modality Performed Procedure Step (PS3.4 Annex F).

::

    association = ae.associate(host, port, contexts=contexts())
    step = Mpps.create(association, attributes)
    step.complete(series=[...])
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dulcimer.errors import Refused
from dulcimer.identity import UID_PREFIX
from dulcimer.presentation import build_context
from dulcimer.scu.answers import accepted, context_of, illegal
from dulcimer.scu.errors import IllegalStep
from dulcimer.services import mpps as rules
from dulcimer.services.rules.completing import complete
from dulcimer.services.rules.tables import Table, table_for

if TYPE_CHECKING:
    from dulcimer.association import Association
    from dulcimer.presentation import PresentationContext
    from dulcimer.services.rules import Level

_STEP = rules.MODALITY_PERFORMED_PROCEDURE_STEP
_RETRIEVE = rules.MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE
_SERIES = 0x0040_0340


def contexts() -> list[PresentationContext]:
    """Return the presentation contexts to propose for steps."""
    return [build_context(_STEP), build_context(_RETRIEVE)]


class Mpps:
    """A performed procedure step at a peer.

    Attributes
    ----------
    uid
        Its SOP Instance UID.
    step
        Its attributes as far as they are known here: what was sent, or what the peer gave.
    status
        The last status that the peer answered, Success or a warning.

    Parameters
    ----------
    association
        An association with the peer.
    uid
        The SOP Instance UID of a step that exists.
    step
        Its attributes; without them the state is not known until :meth:`get`.
    level
        How strictly is checked what is to be sent.
    """

    def __init__(
        self, association: Association, uid: str, step: Dataset | None = None, *, level: Level = "standard"
    ) -> None:
        self.uid = uid
        self.step = step
        self.status = 0x0000
        self._association = association
        self._level: Level = level

    @classmethod
    def create(
        cls,
        association: Association,
        attributes: Dataset,
        *,
        uid: str | None = None,
        level: Level = "standard",
    ) -> Mpps:
        """Create a step, IN PROGRESS (N-CREATE).

        Attributes that have to be there and may be empty are added without a value; so is the reason for a
        discontinuation, which could not be set later otherwise (F.7.2.1.1). Start date and time are now
        unless given.

        Raises
        ------
        IllegalStep
            The attributes are not those of a new step; nothing was sent.
        Refusal
            The peer refuses it.
        """
        now = datetime.now()
        step = deepcopy(attributes)
        defaults = {
            "PerformedProcedureStepStatus": rules.IN_PROGRESS,
            "PerformedProcedureStepStartDate": now.strftime("%Y%m%d"),
            "PerformedProcedureStepStartTime": now.strftime("%H%M%S"),
            "PerformedStationAETitle": association.ae.ae_title,
        }
        for keyword, value in defaults.items():
            if not step.get(keyword):
                setattr(step, keyword, value)
        if "PerformedProcedureStepDiscontinuationReasonCodeSequence" not in step:
            step.PerformedProcedureStepDiscontinuationReasonCodeSequence = []
        complete(step, _table("N-CREATE").rows)
        instance = uid or str(generate_uid(prefix=UID_PREFIX))
        try:
            rules.create(step, instance, level=level)
        except Refused as refused:
            raise illegal(refused) from None
        status, values = association.send_n_create(step, _STEP, instance)
        code = accepted(association, _STEP, "N-CREATE", status, values)
        made = cls(association, instance, step, level=level)
        made.status = code
        return made

    @property
    def state(self) -> str:
        """Performed Procedure Step Status, ``""`` if it is not known."""
        return "" if self.step is None else rules.status_of(self.step)

    def update(self, change: Dataset) -> None:
        """Change attributes (N-SET); a sequence is replaced as a whole.

        Raises
        ------
        IllegalStep
            The step is final, or the attributes may not be set; nothing was sent.
        Refusal
            The peer refuses it.
        """
        after = None
        if self.step is not None:
            try:
                after = rules.modify(self.step, change, instance_uid=self.uid, level=self._level).dataset
            except Refused as refused:
                raise illegal(refused) from None
        status, values = self._association.send_n_set(change, _STEP, self.uid)
        self.status = accepted(self._association, _STEP, "N-SET", status, values)
        if after is not None:
            self.step = after

    def complete(self, series: Sequence[Dataset] = (), change: Dataset | None = None) -> None:
        """End the step as COMPLETED (N-SET).

        Parameters
        ----------
        series
            Items of the Performed Series Sequence, unless an update has set them. What they have to have and
            lack is added without a value.
        change
            Other attributes. The end is now unless they say when it was.
        """
        self.update(self._final(rules.COMPLETED, series, change))

    def discontinue(
        self, reason: Dataset | None = None, series: Sequence[Dataset] = (), change: Dataset | None = None
    ) -> None:
        """End the step as DISCONTINUED (N-SET).

        Parameters
        ----------
        reason
            A coded reason, as an item of a code sequence (CID 9300).
        series, change
            As for :meth:`complete`. A series is demanded even where no image was made (F.7.2-1).
        """
        final = self._final(rules.DISCONTINUED, series, change)
        if reason is not None:
            final.PerformedProcedureStepDiscontinuationReasonCodeSequence = [reason]
        self.update(final)

    def get(self, *keywords: str) -> Dataset:
        """Return attributes of the step as the peer has them (N-GET); all of them by default."""
        from pydicom.datadict import tag_for_keyword

        tags = []
        for keyword in keywords:
            tag = tag_for_keyword(keyword)
            if tag is None:
                raise IllegalStep(f"there is no attribute {keyword!r}")
            tags.append(tag)
        context = context_of(self._association, (_RETRIEVE,))
        status, found = self._association.send_n_get(tags, context, self.uid)
        self.status = accepted(self._association, _RETRIEVE, "N-GET", status, found)
        found = found if found is not None else Dataset()
        if not keywords:
            self.step = found
        return found

    def _final(self, state: str, series: Sequence[Dataset], change: Dataset | None) -> Dataset:
        if self.state in rules.FINAL_STATES:
            raise IllegalStep(f"the step is {self.state} already")
        now = datetime.now()
        final = deepcopy(change) if change is not None else Dataset()
        final.PerformedProcedureStepStatus = state
        known = self.step if self.step is not None else Dataset()
        for keyword, value in (
            ("PerformedProcedureStepEndDate", now.strftime("%Y%m%d")),
            ("PerformedProcedureStepEndTime", now.strftime("%H%M%S")),
        ):
            if not final.get(keyword) and not known.get(keyword):
                setattr(final, keyword, value)
        if series:
            final.PerformedSeriesSequence = [deepcopy(item) for item in series]
        for item in final.get("PerformedSeriesSequence") or ():
            complete(item, _table("N-CREATE").rows[_SERIES].rows)
        return final


def _table(operation: str) -> Table:
    table = table_for(_STEP, operation)
    assert table is not None
    return table
