"""What is counted, in the text format of Prometheus (exposition format 0.0.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dulcimer.web.view import Counters, Overview

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_Sample = tuple[str, dict[str, str], float]


def exposition(counters: Counters, overview: Overview, clients: int) -> str:
    """Write counters and gauges of a node, and how many clients its page has."""
    histogram: list[_Sample] = []
    for each in counters.durations:
        operation = {"operation": each.operation}
        histogram += [("_bucket", {**operation, "le": _number(at)}, count) for at, count in each.buckets]
        histogram.append(("_bucket", {**operation, "le": "+Inf"}, each.count))
        histogram += [("_sum", operation, each.seconds), ("_count", operation, each.count)]
    steps = {
        "SCHEDULED": overview.scheduled,
        "IN PROGRESS": overview.in_progress,
        "COMPLETED": overview.completed,
        "DISCONTINUED": overview.discontinued,
    }
    families: tuple[tuple[str, str, str, Iterable[_Sample]], ...] = (
        ("start_time_seconds", "gauge", "When the node was started.", [("", {}, counters.started)]),
        ("associations", "gauge", "Associations that are there.", [("", {}, counters.associations)]),
        (
            "associations_accepted_total",
            "counter",
            "Associations that were accepted.",
            [("", {}, counters.associations_accepted)],
        ),
        (
            "operations_total",
            "counter",
            "DIMSE operations by the status that was answered.",
            [
                (
                    "",
                    {"service": each.service, "operation": each.operation, "status": each.status},
                    each.count,
                )
                for each in counters.operations
            ],
        ),
        ("operation_duration_seconds", "histogram", "How long operations were worked on.", histogram),
        (
            "received_bytes_total",
            "counter",
            "Bytes of stored objects that were received.",
            [("", {}, counters.bytes_received)],
        ),
        (
            "log_lines_total",
            "counter",
            "Lines of the log by level.",
            [("", {"level": level}, count) for level, count in counters.log_lines.items()],
        ),
        ("instances", "gauge", "Instances in the index.", [("", {}, overview.instances)]),
        ("instances_bytes", "gauge", "Their size.", [("", {}, overview.bytes)]),
        ("studies", "gauge", "Studies in the index.", [("", {}, overview.studies)]),
        (
            "steps",
            "gauge",
            "Procedure steps by state.",
            [("", {"state": state}, count) for state, count in steps.items()],
        ),
        (
            "commitments_pending",
            "gauge",
            "Storage commitment requests that are not settled.",
            [("", {}, overview.commitments_pending)],
        ),
        ("disk_free_bytes", "gauge", "Free space of the data folder.", [("", {}, overview.disk_free)]),
        ("page_clients", "gauge", "Clients that listen to live changes.", [("", {}, clients)]),
    )
    lines = []
    for name, kind, help, samples in families:
        lines += [f"# HELP dulcimer_{name} {help}", f"# TYPE dulcimer_{name} {kind}"]
        lines += [
            f"dulcimer_{name}{suffix}{_labels(labels)} {_number(value)}" for suffix, labels, value in samples
        ]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
