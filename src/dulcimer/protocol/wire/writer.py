"""Messages to P-DATA-TF: gather lists of 12-byte headers and views of the caller's own bytes.

No payload is copied: what is sent is a list for ``sendmsg``. A long data set leaves in batches, so that a
file of any size needs one chunk of memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final

Buffer = bytes | bytearray | memoryview
ChunkReader = Callable[[int], Iterable[Buffer]]
"""Called with a chunk size in bytes; yields the data set in chunks of that size, the last one shorter.

A chunk has to stay valid while the next one is fetched.
"""

DataSource = Buffer | ChunkReader

MAX_BATCH_BUFFERS: Final = 512
"""Well under the 1,024 buffers that ``sendmsg`` takes at once."""

CHUNK_SIZE: Final = 1 << 18
UNLIMITED_PDU: Final = 1 << 17
"""The PDU length used with a peer that announces no maximum."""

_HEADERS = struct.Struct(">BxIIBB")
_COMMAND = 0x01
_LAST = 0x02


def room_for(peer_max: int) -> int:
    """Return the payload bytes of one fragment for a peer's Maximum Length (0: unlimited, PS3.8 D.1)."""
    # Even, because peers exist that refuse a fragment of odd length. Where a maximum leaves no room at all,
    # a byte is sent for every PDU: such a peer has to be told something.
    return max(((peer_max or UNLIMITED_PDU) - 6) & ~1, 1)


def fragment(context_id: int, content: Buffer, *, command: bool) -> tuple[Buffer, Buffer]:
    """Return the P-DATA-TF of a command set or a data set that needs no more than one."""
    size = len(content)
    return _HEADERS.pack(4, size + 6, size + 2, context_id, _LAST | command), content


def batches(
    context_id: int, command: bytes, data: DataSource | None, peer_max: int
) -> Iterator[list[Buffer]]:
    """Yield gather lists that carry a message (PS3.8 Annex E).

    The buffers of a list are valid until the next one is asked for.
    """
    room = room_for(peer_max)
    batch: list[Buffer] = []
    for start in range(0, len(command), room):
        piece = command[start : start + room]
        control = _COMMAND | (_LAST if start + room >= len(command) else 0)
        batch += (_HEADERS.pack(4, len(piece) + 6, len(piece) + 2, context_id, control), piece)
        if len(batch) >= MAX_BATCH_BUFFERS:
            yield batch
            batch = []
    if data is None:
        if batch:
            yield batch
        return
    chunks = iter(data(max(CHUNK_SIZE // room, 1) * room)) if callable(data) else iter((data,))
    chunk = memoryview(next(chunks, b""))
    full = _HEADERS.pack(4, room + 6, room + 2, context_id, 0)
    while True:
        # One chunk ahead: only the very last fragment is marked as last.
        following = next(chunks, None)
        size = len(chunk)
        whole = size // room
        if following is None and whole and not size % room:
            whole -= 1
        for index in range(whole):
            batch += (full, chunk[index * room : (index + 1) * room])
            if len(batch) >= MAX_BATCH_BUFFERS:
                yield batch
                batch = []
        rest = chunk[whole * room :]
        if following is None:
            batch += (_HEADERS.pack(4, len(rest) + 6, len(rest) + 2, context_id, _LAST), rest)
            yield batch
            return
        if len(rest):
            batch += (_HEADERS.pack(4, len(rest) + 6, len(rest) + 2, context_id, 0), rest)
        if batch:
            yield batch
            batch = []
        chunk = memoryview(following)
