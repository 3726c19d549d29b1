"""The page of a node: its server, and what of the node it is told and shown."""

from __future__ import annotations

import logging
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from importlib.util import find_spec
from socket import gaierror
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from dulcimer.node.adapters.changes import Changes
from dulcimer.node.adapters.meter import Meter
from dulcimer.node.adapters.recent import RecentLines
from dulcimer.node.config import WEB_PORT
from dulcimer.scp.mpps import MppsService
from dulcimer.scp.print_management import PrintService
from dulcimer.scp.storage_commitment import StorageCommitmentService
from dulcimer.scp.ups import UpsService
from dulcimer.scp.worklist import WorklistService
from dulcimer.web.server import NEEDED, PageServer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dulcimer.node.config import Config
    from dulcimer.scp.service import Service
    from dulcimer.web.view import Topic, View

_log: Final = logging.getLogger("dulcimer.node")

_TOPICS: Final[tuple[tuple[type[Service], Topic], ...]] = (
    (MppsService, "steps"),
    (UpsService, "steps"),
    (WorklistService, "steps"),
    (PrintService, "films"),
    (StorageCommitmentService, "commitments"),
)
_BY_THEMSELVES: Final = ("deleted", "job", "judged", "printer", "status")
"""What services do without being asked by a peer just then."""


class PageError(Exception):
    """The page cannot be where it was asked to be: the text says why and what would help."""


class Page:
    """Listens from construction on, and counts and remembers what the node does.

    Parameters
    ----------
    config
        How the node is configured.
    services
        The services of the node.
    thumbnails
        The folder for small pictures.

    Raises
    ------
    PageError
        The page was asked for by its port and cannot be there.
    """

    def __init__(self, config: Config, services: Iterable[Service], thumbnails: Path) -> None:
        self._config = config
        self._thumbnails = thumbnails
        self._view: View | None = None
        self._ready = Event()
        self.changes = Changes()
        self.lines = RecentLines(self.changes)
        topics: dict[str, Topic] = {}
        for service in services:
            topic = _topic(service)
            topics.update((uid, topic) for uid in (*service.contexts, *service.sop_classes))
            for happening in _BY_THEMSELVES:
                service.on(happening, lambda *_, of=topic: self.changes.tell(of))
        self.meter = Meter(self.changes, topics)
        self._server = self._listen()
        self.lines.start()

    @property
    def url(self) -> str:
        """The address of the page; empty if there is none."""
        return "" if self._server is None else self._server.url

    def show(self, view: View) -> None:
        """Begin to show; who came earlier has waited."""
        self._view = view
        self._ready.set()

    def close(self) -> None:
        """Show no more."""
        self.lines.stop()
        self._ready.set()
        if self._server is not None:
            self._server.close()

    def _listen(self) -> PageServer | None:
        config = self._config
        port = WEB_PORT if config.web_port is None else config.web_port
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            why = f"{' and '.join(missing)} missing; pip install 'dulcimer[web]' brings what it needs"
        else:
            try:
                return PageServer(self._make, config.web_host, port)
            except OSError as error:
                why = _why_not(config.web_host, port, error)
        if config.web_port is not None:
            raise PageError(f"no page: {why}")
        _log.warning("no page: %s", why)
        return None

    def _make(self) -> Any:
        from dulcimer.web.app import make_app

        self._ready.wait()
        if self._view is None:
            return None
        return make_app(self._view, self._thumbnails, self._config.web_access)


def _topic(service: Service) -> Topic:
    for kind, topic in _TOPICS:
        if isinstance(service, kind):
            return topic
    return "events"


def _why_not(host: str, port: int, error: OSError) -> str:
    place = f"{host}:{port}"
    if error.errno == EADDRINUSE:
        return f"{place} is in use; choose another port with --web-port (0: any free one), or --no-web"
    if error.errno == EACCES:
        return f"no right to listen on {place}; choose a port above 1023 with --web-port"
    if error.errno == EADDRNOTAVAIL or isinstance(error, gaierror):
        return f"{host} is no address of this machine; choose one with --web-host"
    return f"cannot listen on {place}: {error.strerror or error}"
