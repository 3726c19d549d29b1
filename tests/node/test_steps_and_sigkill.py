"""kill -9 in the middle of MPPS and UPS operations: what was answered Success is there afterwards."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import TYPE_CHECKING

import pytest
from pydicom.dataset import Dataset

from dulcimer import AE
from dulcimer.node.adapters.database import Database
from dulcimer.node.adapters.instances import SqlRepository
from dulcimer.node.adapters.steps import steps_in
from dulcimer.node.adapters.subscriptions import SqlSubscriptions
from dulcimer.services import mpps, ups
from node.objects import completion, new_step
from node.served import Served
from support.workitems import new_workitem, performed, progress, state

if TYPE_CHECKING:
    from pathlib import Path

    from dulcimer import Association

MPPS = mpps.MODALITY_PERFORMED_PROCEDURE_STEP
OPERATIONS = 1000
ROUNDS = 8
WORKERS = 4


@dataclass
class Known:
    """What was answered about an instance, and what was asked for without an answer."""

    uid: str
    is_step: bool
    state: str
    label: str = ""
    subscribed: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def is_as_answered(self, stored: Dataset | None, subscribed: bool) -> bool:
        if self.subscribed and not subscribed:
            return False
        if stored is None:
            return self.state == ""
        keyword = "PerformedProcedureStepDescription" if self.is_step else "ProcedureStepLabel"
        status = mpps.status_of(stored) if self.is_step else ups.state_of(stored)
        found = status, str(stored.get(keyword) or "")
        return found == (self.state, self.label) or found in self.asked


class Killer:
    """Kills the node when so many operations have been answered."""

    def __init__(self, node: Served, after: int) -> None:
        self._node = node
        self._left = after
        self._lock = Lock()

    def answered(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._node.kill()


class Worker:
    """Does random operations on its own instances until the node is gone."""

    def __init__(self, number: int, seed: int) -> None:
        self._random = random.Random(seed * 100 + number)
        self._number = number
        self.known: list[Known] = []
        self.done = 0

    def run(self, node: Served, killer: Killer) -> None:
        ae = AE(f"W{self._number}")
        for uid in (MPPS, ups.PUSH, ups.PULL, ups.WATCH):
            ae.add_requested_context(uid)
        association = ae.associate(*node.address)
        while association.is_established:
            try:
                answered = self._operate(association)
            except RuntimeError:
                return
            if answered:
                self.done += 1
                killer.answered()

    def _operate(self, association: Association) -> bool:
        open_ones = [each for each in self.known[-20:] if each.state not in ("", "COMPLETED", "CANCELED")]
        if len(open_ones) < 3 or self._random.random() < 0.2:
            return self._create(association)
        each = self._random.choice(open_ones)
        each.asked.clear()
        return self._step(association, each) if each.is_step else self._workitem(association, each)

    def _create(self, association: Association) -> bool:
        new = Known(f"2.25.{self._random.getrandbits(120)}", self._random.random() < 0.5, "")
        self.known.append(new)
        if new.is_step:
            new.asked = [("IN PROGRESS", "")]
            status, _ = association.send_n_create(new_step(), MPPS, new.uid)
        else:
            new.asked = [("SCHEDULED", "new")]
            status, _ = association.send_n_create(new_workitem("new"), ups.PUSH, new.uid)
        return self._settle(new, status)

    def _step(self, association: Association, each: Known) -> bool:
        label = str(self._random.getrandbits(30))
        change = completion() if self._random.random() < 0.2 else Dataset()
        change.PerformedProcedureStepDescription = label
        each.asked = [(str(change.get("PerformedProcedureStepStatus", each.state)), label)]
        status, _ = association.send_n_set(change, MPPS, each.uid)
        return self._settle(each, status)

    def _workitem(self, association: Association, each: Known) -> bool:
        choice = self._random.random()
        if choice < 0.15:
            information = Dataset()
            information.ReceivingAE = f"W{self._number}"
            information.DeletionLock = "TRUE"
            status, _ = association.send_n_action(information, 3, ups.PUSH, each.uid, meta_uid=ups.WATCH)
            each.subscribed = each.subscribed or status.get("Status") == 0
            return "Status" in status
        if choice < 0.6:
            label = str(self._random.getrandbits(30))
            change = progress() if each.state == "IN PROGRESS" else Dataset()
            change.ProcedureStepLabel = label
            each.asked = [(each.state, label)]
            status, _ = association.send_n_set(change, ups.PUSH, each.uid, meta_uid=ups.PULL)
            return self._settle(each, status)
        wanted = "IN PROGRESS" if each.state == "SCHEDULED" else "COMPLETED"
        if wanted == "COMPLETED":
            status, _ = association.send_n_set(performed(), ups.PUSH, each.uid, meta_uid=ups.PULL)
            if "Status" not in status:
                return False
        each.asked = [(wanted, each.label)]
        status, _ = association.send_n_action(state(wanted), 1, ups.PUSH, each.uid, meta_uid=ups.PULL)
        return self._settle(each, status)

    @staticmethod
    def _settle(each: Known, status: Dataset) -> bool:
        if "Status" not in status:
            return False
        assert status.Status == 0x0000, f"{status.Status:04X} {status.get('ErrorComment')}"
        (answer,) = each.asked
        each.state, each.label = answer
        each.asked.clear()
        return True


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_nothing_that_was_answered_is_lost(tmp_path: Path) -> None:
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    data = tmp_path / "data"
    done = rounds = 0
    known: list[Known] = []
    while done < OPERATIONS:
        rounds += 1
        workers = [Worker(rounds * WORKERS + number, seed) for number in range(WORKERS)]
        with Served(data, "--durability", chance.choice(["full", "file", "off"])) as node:
            killer = Killer(node, chance.randint(1, 2 * OPERATIONS // ROUNDS))
            threads = [Thread(target=worker.run, args=(node, killer)) for worker in workers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for worker in workers:
            known += worker.known
            done += worker.done
    database = Database(data / "index.sqlite")
    try:
        steps, workitems = steps_in(database), SqlRepository(database, "ups")
        subscriptions = SqlSubscriptions(database)
        wrong = []
        for each in known:
            stored = (steps if each.is_step else workitems).get(each.uid)
            subscribed = any(subscriptions.of(each.uid))
            if not each.is_as_answered(stored, subscribed):
                wrong.append(each)
        assert wrong == []
        assert sum(bool(each.state) for each in known) > OPERATIONS // 10
        assert any(each.subscribed for each in known)
    finally:
        database.close()
