"""Table 9-10 against the Standard's, cell by cell, and what an empty cell means."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from dulcimer.protocol.ul.states import Event, State
from dulcimer.protocol.ul.table import (
    LOCAL_PRIMITIVES,
    RECEIVED_PDUS,
    TABLE,
    Action,
    EmptyCell,
    empty_cell,
)

STANDARD: dict[str, dict[str, list[object]]] = json.loads(
    (Path(__file__).parents[3] / "standard" / "ps38_table_9_10.json").read_text()
)
PAIRS = list(product(Event, State))


def test_size() -> None:
    assert (len(State), len(Event), len(TABLE)) == (13, 19, 123)


@pytest.mark.parametrize(("event", "state"), PAIRS, ids=lambda value: value.name)
def test_cell(event: Event, state: State) -> None:
    expected = STANDARD[f"Evt{event.value}"].get(f"Sta{state.value}")
    action = TABLE.get((event, state))
    found: list[object] | None = (
        None if action is None else [action.label, [f"Sta{after.value}" for after in action.next_states]]
    )
    assert found == expected


def test_every_action_is_used() -> None:
    assert set(TABLE.values()) == set(Action)
    assert len(Action) == 28


def test_only_two_actions_lead_to_one_of_two_states() -> None:
    assert {action: len(action.next_states) for action in Action if len(action.next_states) != 1} == {
        Action.AE_6: 2,
        Action.AR_8: 2,
    }


def test_every_state_is_reached_and_left() -> None:
    reached = {state for action in TABLE.values() for state in action.next_states}
    assert reached == set(State)
    assert {state for _, state in TABLE} == set(State)


def test_a_received_pdu_is_answered_wherever_a_connection_is_open() -> None:
    without = {state for event, state in PAIRS if event in RECEIVED_PDUS and (event, state) not in TABLE}
    assert without == {State.STA1, State.STA4}


def test_empty_cells() -> None:
    counted = Counter(empty_cell(event) for event, state in PAIRS if (event, state) not in TABLE)
    assert counted == {
        EmptyCell.LOCAL_ERROR: 7 * 13 - 19,
        EmptyCell.IGNORE_PDU: 8 * 2,
        EmptyCell.IGNORE_INDICATION: 4 * 13 - 16,
    }
    assert sum(counted.values()) == 13 * 19 - 123


def test_events_are_local_received_or_indicated() -> None:
    assert not LOCAL_PRIMITIVES & RECEIVED_PDUS
    assert {event for event in Event if event not in LOCAL_PRIMITIVES | RECEIVED_PDUS} == {
        Event.EVT2,
        Event.EVT5,
        Event.EVT17,
        Event.EVT18,
    }
    assert all(event.title.endswith("received") == (event in RECEIVED_PDUS) for event in Event)


def test_states_and_events_can_be_told_in_words() -> None:
    assert len({state.title for state in State}) == 13
    assert len({event.title for event in Event}) == 19
