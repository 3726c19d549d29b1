"""The states and events of the upper layer protocol machine (PS3.8 9.2.1, Tables 9-1 to 9-5 and 9-10)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class State(IntEnum):
    """Where an association is."""

    STA1 = 1
    STA2 = 2
    STA3 = 3
    STA4 = 4
    STA5 = 5
    STA6 = 6
    STA7 = 7
    STA8 = 8
    STA9 = 9
    STA10 = 10
    STA11 = 11
    STA12 = 12
    STA13 = 13

    @property
    def title(self) -> str:
        """What the state means, in words."""
        return _STATE_TITLES[self]


class Event(IntEnum):
    """What moves an association on, numbered as the rows of Table 9-10."""

    EVT1 = 1
    EVT2 = 2
    EVT3 = 3
    EVT4 = 4
    EVT5 = 5
    EVT6 = 6
    EVT7 = 7
    EVT8 = 8
    EVT9 = 9
    EVT10 = 10
    EVT11 = 11
    EVT12 = 12
    EVT13 = 13
    EVT14 = 14
    EVT15 = 15
    EVT16 = 16
    EVT17 = 17
    EVT18 = 18
    EVT19 = 19

    @property
    def title(self) -> str:
        """What the event is, in words."""
        return _EVENT_TITLES[self]


_STATE_TITLES: Final = {
    State.STA1: "idle",
    State.STA2: "transport connection open, awaiting A-ASSOCIATE-RQ",
    State.STA3: "awaiting the local answer to the association request",
    State.STA4: "awaiting the transport connection to open",
    State.STA5: "awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ",
    State.STA6: "association established, ready for data",
    State.STA7: "awaiting A-RELEASE-RP",
    State.STA8: "awaiting the local answer to the release request",
    State.STA9: "release collision, requestor: awaiting the local answer to the release request",
    State.STA10: "release collision, acceptor: awaiting A-RELEASE-RP",
    State.STA11: "release collision, requestor: awaiting A-RELEASE-RP",
    State.STA12: "release collision, acceptor: awaiting the local answer to the release request",
    State.STA13: "awaiting the transport connection to close",
}

_EVENT_TITLES: Final = {
    Event.EVT1: "A-ASSOCIATE request",
    Event.EVT2: "transport connection confirmed",
    Event.EVT3: "A-ASSOCIATE-AC received",
    Event.EVT4: "A-ASSOCIATE-RJ received",
    Event.EVT5: "transport connection indicated",
    Event.EVT6: "A-ASSOCIATE-RQ received",
    Event.EVT7: "A-ASSOCIATE response, accept",
    Event.EVT8: "A-ASSOCIATE response, reject",
    Event.EVT9: "P-DATA request",
    Event.EVT10: "P-DATA-TF received",
    Event.EVT11: "A-RELEASE request",
    Event.EVT12: "A-RELEASE-RQ received",
    Event.EVT13: "A-RELEASE-RP received",
    Event.EVT14: "A-RELEASE response",
    Event.EVT15: "A-ABORT request",
    Event.EVT16: "A-ABORT received",
    Event.EVT17: "transport connection closed",
    Event.EVT18: "ARTIM timer expired",
    Event.EVT19: "unrecognised or invalid PDU received",
}
