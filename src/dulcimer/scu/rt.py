"""A client of RT Machine Verification, conventional and ion (PS3.4 Annex DD).

::

    association = ae.associate(host, port, contexts=contexts())
    with BeamVerification.create(association, plan_uid, patient_id) as verification:
        verification.set(general, machine)
        if verification.verify() != "VERIFIED":
            print(verification.failed())
"""

from __future__ import annotations

from copy import deepcopy
from threading import Condition
from typing import TYPE_CHECKING, Final, Self

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dulcimer import events as evt
from dulcimer.errors import DulcimerError
from dulcimer.identity import UID_PREFIX
from dulcimer.presentation import build_context
from dulcimer.scu.answers import accepted
from dulcimer.scu.errors import IllegalStep
from dulcimer.services import rt_machine_verification as rules
from dulcimer.services.rules import Findings, check
from dulcimer.services.rules.completing import complete
from dulcimer.services.rules.tables import Table, table_for

if TYPE_CHECKING:
    from types import TracebackType

    from dulcimer.association import Association
    from dulcimer.events import Event
    from dulcimer.presentation import PresentationContext

_SECONDS: Final = 30.0


def contexts(*, ion: bool | None = None) -> list[PresentationContext]:
    """Return the presentation contexts to propose; by default for both kinds of machines."""
    uids = {None: (rules.CONVENTIONAL, rules.ION), True: (rules.ION,), False: (rules.CONVENTIONAL,)}[ion]
    return [build_context(uid) for uid in uids]


class NotVerifiedYet(DulcimerError, TimeoutError):
    """The verifier has not said in time that it is done."""


class BeamVerification:
    """A session with a machine parameter verifier.

    Attributes
    ----------
    uid
        Its SOP Instance UID.
    sop_class_uid
        Its SOP class.
    status
        Treatment Verification Status, ``""`` before a verification.

    Parameters
    ----------
    association
        An association with the verifier.
    uid
        The SOP Instance UID of a session that exists.
    ion
        Whether it is one of an ion machine.
    """

    def __init__(self, association: Association, uid: str, *, ion: bool = False) -> None:
        self.uid = uid
        self.sop_class_uid = rules.ION if ion else rules.CONVENTIONAL
        self.status = ""
        self._machine = rules.MACHINES[self.sop_class_uid]
        self._association = association
        self._was_set = False
        self._over = False
        self._told = ""
        self._changed = Condition()
        association.bind(evt.EVT_N_EVENT_REPORT, self._take)

    @classmethod
    def create(
        cls,
        association: Association,
        plan_uid: str,
        patient_id: str,
        *,
        fraction_group: int | None = None,
        ion: bool = False,
        attributes: Dataset | None = None,
        uid: str | None = None,
    ) -> BeamVerification:
        """Begin a session (N-CREATE).

        Parameters
        ----------
        association
            An association with the verifier.
        plan_uid
            SOP Instance UID of the RT Plan or RT Ion Plan.
        patient_id
            Patient ID.
        fraction_group
            Referenced Fraction Group Number, where the plan has several.
        ion
            Whether the plan is an RT Ion Plan.
        attributes
            Other attributes.
        uid
            The SOP Instance UID of the session; a new one by default.
        """
        session = deepcopy(attributes) if attributes is not None else Dataset()
        class_uid = rules.ION if ion else rules.CONVENTIONAL
        machine = rules.MACHINES[class_uid]
        reference = Dataset()
        reference.ReferencedSOPClassUID = machine.plan_class_uid
        reference.ReferencedSOPInstanceUID = plan_uid
        session.ReferencedRTPlanSequence = [reference]
        session.PatientID = patient_id
        if fraction_group is not None:
            session.ReferencedFractionGroupNumber = fraction_group
        complete(session, _table(class_uid, "N-CREATE").rows)
        _must_be_legal(check("N-CREATE", class_uid, session))
        instance = uid or str(generate_uid(prefix=UID_PREFIX))
        status, values = association.send_n_create(session, class_uid, instance)
        accepted(association, class_uid, "N-CREATE", status, values)
        return cls(association, instance, ion=ion)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._over and self._association.is_established:
            self.delete()

    def set(self, general: Dataset, machine: Dataset) -> None:
        """Send the parameters of a control point (N-SET); they replace all that were sent before.

        Parameters
        ----------
        general
            The item of the General Machine Verification Sequence.
        machine
            The item of the Conventional or Ion Machine Verification Sequence, with one control point.

        Raises
        ------
        IllegalStep
            Something is missing or has a wrong value; nothing was sent.
        Refusal
            The verifier refuses it: C224H, C225H, C226H.
        """
        self._must_be_open()
        change = Dataset()
        change.GeneralMachineVerificationSequence = [general]
        setattr(change, self._machine.sequence, [machine])
        _must_be_legal(check("N-SET", self.sop_class_uid, change))
        status, values = self._association.send_n_set(change, self.sop_class_uid, self.uid)
        accepted(self._association, self.sop_class_uid, "N-SET", status, values)
        self._was_set = True
        self.status = ""

    def verify(self, seconds: float = _SECONDS) -> str:
        """Have the parameters verified (N-ACTION 1) and return Treatment Verification Status.

        Parameters
        ----------
        seconds
            How long to wait for the event Done. If it does not come the verifier is asked (N-GET).

        Raises
        ------
        IllegalStep
            Nothing was set; nothing was sent.
        NotVerifiedYet
            The verifier is not done in time.
        """
        self._must_be_open()
        if not self._was_set:
            raise IllegalStep("there is nothing to verify before set()")
        with self._changed:
            self._told = ""
        status, values = self._association.send_n_action(None, rules.VERIFY, self.sop_class_uid, self.uid)
        accepted(self._association, self.sop_class_uid, "N-ACTION 1", status, values)
        with self._changed:
            self._changed.wait_for(lambda: bool(self._told), seconds)
            self.status = self._told
        if not self.status:
            self.get()
        if not self.status:
            raise NotVerifiedYet(f"the verification is not done within {seconds:g} s")
        return self.status

    def get(self) -> Dataset:
        """Return the session as the verifier has it (N-GET)."""
        self._must_be_open()
        status, found = self._association.send_n_get([], self.sop_class_uid, self.uid)
        accepted(self._association, self.sop_class_uid, "N-GET", status, found)
        found = found if found is not None else Dataset()
        self.status = str(found.get("TreatmentVerificationStatus") or "")
        return found

    def failed(self) -> list[Dataset]:
        """Return the items of the Failed Attributes Sequence (N-GET)."""
        return list(self.get().get("FailedAttributesSequence") or ())

    def delete(self) -> None:
        """End the session (N-DELETE)."""
        self._must_be_open()
        status = self._association.send_n_delete(self.sop_class_uid, self.uid)
        accepted(self._association, self.sop_class_uid, "N-DELETE", status)
        self._over = True

    def _must_be_open(self) -> None:
        if self._over:
            raise IllegalStep("the session is over")

    def _take(self, event: Event) -> tuple[int, None]:
        if str(event.request.AffectedSOPInstanceUID) == self.uid and event.event_type == rules.DONE:
            with self._changed:
                self._told = str(event.event_information.get("TreatmentVerificationStatus") or "")
                self._changed.notify_all()
        return 0x0000, None


def _must_be_legal(found: Findings) -> None:
    if not found.ok:
        raise IllegalStep(found.explain())


def _table(class_uid: str, operation: str) -> Table:
    table = table_for(class_uid, operation)
    assert table is not None
    return table
