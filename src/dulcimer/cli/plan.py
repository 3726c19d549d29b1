"""Which presentation contexts to propose for a set of files, and on how many associations (PS3.8
7.1.1.13)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dulcimer.cli.scan import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dulcimer.cli.scan import Sendable

MOST_CONTEXTS: Final = 128
"""Presentation context IDs are the odd numbers from 1 to 255 (PS3.8 9.3.2.2)."""

DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"
UNCOMPRESSED: Final = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)
FALLBACK: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""What an uncompressed data set is offered in beside its own transfer syntax: the default one is always
among it."""


@dataclass(slots=True)
class Batch:
    """The files that one association carries, and the contexts that it proposes for them."""

    files: list[Sendable] = field(default_factory=list)
    contexts: dict[tuple[str, tuple[str, ...]], None] = field(default_factory=dict)
    """Abstract syntax and transfer syntaxes of each context, in order."""


def contexts_for(file: Sendable, only: str | None = None) -> list[tuple[str, tuple[str, ...]]]:
    """Return the contexts that a file needs: its own transfer syntax alone, and the fallback if it has one.

    With ``only``, that transfer syntax is proposed for uncompressed files and nothing else.
    """
    own = (file.sop_class_uid, (file.transfer_syntax_uid,))
    if file.transfer_syntax_uid not in UNCOMPRESSED:
        return [own]
    if only is not None:
        return [(file.sop_class_uid, (only,))]
    return [own, (file.sop_class_uid, FALLBACK)]


def plan(files: Iterable[Sendable], only: str | None = None) -> list[Batch]:
    """Spread files over as few associations as their order allows; none needs more than 128 contexts.

    Files of one class and transfer syntax stay together, otherwise their order is kept. What ``only`` means
    is said at :func:`contexts_for`.
    """
    groups: dict[tuple[str, str], list[Sendable]] = {}
    for file in files:
        groups.setdefault((file.sop_class_uid, file.transfer_syntax_uid), []).append(file)
    batches: list[Batch] = []
    batch = Batch()
    for key in sorted(groups):
        group = groups[key]
        needed = contexts_for(group[0], only)
        if len(batch.contexts) + sum(context not in batch.contexts for context in needed) > MOST_CONTEXTS:
            batches.append(batch)
            batch = Batch()
        batch.contexts.update(dict.fromkeys(needed))
        batch.files.extend(group)
    if batch.files:
        batches.append(batch)
    return batches
