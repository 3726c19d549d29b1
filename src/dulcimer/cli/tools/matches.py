"""Writing what a query found: a table, CSV, JSON, files."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.tools.keys import columns, value_at

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CONTROL: Final = {"QueryRetrieveLevel", "TimezoneOffsetFromUTC"}
"""Attributes of a query that say how it is meant."""


class Writer(Protocol):
    """Writes matches one by one."""

    def add(self, match: Dataset) -> None: ...

    def close(self) -> None: ...


class Table:
    """A table on a terminal, tab separated lines elsewhere; a column for each attribute of the query."""

    def __init__(self, query: Dataset) -> None:
        self._columns = _shown(query)
        self._terminal = sys.stdout.isatty()
        self._rows: list[list[str]] = []
        self._begun = False

    def add(self, match: Dataset) -> None:
        row = [value_at(match, path) for _, path in self._columns]
        if self._terminal:
            # Its widths depend on all of them.
            self._rows.append(row)
            return
        self._begin()
        output.line("\t".join(map(output.flat, row)))

    def close(self) -> None:
        if self._terminal:
            names = [name for name, _ in self._columns]
            output.table(output.count(len(self._rows), "match", "matches"), names, self._rows)
        else:
            self._begin()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            output.line("\t".join(name for name, _ in self._columns))


class Csv:
    """CSV (RFC 4180) with a heading; a column for each attribute of the query."""

    def __init__(self, query: Dataset) -> None:
        self._columns = _shown(query)
        self._writer = csv.writer(sys.stdout)
        self._writer.writerow([name for name, _ in self._columns])

    def add(self, match: Dataset) -> None:
        self._writer.writerow([value_at(match, path) for _, path in self._columns])

    def close(self) -> None:
        sys.stdout.flush()


class Json:
    """A line for each match, in the DICOM JSON model (PS3.18 F)."""

    def add(self, match: Dataset) -> None:
        output.line(json.dumps(match.to_json_dict(suppress_invalid_tags=True), ensure_ascii=False))

    def close(self) -> None:
        pass


class Files:
    """A DICOM file for each match, ``rsp000001.dcm`` and so on (PS3.10 7.1).

    Parameters
    ----------
    folder
        Where they go.
    sop_class_uid, transfer_syntax_uid
        What was queried, and how the matches are encoded.
    """

    def __init__(self, folder: str | None, sop_class_uid: str, transfer_syntax_uid: str) -> None:
        self._folder = Path(folder or ".")
        self._class_uid = sop_class_uid
        self._syntax = transfer_syntax_uid
        self._count = 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Stop(Exit.FAILED, f"{folder} cannot be made: {error.strerror or error}") from None

    def add(self, match: Dataset) -> None:
        from pydicom.dataset import FileMetaDataset
        from pydicom.uid import UID, generate_uid

        from dulcimer.identity import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION, UID_PREFIX

        self._count += 1
        path = self._folder / f"rsp{self._count:06d}.dcm"
        meta: Any = FileMetaDataset()
        meta.MediaStorageSOPClassUID = UID(self._class_uid)
        meta.MediaStorageSOPInstanceUID = match.get("SOPInstanceUID") or generate_uid(prefix=UID_PREFIX)
        meta.TransferSyntaxUID = UID(self._syntax)
        meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
        meta.ImplementationVersionName = IMPLEMENTATION_VERSION
        match.file_meta = meta
        try:
            match.save_as(path, enforce_file_format=True)
        except OSError as error:
            raise Stop(Exit.FAILED, f"{path} cannot be written: {error.strerror or error}") from None

    def close(self) -> None:
        pass


def _shown(query: Dataset) -> list[tuple[str, Any]]:
    found = columns(query)
    return [column for column in found if column[0] not in _CONTROL] or found
