"""Services in an application entity of their own, over loopback."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dulcimer import AE, build_context
from dulcimer.scp.reports import Reporter
from dulcimer.scp.service import Services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dulcimer import Association
    from dulcimer.scp.service import Service


class Serving:
    """A server with services, and the associations that tests open with it."""

    def __init__(self, make: Callable[[Reporter], Sequence[Service]], **reporter: Any) -> None:
        self.ae = AE("SCP")
        self.reporter = Reporter(self.ae, **{"first_delay": 0.05, "longest_delay": 0.2, **reporter})
        self.services = list(make(self.reporter))
        services = Services(self.services)
        services.add_to(self.ae)
        self.server = self.ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[*services.handlers(), *self.reporter.handlers()]
        )
        self._associations: list[Association] = []

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.server.server_address[:2]
        return str(host), int(port)

    def associate(self, *uids: str, handlers: Sequence[Any] = (), aet: str = "SCU") -> Association:
        ae = AE(aet)
        contexts = [build_context(uid) for uid in uids]
        association = ae.associate(*self.address, contexts=contexts, evt_handlers=list(handlers))
        assert association.is_established, association.failure
        self._associations.append(association)
        return association

    def close(self) -> None:
        for association in self._associations:
            if association.is_established:
                association.release()
        self.server.shutdown()
        self.reporter.close()
        for service in self.services:
            close = getattr(service, "close", None)
            if close is not None:
                close()


@contextmanager
def serving(make: Callable[[Reporter], Sequence[Service]], **reporter: Any) -> Iterator[Serving]:
    found = Serving(make, **reporter)
    try:
        yield found
    finally:
        found.close()
