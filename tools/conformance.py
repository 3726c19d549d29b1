"""Writes the DICOM conformance statement from the library's tables: python tools/conformance.py [FILE].

Without a file it is printed. A test compares CONFORMANCE.md with it.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from ssl import TLSVersion

import facts

from dulcimer import AE, build_context
from dulcimer._globals import ALL_TRANSFER_SYNTAXES, APPLICATION_CONTEXT_NAME, DEFAULT_TRANSFER_SYNTAXES
from dulcimer.identity import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION, __version__
from dulcimer.node.app import UNCOMPRESSED, Node
from dulcimer.node.config import Config
from dulcimer.protocol.association import reasons
from dulcimer.services import sop_classes, tables
from dulcimer.services.tables import SERVICES, Service
from dulcimer.tls import DEFAULT_PROFILE, PROFILES, Profile

_ANNEX = "PS3.4 {}".format
_STORED = (tables.STORAGE, tables.NON_PATIENT_OBJECT)


def statement() -> str:
    """Return the statement as Markdown."""
    parts = [
        _overview(),
        _introduction(),
        _model(),
        _services(),
        _network(),
        _statuses(),
        _configuration(),
        _characters(),
        _security(),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _on_network(service: Service) -> bool:
    return bool(service.all_operations)


def _overview() -> str:
    rows = []
    for service in SERVICES:
        if _on_network(service):
            by_node = _node_classes(service)
            rows.append(
                (
                    service.name,
                    _ANNEX(service.annex),
                    "yes",
                    "yes",
                    "SCP" if by_node else "–",
                    ", ".join(sorted(service.all_operations)),
                )
            )
    table = facts.table(
        ("service class", "defined in", "library as SCU", "library as SCP", "node", "operations"), rows
    )
    return f"""
# DICOM conformance statement

Dulcimer {__version__}. This statement is generated from the tables that the program works with.

## 1 Overview

Dulcimer is a library with which programs request and provide DICOM network services, and a node, `dulcimer
serve`, that is made with it. The library can be SCU and SCP of every service class below; which of them a
product offers is decided by the program that uses it. The node's column says what `dulcimer serve` provides.

### Network services

{table}

Media: Part 10 files are read and written. There is no File-set Creator, Reader or Updater.
DICOM web services (PS3.18) are not provided.
"""


def _introduction() -> str:
    return """
## 2 Introduction

It is written for those who connect systems, and assumes that they know the Standard. Terms are those of the
Standard: AE, application entity; SCU and SCP, service class user and provider; SOP, service-object pair.

That two statements fit together does not show that two systems do: connections have to be tested. A program
made with the library may offer less than is stated here, and has to have a statement of its own. Dulcimer is
not a medical device and has no clearance as one.
"""


def _model() -> str:
    return """
## 3 Implementation model

| application entity | does | associations |
|---|---|---|
| library, as requestor | opens an association when the program asks for one, sends the program's requests | initiates |
| library, as acceptor | listens when the program asks for it, calls the program's handlers for requests | accepts |
| node, `dulcimer serve` | verifies, stores, answers queries and retrievals, keeps procedure steps | accepts; initiates for C-MOVE and reports |
| clients of the command line | one request or a few, then the end | initiate; `movescu` also accepts |

A program that uses the library may define any number of application entities, each with its own AE title,
presentation contexts and limits.

The node keeps what it receives as it was sent: data sets are not changed, converted or coerced, except that
an object in Deflated Explicit VR Little Endian is padded to an even length. For a C-MOVE it opens an
association with the destination that is configured for the AE title, and sends each object in the transfer
syntax that it is stored in, an uncompressed one in another uncompressed one if need be. Steps of Modality
Performed Procedure Step follow the states of PS3.4 Annex F.

The node's queries are hierarchical; relational queries and retrieval (PS3.4 C.5) and combined matching of dates
and times are agreed to with extended negotiation, fuzzy matching of names is not. All required keys are
matched; the documentation of the node lists the kinds of matching. Retrievals need unique keys.
"""


def _services() -> str:
    parts = ["## 4 Service and interoperability description"]
    parts.append(
        "For each SOP class the side that invokes each operation. The library supports either side; the node "
        "is SCP of those that are marked."
    )
    for service in SERVICES:
        rows = facts.class_rows(service)
        node = _node_classes(service)
        head = ("SOP class", "UID", "who invokes what", "node")
        body = [
            (keyword, f"`{uid}`", facts.roles(operations), "SCP" if uid in node else "–")
            for keyword, uid, operations in rows
        ]
        if not node:
            head, body = head[:3], [row[:3] for row in body]  # type: ignore[assignment, misc]
        parts.append(f"### {service.name}\n\n{_ANNEX(service.annex)}.")
        if service is tables.STORAGE:
            parts.append(
                f"Further {len(sop_classes.STORAGE_RETIRED)} retired SOP classes are known. A server may accept "
                'every abstract syntax that is not known to be something else (`storage="any"`), which the '
                "node does: private and newer SOP classes are stored too. Nothing is coerced or discarded by "
                "the library. Storage is Level 2 (PS3.4 B.4.1): all elements are kept, private ones too."
            )
        parts.append(facts.table(head, body))
    parts.append(
        "### Meta SOP classes\n\n"
        + facts.table(
            ("meta SOP class", "SOP classes in it"),
            [
                (f"`{meta}`", ", ".join(f"`{uid}`" for uid in sorted(members)))
                for meta, members in tables.META_CLASSES.items()
            ],
        )
    )
    return "\n\n".join(parts)


@cache
def _accepted_by_the_node() -> frozenset[str]:
    """Ask a node which of the SOP classes that are no storage it accepts."""
    asked = [
        uid
        for service in SERVICES
        if service not in _STORED
        for uid in service.classes
        if _on_network(service)
    ]
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Config(port=0, data=Path(folder) / "data"))
        try:
            with AE().associate(*node.address, [build_context(uid) for uid in asked]) as assoc:
                return frozenset(str(context.abstract_syntax) for context in assoc.accepted_contexts)
        finally:
            node.stop(0.0)


def _node_classes(service: Service) -> set[str]:
    if service in _STORED:
        return set(service.classes)
    return set(_accepted_by_the_node() & set(service.classes))


def _network() -> str:
    ae, node = AE(), Config()
    policies = facts.table(
        ("", "library, default", "node, default"),
        [
            ("application context name", f"`{APPLICATION_CONTEXT_NAME}`", "the same"),
            ("implementation class UID", f"`{IMPLEMENTATION_UID}`", "the same"),
            ("implementation version name", f"`{IMPLEMENTATION_VERSION}`", "the same"),
            ("AE title", f"`{ae.ae_title}`", f"`{node.aet}`"),
            ("port", "the program's choice", str(node.port)),
            ("maximum length of PDUs received", f"{ae.maximum_pdu_size}; 0, unlimited, can be set", str(node.max_pdu)),
            ("maximum length of PDUs sent", "what the peer announces; 0 is understood as unlimited", "the same"),
            ("associations accepted at a time", str(ae.maximum_associations), str(node.max_associations)),
            ("associations requested at a time", "no limit", "one for each C-MOVE or report under way"),
            ("presentation contexts per association", "128", "128"),
            ("asynchronous operations window", "1 invoked, 1 performed as acceptor; what the acceptor grants as requestor", "1, 1"),
            ("time limit for association messages", f"{ae.acse_timeout:g} s", f"{node.acse_timeout:g} s"),
            ("time limit for DIMSE messages", f"{ae.dimse_timeout:g} s", f"{node.dimse_timeout:g} s"),
            ("time limit for silence", f"{ae.network_timeout:g} s", f"{node.idle_timeout:g} s"),
            ("time limit for the connection", "that of the system", "that of the system"),
        ],
    )  # fmt: skip
    rejections = facts.table(
        ("source", "reason", "meaning"),
        [
            (f"{source} {reasons.REJECT_SOURCES[source]}", str(reason), text)
            for (source, reason), text in reasons.REJECT_REASONS.items()
        ],
    )
    aborts = facts.table(
        ("reason", "meaning"), [(str(code), text) for code, text in reasons.ABORT_REASONS.items()]
    )
    return f"""
## 5 Network communication details

DICOM Upper Layer Protocol for TCP/IP (PS3.8), version 1, over IPv4 and IPv6, plain or over TLS.

### Association policies

{policies}

### Negotiation

| | |
|---|---|
| choice of transfer syntax as acceptor | the first of our own order that was proposed; a server may take the requestor's order instead (`ts_policy`), or have a function choose |
| choice of presentation context as requestor | one with the object's own transfer syntax; otherwise one that its encoding can be converted to: between Implicit, Explicit and Deflated Explicit VR Little Endian. Nothing is compressed, decompressed or byte-swapped |
| SCP/SCU role selection (PS3.7 D.3.3.4) | proposed with `build_role`, answered as the supported context says |
| asynchronous operations (D.3.3.3) | negotiated; requests that are received are performed one after the other |
| SOP class extended negotiation (D.3.3.5) | passed to the program, whose answer is sent |
| SOP class common extended negotiation (D.3.3.6) | passed to the program |
| user identity (D.3.3.7) | types 1 to 5 proposed and verified by the program; the response is passed on |
| calling and called AE title | checked if the program or the node's configuration says so |
| what is unknown in a request | items of unknown types are skipped; see `dulcimer.quirks` for what is tolerated of peers |

### Transfer syntaxes

Objects are transferred in every transfer syntax: the data set is not interpreted for that. A presentation
context has these unless the program says otherwise:

{facts.syntaxes(DEFAULT_TRANSFER_SYNTAXES)}

`ALL_TRANSFER_SYNTAXES` has every one that is not retired:

{facts.syntaxes(ALL_TRANSFER_SYNTAXES)}

The node accepts, for Verification, queries, retrievals and procedure steps, in this order:

{facts.syntaxes(UNCOMPRESSED)}

and for storage the first transfer syntax that the requestor proposes, whichever it is.

### Rejection of associations

Sent as acceptor where they apply, and understood as requestor (PS3.8 Table 9-21):

{rejections}

Credentials that the program does not accept are rejected permanently.

### Aborts

As service provider with one of these reasons (PS3.8 Table 9-26):

{aborts}
"""


def _statuses() -> str:
    parts = ["## 6 Status codes", "### Every service", _status_table(facts.compressed(tables.GENERAL))]
    merged: dict[tuple[tuple[int, int, str, str], ...], list[str]] = {}
    for service in SERVICES:
        for operations, found in facts.by_operation(service):
            own = tuple(facts.own_statuses(found))
            if own:
                merged.setdefault(own, []).append(f"{service.name} ({operations})")
    for own, where in merged.items():
        parts.append(f"### {where[0]}" + (f"\n\nAlso {', '.join(where[1:])}." if where[1:] else ""))
        parts.append(_status_table(list(own)))
    parts.append(
        "Programs answer with any of these codes; a handler that fails is answered for by the library with C001, "
        "C002, C21x, C31x, C41x, C51x or 0110, so that the peer always has a response. As SCU all codes are "
        "passed to the program, unknown ones too."
    )
    return "\n\n".join(parts)


def _status_table(entries: list[tuple[int, int, str, str]]) -> str:
    return facts.table(
        ("code", "category", "meaning"),
        [(f"`{facts.code_text(code, last)}`", category, text) for code, last, category, text in entries],
    )


def _configuration() -> str:
    def shown(value: object) -> str:
        if value in ((), None):
            return "none"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if is_dataclass(value):
            return "see the documentation of the node"
        return f"`{value}`"

    rows = [(f"`{option.name}`", shown(getattr(Config(), option.name))) for option in fields(Config)]
    return f"""
## 7 Configuration

The library is configured by the program: `AE` has AE title, presentation contexts, time limits, maximum
length, number of associations, accepted AE titles. The node by flags of `dulcimer serve`, environment
variables `DULCIMER_…`, or a TOML file:

{facts.table(("option", "default"), rows)}

AE titles of peers are mapped to addresses by the program; by the node for move destinations only.
"""


def _characters() -> str:
    return """
## 8 Support of character sets

The library transfers data sets as they are, in any Specific Character Set. Programs read and write text with
pydicom, which supports the character sets of PS3.3 C.12.1.1.2, with and without code extensions, GB18030, GBK
and UTF-8. The node decodes queries with the Specific Character Set (0008,0005) that they declare, and
answers in the same one if that has all characters of a match, otherwise in Unicode, ISO_IR 192. A procedure
step that is changed in another character set than it has is kept in UTF-8, ISO_IR 192.
"""


def _suites(profile: Profile) -> str:
    return "none: TLS 1.3 only" if profile.oldest is TLSVersion.TLSv1_3 else ", ".join(profile.suites)


def _security() -> str:
    profiles = facts.table(
        ("`--tls-profile`", "secure transport connection profile (PS3.15)", "cipher suites of TLS 1.2"),
        [(f"`{name}`", profile.clause, _suites(profile)) for name, profile in PROFILES.items()],
    )
    return f"""
## 9 Security

Associations may be over TLS, in both roles; the program gives an `ssl.SSLContext`, so protocol versions,
ciphers and the authentication of nodes are its choice. The node and the command line offer these profiles,
`{DEFAULT_PROFILE}` by default:

{profiles}

User identity is negotiated in types 1 to 5. Credentials are shown in no log. AE titles can be restricted,
which is no authentication. Audit trail messages, digital signatures and de-identification are not provided;
digital signatures in objects stay valid, since objects are not changed.
"""


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(statement(), "utf-8")
    else:
        sys.stdout.write(statement())
