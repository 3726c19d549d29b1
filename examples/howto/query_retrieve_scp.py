"""Answer queries, retrievals for files: python query_retrieve_scp.py PORT FOLDER [AET=HOST:PORT].

A study is what the example knows; `dulcimer qrscp` is the whole service with an index.
"""

import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from pydicom import Dataset, dcmread

from dulcimer import AE, StoragePresentationContexts, evt
from dulcimer.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

objects = [(path, dcmread(path, stop_before_pixels=True)) for path in sorted(Path(sys.argv[2]).iterdir())]
destinations = dict(argument.split("=") for argument in sys.argv[3:])
Result = tuple[int, Dataset | None]


def handle_find(event: evt.Event) -> Iterator[Result]:
    query = event.identifier
    if query.get("QueryRetrieveLevel") != "STUDY":
        yield 0xA900, None  # the identifier does not match the SOP class
        return
    pattern = str(query.get("PatientName") or "*")
    studies = {item.StudyInstanceUID: item for _, item in objects}
    for study in studies.values():
        if event.is_cancelled:
            yield 0xFE00, None
            return
        if fnmatchcase(str(study.PatientName), pattern):
            match = Dataset()
            match.QueryRetrieveLevel = "STUDY"
            for element in query:
                if element.keyword != "QueryRetrieveLevel":
                    setattr(match, element.keyword, study.get(element.keyword, ""))
            yield 0xFF00, match


def found(query: Dataset) -> list[Path]:
    return [path for path, item in objects if item.StudyInstanceUID == query.get("StudyInstanceUID")]


def handle_get(event: evt.Event) -> Iterator[int | Result]:
    paths = found(event.identifier)
    yield len(paths)  # first the number of sub-operations
    for path in paths:
        yield 0xFF00, dcmread(path)


def handle_move(event: evt.Event) -> Iterator[object]:
    where = destinations.get(event.move_destination)
    if where is None:
        yield None, None  # answered A801: move destination unknown
        return
    host, _, port = where.rpartition(":")
    paths = found(event.identifier)
    contexts = [context for context in StoragePresentationContexts if context.abstract_syntax in stored]
    yield host, int(port), {"contexts": contexts}  # first the address, with arguments of AE.associate
    yield len(paths)  # then the number of sub-operations
    for path in paths:
        yield 0xFF00, dcmread(path)


stored = {item.SOPClassUID for _, item in objects}
ae = AE("QRSCP")
ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
ae.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
for sop_class in stored:
    ae.add_supported_context(sop_class, scu_role=True, scp_role=True)  # in a C-GET the requestor is the SCP
ae.start_server(
    ("127.0.0.1", int(sys.argv[1])),
    evt_handlers=[
        (evt.EVT_C_FIND, handle_find),
        (evt.EVT_C_GET, handle_get),
        (evt.EVT_C_MOVE, handle_move),
    ],
)
