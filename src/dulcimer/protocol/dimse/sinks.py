"""Where a data set goes while it is received."""

from __future__ import annotations

from io import BytesIO
from typing import Protocol


class Sink(Protocol):
    """Takes a data set, fragment by fragment.

    ``write`` is given views of the receive buffer; they stay valid until ``flush``, which is called once for
    every buffer of input, so that a sink may gather them for one system call. At the end comes ``close`` (the
    data set is complete) or ``abort`` (it never will be, or it was refused). One that raises is aborted, be
    it in ``close``; so is one that was closed if the association ends before anybody was given the request.
    """

    def write(self, data: memoryview, /) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class DataSetTooLarge(Exception):
    """A data set outgrew the memory that was set aside for it."""


class MemorySink:
    """Keeps the data set in memory, up to ``limit`` bytes (None: no limit)."""

    __slots__ = ("_limit", "stream")

    def __init__(self, limit: int | None = None) -> None:
        self.stream = BytesIO()
        self._limit = limit

    def write(self, data: memoryview, /) -> None:
        if self._limit is not None and self.stream.tell() + len(data) > self._limit:
            raise DataSetTooLarge(f"the data set is longer than the {self._limit} bytes that are taken")
        self.stream.write(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.stream.seek(0)

    def abort(self) -> None:
        self.stream = BytesIO()


class NullSink:
    """Takes what nobody wants, so that the rest of the association lives on."""

    __slots__ = ()

    def write(self, data: memoryview, /) -> None:
        pass

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass
