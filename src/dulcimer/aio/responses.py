"""The responses to a C-FIND, C-GET or C-MOVE, as they come (PS3.7 9.1.2 to 9.1.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Self

from dulcimer.errors import AssociationError
from dulcimer.ops import query
from dulcimer.ops.requests import Response
from dulcimer.results import Pair

if TYPE_CHECKING:
    from types import TracebackType

    from dulcimer.aio.driver import Driver
    from dulcimer.ops.query import Inquiry


class Responses(AsyncIterator[Pair]):
    """The responses to one request, in order; the last one has a final status.

    The request is sent when the first one is asked for. Nothing is read far ahead of who iterates, so that a
    long result needs no memory. Who stops before the end, with :meth:`aclose`, by leaving ``async with``, by
    dropping the iterator or by being cancelled, cancels the operation (C-CANCEL): its further responses are
    dropped, and the association can be used for others.

    Parameters
    ----------
    driver
        The association's.
    inquire
        Sends the request; gives None if the association ended before.
    convert
        Makes the pair of a response; of None, which there was none, too.
    """

    def __init__(
        self,
        driver: Driver,
        inquire: Callable[[], Awaitable[Inquiry | None]],
        convert: Callable[[Response | None], Pair],
    ) -> None:
        self._driver = driver
        self._inquire: Callable[[], Awaitable[Inquiry | None]] | None = inquire
        self._inquiry: Inquiry | None = None
        self._convert = convert
        self._done = False

    @property
    def message_id(self) -> int | None:
        """The *Message ID* of the request, None if it was not sent."""
        return None if self._inquiry is None else self._inquiry.exchange.message_id

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Pair:
        if self._done:
            raise StopAsyncIteration
        if self._inquire is not None:
            inquire, self._inquire = self._inquire, None
            try:
                self._inquiry = await inquire()
            except BaseException:
                self._done = True
                raise
        response = await self._receive()
        if response is None and self._done:
            # Another task has closed it, or has had the last one, meanwhile.
            raise StopAsyncIteration
        self._done = response is None or self._is_last
        return self._convert(response)

    @property
    def _is_last(self) -> bool:
        assert self._inquiry is not None
        exchange = self._inquiry.exchange
        return exchange.answered and not exchange.responses

    async def _receive(self) -> Response | None:
        inquiry, driver = self._inquiry, self._driver
        if inquiry is None:
            return None
        if inquiry.exchange.responses:
            response = Response(inquiry.exchange.responses.popleft(), inquiry.context)
            driver.taken()
            return response
        try:
            return await driver.run(query.next_response(driver.engine, inquiry))
        except AssociationError:
            # What happened is in `failure`, and was logged when it did.
            return None
        except BaseException:
            self.close()
            driver.expect(frozenset({inquiry.exchange.message_id}) & driver.engine.given_up)
            raise

    def close(self) -> None:
        """Take no more of them: cancel the operation if it has not ended. It waits for nothing."""
        if not self._done and self._inquiry is not None:
            self._driver.run_soon(query.leave_off(self._driver.engine, self._inquiry))
        self._done = True

    async def aclose(self) -> None:
        """Do as :meth:`close` does."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Not there if the constructor raised.
        if not getattr(self, "_done", True):
            self.close()
