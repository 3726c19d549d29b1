"""Worklist items from files: CSV with a heading, JSON, DICOM. Pure functions of what the files hold."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from pydicom import dcmread
from pydicom.datadict import DicomDictionary, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from dulcimer.services import worklist

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

SUFFIXES: Final = (".wl", ".dcm", ".csv", ".json")
"""The files that are taken from a folder."""

_FRIENDLY: Final = {
    "name": "PatientName",
    "patient": "PatientName",
    "mrn": "PatientID",
    "birthdate": "PatientBirthDate",
    "dateofbirth": "PatientBirthDate",
    "dob": "PatientBirthDate",
    "sex": "PatientSex",
    "gender": "PatientSex",
    "weight": "PatientWeight",
    "accession": "AccessionNumber",
    "station": "ScheduledStationAETitle",
    "aet": "ScheduledStationAETitle",
    "aetitle": "ScheduledStationAETitle",
    "stationaet": "ScheduledStationAETitle",
    "stationaetitle": "ScheduledStationAETitle",
    "stationname": "ScheduledStationName",
    "date": "ScheduledProcedureStepStartDate",
    "startdate": "ScheduledProcedureStepStartDate",
    "scheduleddate": "ScheduledProcedureStepStartDate",
    "time": "ScheduledProcedureStepStartTime",
    "starttime": "ScheduledProcedureStepStartTime",
    "scheduledtime": "ScheduledProcedureStepStartTime",
    "description": "ScheduledProcedureStepDescription",
    "procedure": "RequestedProcedureDescription",
    "proceduredescription": "RequestedProcedureDescription",
    "procedureid": "RequestedProcedureID",
    "stepid": "ScheduledProcedureStepID",
    "stepdescription": "ScheduledProcedureStepDescription",
    "status": "ScheduledProcedureStepStatus",
    "location": "ScheduledProcedureStepLocation",
    "physician": "ScheduledPerformingPhysicianName",
    "performingphysician": "ScheduledPerformingPhysicianName",
    "referringphysician": "ReferringPhysicianName",
    "requestingphysician": "RequestingPhysician",
    "priority": "RequestedProcedurePriority",
    "comments": "CommentsOnTheScheduledProcedureStep",
    "studyuid": "StudyInstanceUID",
    "protocol": "ScheduledProtocolCodeSequence",
    "protocolcode": "ScheduledProtocolCodeSequence",
    "procedurecode": "RequestedProcedureCodeSequence",
}
_TYPICAL: Final = ("ScheduledProcedureStepSequence", "RequestedProcedureID", "PatientID", "StudyInstanceUID")
_PUNCTUATION: Final = re.compile(r"[^a-z0-9]")
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Found:
    """An item, and where it was found."""

    where: str
    item: Dataset


@dataclass(frozen=True, slots=True)
class Bad:
    """What is no item, where, and why."""

    where: str
    reason: str


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Give files as they are, and those of folders that may hold items, in the order of their names."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                each for each in path.iterdir() if each.is_file() and each.suffix.lower() in SUFFIXES
            )
        else:
            yield path


def read(path: Path, now: datetime) -> Iterator[Found | Bad]:
    """Read the items of a file, whatever it is called.

    Parameters
    ----------
    path
        A DICOM file, a JSON file (an object or a list of them, by keyword or in the DICOM JSON model), or a
        CSV file with a heading.
    now
        When a step starts that has no start.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        yield Bad(str(path), f"cannot be read: {error.strerror}")
        return
    if content[128:132] == b"DICM":
        yield _made(str(path), lambda: _dicom(path), now)
    elif content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        yield from _json(path, content, now)
    elif path.suffix.lower() in {".wl", ".dcm"} or b"\0" in content:
        # Without the preamble: a data set alone.
        yield _made(str(path), lambda: _dicom(path), now)
    else:
        yield from _csv(path, content, now)


def _made(where: str, make: Any, now: datetime) -> Found | Bad:
    try:
        item = worklist.complete(make(), now=now)
        problems = worklist.validate(item)
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OSError) as error:
        return Bad(where, str(error))
    return Bad(where, "; ".join(problems)) if problems else Found(where, item)


def _dicom(path: Path) -> Dataset:
    try:
        dataset = dcmread(path, stop_before_pixels=True, force=True)
        if not any(keyword in dataset for keyword in _TYPICAL):
            # pydicom makes elements of any bytes.
            raise worklist.Unusable("is no DICOM file with a worklist item")
        # Bytes of another transfer syntax are none that can be kept as they are.
        for _ in dataset.iterall():
            pass
        return Dataset(dict(dataset.items()))
    except (InvalidDicomError, OSError, KeyError, NotImplementedError) as error:
        raise worklist.Unusable(f"is no DICOM file: {error}") from None


def _json(path: Path, content: bytes, now: datetime) -> Iterator[Found | Bad]:
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        yield Bad(f"{path}:{error.lineno}", f"is no JSON: {error.msg}")
        return
    except UnicodeDecodeError:
        yield Bad(str(path), "is no JSON: it is not UTF-8")
        return
    for number, each in enumerate(value if isinstance(value, list) else [value], 1):
        where = f"{path}: item {number}"
        if not isinstance(each, dict):
            yield Bad(where, "is no object of attributes")
            continue
        yield _made(where, lambda each=each: _from_object(each), now)


def _from_object(value: dict[str, Any]) -> Dataset:
    if value and all(_TAG.fullmatch(name) for name in value):
        return Dataset.from_json(value)
    values = {}
    for name, inner in value.items():
        keyword = keyword_of(name)
        if keyword is None:
            raise worklist.Unusable(f"there is no attribute {name!r}")
        values[keyword] = inner
    return worklist.item(values)


def _csv(path: Path, content: bytes, now: datetime) -> Iterator[Found | Bad]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = text.splitlines()
    heading = next((line for line in lines if line.strip()), "")
    if not heading:
        yield Bad(str(path), "is empty")
        return
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    keywords: list[str] | None = None
    try:
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            # Programs that make tables put delimiters after the last value.
            while cells and not cells[-1].strip():
                cells.pop()
            if not cells:
                continue
            if keywords is None:
                keywords = [keyword_of(cell) or "" for cell in cells]
                unknown = [cell for cell, keyword in zip(cells, keywords, strict=True) if not keyword]
                twice = sorted({each for each in keywords if keywords.count(each) > 1})
                if unknown or twice:
                    what = f"columns {', '.join(map(repr, unknown))}" if unknown else f"{twice[0]} twice"
                    why = "there is no such attribute" if unknown else "a column for each attribute is enough"
                    yield Bad(where, f"{what} in the heading: {why}")
                    return
                continue
            if len(cells) > len(keywords):
                yield Bad(where, f"{len(cells)} values under {len(keywords)} columns")
                continue
            values = {
                keyword: cell.strip() for keyword, cell in zip(keywords, cells, strict=False) if cell.strip()
            }
            yield _made(where, lambda values=values: worklist.item(values), now)
    except csv.Error as error:
        yield Bad(f"{path}:{reader.line_num}", f"is no CSV: {error}")


def keyword_of(name: str) -> str | None:
    """Return the keyword of an attribute from a keyword, a name ("Patient's Name") or a friendly name."""
    text = name.strip()
    plain = _PUNCTUATION.sub("", text.lower())
    # "Date" and "Time" are keywords as well, of attributes that no item has.
    if not plain:
        return None
    if plain not in _FRIENDLY and tag_for_keyword(text) is not None:
        return text
    return _names().get(plain)


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str]:
    names = {}
    keys = {row.tag for row in (*worklist.ATTRIBUTES, *worklist.STEP_ATTRIBUTES)}
    for tag, (_, _, name, _, keyword) in DicomDictionary.items():
        if keyword and (tag in keys or tag >> 16 in (0x0010, 0x0038)):
            names[_PUNCTUATION.sub("", name.lower())] = keyword
            names[keyword.lower()] = keyword
    return names | _FRIENDLY
