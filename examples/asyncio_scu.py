"""Send files over several associations at once, then list the studies: python asyncio_scu.py PORT FILES."""

import asyncio
import sys

from pydicom import Dataset, dcmread

from dulcimer import aio, build_context
from dulcimer.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND

port = int(sys.argv[1])


async def send(path: str) -> None:
    header = dcmread(path, stop_before_pixels=True)
    context = build_context(header.SOPClassUID, header.file_meta.TransferSyntaxUID)
    async with aio.connect("127.0.0.1", port, [context]) as peer:
        status = await peer.send_c_store(path)
        print(f"{path}: {status.Status:04X}")


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        for path in sys.argv[2:]:
            group.create_task(send(path))
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = ""
    async with aio.connect("127.0.0.1", port, [build_context(FIND)]) as peer:
        async for _, match in peer.send_c_find(query, FIND):
            if match is not None:
                print("study", match.StudyInstanceUID)


asyncio.run(main())
