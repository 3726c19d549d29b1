"""The responses to a C-FIND, C-GET or C-MOVE, as they come (PS3.7 9.1.2 to 9.1.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

from dulcimer.errors import AssociationError
from dulcimer.ops import query
from dulcimer.ops.requests import Response
from dulcimer.results import Pair

if TYPE_CHECKING:
    from dulcimer.ops.query import Inquiry
    from dulcimer.threads.association import Driver


class Responses(Iterator[Pair]):
    """The responses to one request, in order; the last one has a final status.

    Nothing is read ahead of who iterates, so that a long result needs no memory. Who stops before the end,
    with :meth:`close` or by dropping the iterator, cancels the operation (C-CANCEL): its further responses
    are dropped, and the association can be used for others.

    Parameters
    ----------
    driver
        The association's.
    inquiry
        The request; None if the association ended before it was sent.
    convert
        Makes the pair of a response; of None, which there was none, too.
    """

    def __init__(
        self, driver: Driver, inquiry: Inquiry | None, convert: Callable[[Response | None], Pair]
    ) -> None:
        self._driver = driver
        self._inquiry = inquiry
        self._convert = convert
        self._done = False

    @property
    def message_id(self) -> int | None:
        """The *Message ID* of the request, None if it was not sent."""
        return None if self._inquiry is None else self._inquiry.exchange.message_id

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Pair:
        if self._done:
            raise StopIteration
        response = self._receive()
        if response is None and self._done:
            # Another thread has closed it, or has had the last one, meanwhile.
            raise StopIteration
        self._done = response is None or self._is_last
        return self._convert(response)

    @property
    def _is_last(self) -> bool:
        assert self._inquiry is not None
        exchange = self._inquiry.exchange
        return exchange.answered and not exchange.responses

    def _receive(self) -> Response | None:
        inquiry, driver = self._inquiry, self._driver
        if inquiry is None:
            return None
        if inquiry.exchange.responses:
            # Here already: no need to ask for the association.
            return Response(inquiry.exchange.responses.popleft(), inquiry.context)
        try:
            return driver.run(query.next_response(driver.engine, inquiry))
        except AssociationError:
            # What happened is in `failure`, and was logged when it did.
            return None

    def close(self) -> None:
        """Take no more of them: cancel the operation if it has not ended."""
        if not self._done and self._inquiry is not None:
            self._driver.run_soon(query.leave_off(self._driver.engine, self._inquiry))
        self._done = True

    def __del__(self) -> None:
        # Not there if the constructor raised.
        if not getattr(self, "_done", True):
            self.close()
