"""The library's own tables as Markdown, for the documentation and the conformance statement."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache

from pydicom.uid import UID

from dulcimer.quirks import QuirkKind
from dulcimer.services import sop_classes, tables
from dulcimer.services.statuses import Statuses
from dulcimer.services.tables import SERVICES, Service

SERVICE_BY_KEY = {service.key: service for service in SERVICES}
REPORTED_BY_SCP = "N-EVENT-REPORT"

CURES = {
    0x0000: "Nothing: it is done.",
    0x0001: "Attributes that were asked for are not supported: do without them.",
    0x0105: "Leave out the attributes that the Attribute Identifier List names.",
    0x0106: "Correct the value that came back; often a state or an enumerated value that is misspelt.",
    0x0107: "Look at the Attribute Identifier List: those attributes were not taken.",
    0x0110: "Read Error Comment and Error ID. From this library: the handler raised, and its log says what.",
    0x0111: "The UID exists already: make a new one for each instance.",
    0x0112: "Check the UID; the instance may never have been made, or another system may hold it.",
    0x0113: "Correct the Event Type ID; PS3.4 lists those of the service.",
    0x0114: "Correct the argument that the service does not know.",
    0x0115: "Correct the value of the argument.",
    0x0116: "The peer changed or ignored the value: look at what came back.",
    0x0117: "The UID is no UID (PS3.5 9.1), or is missing where the peer makes none up.",
    0x0118: "The peer does not know the SOP class: compare conformance statements.",
    0x0119: "The UID belongs to an instance of another SOP class.",
    0x0120: "Add the attributes that the Attribute Identifier List names.",
    0x0121: "Give values to the attributes that came back empty.",
    0x0122: "The peer does not take the SOP class on this association: have it configured there.",
    0x0123: "Correct the Action Type ID; PS3.4 lists those of the service.",
    0x0124: "The peer's administrator has to allow our AE title to do this.",
    0x0210: "The peer still works on a request with this message ID: wait for its answer.",
    0x0211: "The peer does not know the operation for this SOP class.",
    0x0212: "The request lacks its data set, or an argument has the wrong type.",
    0x0213: "The peer is short of something: try later.",
    0xFE00: "We cancelled, or stopped iterating.",
    0xFF00: "More responses follow: go on iterating.",
    0xFF01: "More responses follow; some keys were not used for matching: filter the matches.",
    0xA700: "The peer's disk is full, or the object is too large for it: tell its administrator.",
    0xA701: "The peer cannot count the matches: ask for less.",
    0xA702: "The sub-operations failed: the destination did not answer, or took none of the objects.",
    0xA710: "Begin the query again: the record that it continues from is unknown.",
    0xA801: "The peer does not know the move destination: enter its AE title, address and port there.",
    0xA900: "SOP class or UIDs in data set and request differ, or the query lacks its level or a unique key.",
    0xAA00: "Correct the list of frames.",
    0xAA01: "The peer cannot make an object of the frames: retrieve the whole object.",
    0xAA02: "The peer cannot read the frames: retrieve the whole object.",
    0xAA03: "The object has no times: ask for frames by number.",
    0xAA04: "Correct the request for frames.",
    0xA510: "Do not initiate the same request twice; make a new one.",
    0xB000: "Stored, with values changed by the peer. After a retrieval: some objects were not stored; the "
    "Failed SOP Instance UID List names them.",
    0xB001: "Ask again for the rest.",
    0xB006: "Stored without some elements, which the peer does not keep.",
    0xB007: "Stored although the object is not as its SOP class says: correct what makes it.",
    0xC000: "The peer cannot read the object or the query: validate it, and read Error Comment.",
    0xC300: "The step is COMPLETED or CANCELED: make a new one.",
    0xC301: "Give the Transaction UID with which the step was taken on.",
    0xC302: "Somebody else performs it: choose another one.",
    0xC303: "A step becomes SCHEDULED only by N-CREATE.",
    0xC304: "Set what a completed step must have (PS3.4 Table CC.2.5-3) before completing it.",
    0xC307: "Check the UID; the worklist may have dropped the step.",
    0xC308: "Have the AE title of the receiver entered at the worklist.",
    0xC309: "Create steps with the state SCHEDULED.",
    0xC310: "Take it on first: change its state to IN PROGRESS.",
}
"""What whoever gets a status can do, by code."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def roles(operations: frozenset[str]) -> str:
    """Say which side invokes which operations."""
    invoked = sorted(operations - {REPORTED_BY_SCP})
    parts = [f"SCU: {', '.join(invoked)}"] if invoked else []
    if REPORTED_BY_SCP in operations:
        parts.append(f"SCP: {REPORTED_BY_SCP}")
    return "; ".join(parts) or "none on a network"


def class_rows(service: Service) -> list[tuple[str, str, frozenset[str]]]:
    """List keyword, UID and operations of a service's SOP classes, without those that are retired."""
    retired = {uid for _, uid, _ in sop_classes.STORAGE_RETIRED}
    return [
        (keyword, uid, service.classes[uid])
        for keyword, uid in service.keywords.items()
        if uid not in retired
    ]


def classes(key: str) -> str:
    """Return a service's SOP classes as a table."""
    rows = class_rows(SERVICE_BY_KEY[key])
    return table(
        ("SOP class", "UID", "who invokes what"),
        [(f"`{keyword}`", f"`{uid}`", roles(operations)) for keyword, uid, operations in rows],
    )


def code_text(code: int, last: int) -> str:
    return f"{code:04X}" if last == code else f"{code:04X}–{last:04X}"


def compressed(statuses: Statuses) -> list[tuple[int, int, str, str]]:
    """List first and last code, category and meaning: codes in a row that mean the same are one entry."""
    found: list[tuple[int, int, str, str]] = []
    for code in sorted(statuses):
        category, meaning = statuses[code]
        if found and found[-1][1] == code - 1 and found[-1][2:] == (category, meaning):
            found[-1] = (found[-1][0], code, category, meaning)
        else:
            found.append((code, code, category, meaning))
    return found


def own_statuses(statuses: Statuses) -> list[tuple[int, int, str, str]]:
    """List what a service has beyond the codes of PS3.7, and success."""
    general = set(compressed(tables.GENERAL))
    return [entry for entry in compressed(statuses) if entry not in general]


def by_operation(service: Service) -> list[tuple[str, Statuses]]:
    """List the tables of statuses of a service with what they are for."""
    if service.by_operation:
        return [(operation, service.statuses_for(operation)) for operation in service.by_operation]
    return [(", ".join(sorted(service.all_operations)), service.statuses)]


def statuses(key: str) -> str:
    """Return a service's own statuses as tables."""
    parts = []
    for operations, found in by_operation(SERVICE_BY_KEY[key]):
        own = own_statuses(found)
        if not own:
            return "It has no codes beyond [those that every service shares](../statuses.md#every-service)."
        rows = [(f"`{code_text(code, last)}`", category, text) for code, last, category, text in own]
        parts.append(f"**{operations}**\n\n{table(('code', 'category', 'meaning'), rows)}")
    parts.append("And [those that every service shares](../statuses.md#every-service).")
    return "\n\n".join(parts)


def general_statuses() -> str:
    """Return the codes of PS3.7 Annex C with what to do."""
    return table(
        ("code", "category", "meaning", "what to do"),
        [
            (f"`{code_text(code, last)}`", category, text, CURES.get(code, ""))
            for code, last, category, text in compressed(tables.GENERAL)
        ],
    )


def all_statuses() -> str:
    """Return every code of a service with the services that have it, and what to do."""
    merged: dict[tuple[int, int, str, str], list[str]] = {}
    for service in SERVICES:
        for operations, found in by_operation(service):
            label = service.name.removesuffix(" Service Class").removesuffix(" Service Classes")
            if service.by_operation:
                label += f" ({operations})"
            for entry in own_statuses(found):
                merged.setdefault(entry, []).append(label)
    return table(
        ("code", "category", "meaning", "in", "what to do"),
        [
            (f"`{code_text(code, last)}`", category, text, ", ".join(where), CURES.get(code, ""))
            for (code, last, category, text), where in sorted(merged.items())
        ],
    )


def quirks() -> str:
    """Return what is tolerated of peers."""
    return table(
        ("identifier", "what the peer does", "clause", "with `strict`"),
        [
            (
                f"`{kind.identifier}`",
                kind.sentence,
                kind.clause,
                "noted" if kind.abort_reason is None else "refused",
            )
            for kind in QuirkKind
        ],
    )


def syntaxes(uids: Iterable[str]) -> str:
    """Return transfer syntaxes with their UIDs."""
    return table(("transfer syntax", "UID"), [(UID(uid).name, f"`{uid}`") for uid in uids])


@cache
def help_text(*verb: str) -> str:
    """Return what a verb of the command line says of itself."""
    environment = {**os.environ, "COLUMNS": "96", "NO_COLOR": "1", "TERM": "dumb"}
    environment = {key: value for key, value in environment.items() if not key.startswith("DULCIMER_")}
    done = subprocess.run(
        [sys.executable, "-m", "dulcimer", *verb, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=60,
    )
    return done.stdout.strip()


def command_help(*verb: str) -> str:
    """Return the same as a block of Markdown."""
    return f"```text\n{help_text(*verb)}\n```"
