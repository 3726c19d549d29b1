"""PS3.8 Table 9-10, the state machine of the DICOM upper layer, as the Standard prints it.

How to read it
--------------
A row is an *event*, a column a *state*, a cell the *action* to perform; the action says which state follows.
Rows come in three sorts:

* primitives of the local user (Evt1, 7, 8, 9, 11, 14, 15): what the program asks for;
* PDUs from the peer (Evt3, 4, 6, 10, 12, 13, 16) and, for what is no PDU or a broken one, Evt19;
* indications of the transport (Evt2, 5, 17) and of the ARTIM timer (Evt18).

Columns fall into the life of an association: Sta1 nothing; Sta2 and Sta3 establishment seen by the acceptor;
Sta4 and Sta5 the same seen by the requestor; Sta6 data; Sta7 to Sta12 release; Sta13 the association is over
and only the transport connection remains.

An action is one transition and a few effects. The letters tell its purpose: AE association establishment, DT
data transfer, AR association release, AA association abort. Two actions lead to one of two states:

* AE-6: Sta3 if the provider can take the request (the protocol version fits), Sta13 if it rejects it itself;
* AR-8: Sta9 for the requestor of the association, Sta10 for its acceptor.

A release collision (both sides ask at once) is what AR-8 is for: *both* are in Sta7 and both receive an
A-RELEASE-RQ. Somebody has to answer first, and it is the association requestor: Sta9, AR-9 (answer), Sta11
(wait), AR-3. The acceptor waits for that answer: Sta10, AR-10, Sta12, AR-4 (answer). Without a collision,
data still arriving while we await A-RELEASE-RP (Sta7) is delivered (AR-6), and a side that was asked to
release may still send (AR-7).

What a peer does out of turn is answered in one of four ways:

* AA-8, the usual one: there is a user to be told, so A-ABORT with source service-provider goes out, the user
  gets A-P-ABORT, and ARTIM bounds how long the peer may take to close;
* AA-1 in column Sta2: no association has been requested yet, so there is no user to be told. The action is
  the one that the local A-ABORT request uses (the source is service-user), without an indication;
* AA-7 and AA-6 in column Sta13: it has all been said already. A-ASSOCIATE-RQ and what is no PDU are answered
  with A-ABORT once more, everything else is ignored;
* AA-2 and AA-3 when A-ABORT comes: it is never answered, the transport connection is closed. AA-2 tells
  nobody (Sta2, Sta13), AA-3 tells the user.

When the transport connection closes under us, AA-4 tells the user (A-P-ABORT), AA-5 and AR-5 only stop the
timer: in Sta2 nobody waits for news, and in Sta13 the closing is what was awaited.

ARTIM (Association Request/Reject/Release Timer) guards the two states in which a peer holds a connection of
ours without an association: Sta2 and Sta13.

What an empty cell means
------------------------
The Standard leaves 124 of the 247 pairs empty and only says that they cannot occur or are errors of the local
user. :func:`empty_cell` makes every one of them definite:

* a local primitive: the caller may not ask for this now. It is an error raised to the caller, and the state
  stays;
* a PDU where there can be none (Sta1 and Sta4 have no open transport connection): ignored, the state stays;
* an indication of the transport or the timer that cannot come in this state, or comes too late (ARTIM
  expiring in the moment it is stopped): ignored, the state stays.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from dulcimer.protocol.ul.states import Event, State

__all__ = [
    "LOCAL_PRIMITIVES",
    "RECEIVED_PDUS",
    "TABLE",
    "Action",
    "EmptyCell",
    "Event",
    "State",
    "empty_cell",
]


class Action(Enum):
    """An action of PS3.8 Tables 9-6 to 9-9 with the states that can follow it."""

    AE_1 = ("AE-1", (State.STA4,), "request a transport connection")
    AE_2 = ("AE-2", (State.STA5,), "send A-ASSOCIATE-RQ")
    AE_3 = ("AE-3", (State.STA6,), "confirm the accepted association")
    AE_4 = ("AE-4", (State.STA1,), "confirm the rejection, close the transport connection")
    AE_5 = ("AE-5", (State.STA2,), "accept the transport connection, start ARTIM")
    AE_6 = (
        "AE-6",
        (State.STA3, State.STA13),
        "stop ARTIM, indicate the association request; or send A-ASSOCIATE-RJ, start ARTIM",
    )
    AE_7 = ("AE-7", (State.STA6,), "send A-ASSOCIATE-AC")
    AE_8 = ("AE-8", (State.STA13,), "send A-ASSOCIATE-RJ, start ARTIM")

    DT_1 = ("DT-1", (State.STA6,), "send P-DATA-TF")
    DT_2 = ("DT-2", (State.STA6,), "indicate data")

    AR_1 = ("AR-1", (State.STA7,), "send A-RELEASE-RQ")
    AR_2 = ("AR-2", (State.STA8,), "indicate the release request")
    AR_3 = ("AR-3", (State.STA1,), "confirm the release, close the transport connection")
    AR_4 = ("AR-4", (State.STA13,), "send A-RELEASE-RP, start ARTIM")
    AR_5 = ("AR-5", (State.STA1,), "stop ARTIM")
    AR_6 = ("AR-6", (State.STA7,), "indicate data")
    AR_7 = ("AR-7", (State.STA8,), "send P-DATA-TF")
    AR_8 = ("AR-8", (State.STA9, State.STA10), "indicate the release request (collision)")
    AR_9 = ("AR-9", (State.STA11,), "send A-RELEASE-RP")
    AR_10 = ("AR-10", (State.STA12,), "confirm the release")

    AA_1 = ("AA-1", (State.STA13,), "send A-ABORT (service-user), start or restart ARTIM")
    AA_2 = ("AA-2", (State.STA1,), "stop ARTIM, close the transport connection")
    AA_3 = ("AA-3", (State.STA1,), "indicate the peer's abort, close the transport connection")
    AA_4 = ("AA-4", (State.STA1,), "indicate A-P-ABORT")
    AA_5 = ("AA-5", (State.STA1,), "stop ARTIM")
    AA_6 = ("AA-6", (State.STA13,), "ignore the PDU")
    AA_7 = ("AA-7", (State.STA13,), "send A-ABORT")
    AA_8 = ("AA-8", (State.STA13,), "send A-ABORT (service-provider), indicate A-P-ABORT, start ARTIM")

    def __init__(self, label: str, next_states: tuple[State, ...], title: str) -> None:
        self.label = label
        self.next_states = next_states
        self.title = title


class EmptyCell(Enum):
    """What is done where Table 9-10 has no action; the state always stays."""

    LOCAL_ERROR = "raise it to the caller"
    IGNORE_PDU = "ignore the PDU"
    IGNORE_INDICATION = "ignore the indication"


# fmt: off
_GRID = """
 Evt |  Sta1   Sta2   Sta3   Sta4   Sta5   Sta6   Sta7   Sta8   Sta9   Sta10  Sta11  Sta12  Sta13
-----+--------------------------------------------------------------------------------------------
   1 |  AE-1    .      .      .      .      .      .      .      .      .      .      .      .
   2 |   .      .      .     AE-2    .      .      .      .      .      .      .      .      .
   3 |   .     AA-1   AA-8    .     AE-3   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-6
   4 |   .     AA-1   AA-8    .     AE-4   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-6
   5 |  AE-5    .      .      .      .      .      .      .      .      .      .      .      .
   6 |   .     AE-6   AA-8    .     AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-7
   7 |   .      .     AE-7    .      .      .      .      .      .      .      .      .      .
   8 |   .      .     AE-8    .      .      .      .      .      .      .      .      .      .
   9 |   .      .      .      .      .     DT-1    .     AR-7    .      .      .      .      .
  10 |   .     AA-1   AA-8    .     AA-8   DT-2   AR-6   AA-8   AA-8   AA-8   AA-8   AA-8   AA-6
  11 |   .      .      .      .      .     AR-1    .      .      .      .      .      .      .
  12 |   .     AA-1   AA-8    .     AA-8   AR-2   AR-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-6
  13 |   .     AA-1   AA-8    .     AA-8   AA-8   AR-3   AA-8   AA-8   AR-10  AR-3   AA-8   AA-6
  14 |   .      .      .      .      .      .      .     AR-4   AR-9    .      .     AR-4    .
  15 |   .      .     AA-1   AA-2   AA-1   AA-1   AA-1   AA-1   AA-1   AA-1   AA-1   AA-1    .
  16 |   .     AA-2   AA-3    .     AA-3   AA-3   AA-3   AA-3   AA-3   AA-3   AA-3   AA-3   AA-2
  17 |   .     AA-5   AA-4   AA-4   AA-4   AA-4   AA-4   AA-4   AA-4   AA-4   AA-4   AA-4   AR-5
  18 |   .     AA-2    .      .      .      .      .      .      .      .      .      .     AA-2
  19 |   .     AA-1   AA-8    .     AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-7
"""
# fmt: on


def _read(grid: str) -> dict[tuple[Event, State], Action]:
    actions = {action.label: action for action in Action}
    table: dict[tuple[Event, State], Action] = {}
    for line in grid.strip().splitlines()[2:]:
        number, _, cells = line.partition("|")
        for state, cell in zip(State, cells.split(), strict=True):
            if cell != ".":
                table[Event(int(number)), state] = actions[cell]
    return table


TABLE: Final[dict[tuple[Event, State], Action]] = _read(_GRID)
"""The action for an event in a state; what is not in it is an empty cell of the Standard's table."""

LOCAL_PRIMITIVES: Final[frozenset[Event]] = frozenset(
    {Event.EVT1, Event.EVT7, Event.EVT8, Event.EVT9, Event.EVT11, Event.EVT14, Event.EVT15}
)
"""What the local user asks for."""

RECEIVED_PDUS: Final[frozenset[Event]] = frozenset(
    {
        Event.EVT3,
        Event.EVT4,
        Event.EVT6,
        Event.EVT10,
        Event.EVT12,
        Event.EVT13,
        Event.EVT16,
        Event.EVT19,
    }
)
"""What the peer sends."""


def empty_cell(event: Event) -> EmptyCell:
    """Return what is done about an event for which :data:`TABLE` has no action in the present state."""
    if event in LOCAL_PRIMITIVES:
        return EmptyCell.LOCAL_ERROR
    return EmptyCell.IGNORE_PDU if event in RECEIVED_PDUS else EmptyCell.IGNORE_INDICATION
