"""The asyncio driver against the blocking one, pynetdicom and DCMTK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from aio.network import Loop
from aio.test_aio import CLASSES, FIND, MPPS, contexts, entity, instance, match, query
from dulcimer import aio, evt
from interop import dcmtk


def on_find(event: Any) -> Iterator[Any]:
    for number in range(20):
        yield 0xFF00, match(number)


async def on_find_later(event: Any) -> AsyncIterator[Any]:
    for pair in on_find(event):
        await asyncio.sleep(0)
        yield pair


async def use(port: int) -> None:
    """Use what a peer offers."""
    async with aio.connect("127.0.0.1", port, contexts(), ae_title="PEER") as peer:
        assert (await peer.send_c_echo()).Status == 0
        assert (await peer.send_c_store(instance(size=300_000))).Status == 0
        change = Dataset()
        change.PatientID = "1"
        assert (await peer.send_n_set(change, MPPS, "1.2.3"))[1].PatientID == "1"
        got = [status.Status async for status, _ in peer.send_c_find(query(), FIND)]
        assert got == [0xFF00] * 20 + [0x0000]
        async for _ in peer.send_c_find(query(), FIND):
            break
        assert (await peer.send_c_echo()).Status == 0
    assert peer.is_released


def test_requestor_with_our_blocking_acceptor() -> None:
    handlers = [
        (evt.EVT_C_STORE, lambda event: 0),
        (evt.EVT_C_FIND, on_find),
        (evt.EVT_N_SET, lambda event: (0, event.modification_list)),
    ]
    server = entity().start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        asyncio.run(use(server.server_address[1]))
    finally:
        server.shutdown()


@pytest.mark.interop
def test_requestor_with_pynetdicom() -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    theirs = pynetdicom.evt
    ae = pynetdicom.AE("PEER")
    for uid in CLASSES:
        ae.add_supported_context(uid)
    handlers = [
        (theirs.EVT_C_STORE, lambda event: 0),
        (theirs.EVT_C_FIND, on_find),
        (theirs.EVT_N_SET, lambda event: (0, event.modification_list)),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        asyncio.run(use(server.server_address[1]))
    finally:
        server.shutdown()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a server in a loop; what it receives goes to files."""
    loop = Loop()

    async def begin() -> aio.Server:
        handlers = [
            (evt.EVT_C_STORE_OPEN, lambda event: tmp_path / event.file_name),
            (evt.EVT_C_STORE, lambda event: 0),
            (evt.EVT_C_FIND, on_find_later),
            (evt.EVT_N_SET, lambda event: (0, event.modification_list)),
        ]
        return await aio.serve(entity(), ("127.0.0.1", 0), evt_handlers=handlers)

    server = loop.run(begin())
    yield server.server_address[1]
    loop.run(server.close())
    loop.close()


def test_acceptor_with_our_blocking_requestor(port: int, tmp_path: Path) -> None:
    assoc = entity().associate("127.0.0.1", port, contexts())
    assert assoc.send_c_store(instance(size=300_000)).Status == 0
    assert len(list(assoc.send_c_find(query(), FIND))) == 21
    for _ in assoc.send_c_find(query(), FIND):
        break
    assert assoc.send_c_echo().Status == 0
    assoc.release()
    assert assoc.is_released
    assert (tmp_path / "1.2.3.1.dcm").stat().st_size > 300_000


@pytest.mark.interop
@dcmtk.needs("storescu", "findscu", "echoscu")
def test_acceptor_with_dcmtk(port: int, tmp_path: Path) -> None:
    paths = []
    for number in range(3):
        ds = instance(number, size=200_000)
        paths.append(str(tmp_path / f"sent{number}"))
        dcmwrite(paths[-1], ds, enforce_file_format=True)
    where = ("127.0.0.1", str(port))
    assert dcmtk.run("echoscu", *where).returncode == 0
    done = dcmtk.run("storescu", *where, *paths)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "1.2.3.2.dcm").is_file()
    asked = ("-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID")
    found = dcmtk.run("findscu", "-S", *where, *asked)
    assert found.returncode == 0
    assert "[19]" in found.stdout
    cancelled = dcmtk.run("findscu", "-S", "--cancel", "3", *where, *asked)
    assert cancelled.returncode == 0
