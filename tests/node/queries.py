"""Queries for tests of Query/Retrieve."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pynetdicom
from pydicom import dcmread
from pydicom.dataset import Dataset

from dulcimer import build_context

PATIENT = "1.2.840.10008.5.1.4.1.2.1."
STUDY = "1.2.840.10008.5.1.4.1.2.2."
FIND, MOVE, GET = "1", "2", "3"


def identifier(level: str | None, **keys: Any) -> Dataset:
    """Make an identifier; without a level it has none."""
    found = Dataset()
    if level is not None:
        found.QueryRetrieveLevel = level
    if "SpecificCharacterSet" in keys:
        found.SpecificCharacterSet = keys.pop("SpecificCharacterSet")
    for keyword, value in keys.items():
        setattr(found, keyword, value)
    return found


def matches(assoc: Any, level: str, *, read: bytes | None = None, **keys: Any) -> list[Dataset]:
    """Query the Study Root and return the identifiers of all matches; the query succeeds.

    ``read`` is an identifier in Implicit VR Little Endian.
    """
    query = identifier(level, **keys) if read is None else dcmread(BytesIO(read), force=True)
    *pending, (final, nothing) = assoc.send_c_find(query, STUDY + FIND)
    assert final.Status == 0x0000
    assert nothing is None
    assert {status.Status for status, _ in pending} <= {0xFF00, 0xFF01}
    found = [match for _, match in pending]
    for match in found:
        assert match.QueryRetrieveLevel == level
    return found


def contexts(library: str, sop_class: str, syntax: str) -> list[Any]:
    """Return a context for either library."""
    build: Any = build_context if library == "dulcimer" else pynetdicom.build_context
    return [build(sop_class, syntax)]
