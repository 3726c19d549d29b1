"""Whole PDUs out of a stream, for those who want to see them.

The reader never puts a P-DATA-TF together. This does, beside it and only while somebody watches. No more is
kept than one PDU that has begun to arrive.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

HEADER: Final = 6
"""Bytes of the header of a PDU: its type, a reserved byte, the length of what follows (PS3.8 9.3.1)."""

_LENGTH = struct.Struct(">2xI")


class Splitter:
    """Cuts a stream at the ends of its PDUs.

    Parameters
    ----------
    skip
        How many bytes belong to a PDU of which the beginning was not seen; it is left out.
    begun
        What is here of the PDU that comes next.
    """

    __slots__ = ("_begun", "_skip")

    def __init__(self, skip: int = 0, begun: bytes = b"") -> None:
        self._skip = skip
        self._begun = bytearray(begun)

    def cut(self, data: memoryview) -> Iterator[tuple[int, bytes | None]]:
        """Cut what has arrived.

        Yields
        ------
        tuple of int and bytes
            How many bytes come next, and the PDU that they complete, with its header; None for none.
        """
        low, end = 0, len(data)
        begun = self._begun
        while low < end:
            here = end - low
            if self._skip:
                take = min(self._skip, here)
                self._skip -= take
                yield take, None
            elif not begun and here >= HEADER and here >= (size := _size(data[low:])):
                take = size
                yield take, bytes(data[low : low + take])
            else:
                goal = HEADER if len(begun) < HEADER else _size(begun)
                take = min(goal - len(begun), here)
                begun += data[low : low + take]
                whole = None
                if len(begun) >= HEADER and len(begun) == _size(begun):
                    whole = bytes(begun)
                    begun.clear()
                yield take, whole
            low += take


def _size(pdu: bytearray | memoryview) -> int:
    length: int = _LENGTH.unpack_from(pdu)[0]
    return HEADER + length
