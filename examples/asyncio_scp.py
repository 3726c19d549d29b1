"""Keep what is sent and answer queries for it, in one event loop: python asyncio_scp.py PORT."""

import asyncio
import sys
from collections.abc import AsyncIterator

from pydicom import Dataset

from dulcimer import AE, aio, evt
from dulcimer.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND

kept: dict[str, Dataset] = {}


async def handle_store(event: evt.Event) -> int:
    kept[event.request.AffectedSOPInstanceUID] = event.dataset
    return 0x0000


async def handle_find(event: evt.Event) -> AsyncIterator[tuple[int, Dataset]]:
    for dataset in list(kept.values()):
        await asyncio.sleep(0)  # a database would be asked here
        match = Dataset()
        match.QueryRetrieveLevel = "STUDY"
        match.StudyInstanceUID = dataset.StudyInstanceUID
        yield 0xFF00, match


async def main() -> None:
    ae = AE("KEEPER")
    ae.add_supported_context(FIND)
    handlers = [(evt.EVT_C_STORE, handle_store), (evt.EVT_C_FIND, handle_find)]
    address = ("127.0.0.1", int(sys.argv[1]))
    async with aio.serve(ae, address, storage="any", evt_handlers=handlers) as server:
        print("listening at", server.server_address[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
