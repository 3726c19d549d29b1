"""Attributes on a command line: ``KEYWORD=VALUE``, ``(gggg,eeee)=VALUE``, and paths into sequences.

``ScheduledProcedureStepSequence[0].Modality=CT`` sets an attribute of the first item; items that are named
are made. ``OtherPatientIDsSequence[0]=`` makes an empty item, ``OtherPatientIDsSequence=`` an empty sequence.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.dataset import Dataset

_STEP: Final = re.compile(
    r"(?:\(?([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)?|([A-Za-z][A-Za-z0-9]*))(?:\[(\d{1,4})\])?"
)
_WHOLE_NUMBERS: Final = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_REAL_NUMBERS: Final = frozenset({"FD", "FL"})
_BYTES: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_ONE_TEXT: Final = frozenset({"LT", "ST", "UR", "UT"})
"""Value representations of one value, in which a backslash is a character (PS3.5 6.2)."""


class KeyProblem(ValueError):
    """A key that cannot be used; the text says why."""


class Step(NamedTuple):
    """One step of a path: an attribute, and an item of it if it is a sequence."""

    tag: int
    item: int | None


def parse(text: str) -> tuple[list[Step], str]:
    """Read a key: its path and its value; without ``=`` the value is empty.

    Raises
    ------
    KeyProblem
        If it is none.
    """
    path, _, value = text.partition("=")
    steps = []
    at = 0
    path = path.strip()
    while True:
        found = _STEP.match(path, at)
        if found is None:
            raise KeyProblem(f"{text!r}: {path[at:]!r} is neither a keyword such as PatientID nor a tag")
        group, element, keyword, item = found.groups()
        steps.append(Step(_tag(text, group, element, keyword), None if item is None else int(item)))
        at = found.end()
        if at == len(path):
            break
        if path[at] != ".":
            raise KeyProblem(f"{text!r}: {path[at:]!r} is not expected after {path[:at]!r}")
        at += 1
    for step in steps[:-1]:
        if step.item is None:
            raise KeyProblem(f"{text!r}: {_name(step.tag)} needs the number of an item, as in [0]")
    for step in steps:
        if step.item is not None and _vr(step.tag) not in {"SQ", "UN"}:
            raise KeyProblem(f"{text!r}: {_name(step.tag)} is no sequence")
    return steps, value


def build(keys: Iterable[str], base: Dataset | None = None) -> Dataset:
    """Return a data set with the attributes of ``keys``, which win over those of ``base``.

    Raises
    ------
    KeyProblem
        If one of them cannot be used.
    """
    from pydicom.dataset import Dataset

    dataset = Dataset() if base is None else base
    for key in keys:
        steps, value = parse(key)
        _put(dataset, steps, value, key)
    return dataset


def columns(query: Dataset) -> list[tuple[str, tuple[Step, ...]]]:
    """Return name and path of every attribute that a query names, those within sequences as well."""
    found: list[tuple[str, tuple[Step, ...]]] = []

    def add(dataset: Dataset, names: str, path: tuple[Step, ...]) -> None:
        for element in dataset:
            tag = int(element.tag)
            if element.tag.element == 0 or tag == 0x00080005:
                continue
            name = names + _name(tag)
            if element.VR == "SQ" and len(element.value):
                add(element.value[0], f"{name}.", (*path, Step(tag, 0)))
            else:
                found.append((name, (*path, Step(tag, None))))

    add(query, "", ())
    return found


def value_at(dataset: Dataset, path: Iterable[Step]) -> str:
    """Return what an answer has at a path, as text; ``""`` where it has nothing."""
    here: Any = dataset
    for tag, item in path:
        if tag not in here:
            return ""
        element = here[tag]
        if item is None:
            if element.VR == "SQ":
                return f"{len(element.value)} items" if len(element.value) else ""
            if element.is_empty:
                return ""
            value = element.value
            many = isinstance(value, (list, tuple)) or (
                element.VM > 1 and not isinstance(value, (str, bytes))
            )
            return "\\".join(map(str, value)) if many else str(value)
        if element.VR != "SQ" or item >= len(element.value):
            return ""
        here = element.value[item]
    return ""


def _put(dataset: Dataset, steps: list[Step], value: str, key: str) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    here = dataset
    for position, (tag, item) in enumerate(steps):
        last = position == len(steps) - 1
        if item is None:
            _set(here, tag, value, key)
            return
        if tag not in here or here[tag].VR != "SQ":
            here.add_new(tag, "SQ", Sequence())
        items = here[tag].value
        while len(items) <= item:
            items.append(Dataset())
        if last and value:
            raise KeyProblem(f"{key!r}: an item has attributes, and no value of its own")
        here = items[item]


def _set(dataset: Dataset, tag: int, value: str, key: str) -> None:
    vr = _vr(tag)
    try:
        if vr == "SQ":
            if value:
                raise KeyProblem(
                    f"{key!r}: {_name(tag)} is a sequence, as in {_name(tag)}[0].PatientID={value}"
                )
            dataset.add_new(tag, vr, [])
        else:
            dataset.add_new(tag, vr, _converted(vr, value))
    except KeyProblem:
        raise
    except Exception as error:
        raise KeyProblem(f"{key!r}: {value!r} is no value for {_name(tag)} ({vr}): {error}") from None


def _converted(vr: str, value: str) -> Any:
    if not value:
        return None
    if vr in _BYTES:
        return bytes.fromhex(value)
    convert: Any = int if vr in _WHOLE_NUMBERS else float if vr in _REAL_NUMBERS else None
    if vr == "AT":
        return [_at(part) for part in value.split("\\")]
    if convert is None:
        return value if vr in _ONE_TEXT or "\\" not in value else value.split("\\")
    numbers = [convert(part) for part in value.split("\\")]
    return numbers if len(numbers) > 1 else numbers[0]


def _at(text: str) -> int:
    return int(re.sub(r"[(),\s]", "", text), 16)


def _tag(text: str, group: str | None, element: str | None, keyword: str | None) -> int:
    from pydicom.datadict import tag_for_keyword

    if group is not None and element is not None:
        tag = int(group + element, 16)
    else:
        found = tag_for_keyword(keyword or "")
        if found is None:
            raise KeyProblem(
                f"{text!r}: there is no attribute {keyword!r}; names are written as in PatientID"
            )
        tag = found
    if tag >> 16 in (0x0000, 0x0002):
        raise KeyProblem(f"{text!r}: group {tag >> 16:04X} is not part of a data set")
    return tag


def _vr(tag: int) -> str:
    from pydicom.datadict import dictionary_VR

    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        # The element that says who has reserved a private group.
        return "LO" if (tag >> 16) % 2 and 0x10 <= tag & 0xFFFF <= 0xFF else "UN"


def _name(tag: int) -> str:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
