"""The node put together: configuration in, a running server out."""

from __future__ import annotations

import errno
import logging
import os
import resource
import signal
import socket
from functools import partial
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy.exc import DatabaseError

from dulcimer import AE
from dulcimer.node.adapters.catchup import CatchUp
from dulcimer.node.adapters.database import Database, Synchronous
from dulcimer.node.adapters.dimse import Handlers
from dulcimer.node.adapters.files import DataFolder, DataFolderError, ObjectStore
from dulcimer.node.adapters.further import Further
from dulcimer.node.adapters.holdings import Holdings
from dulcimer.node.adapters.index import LaterIndex, SqlIndex
from dulcimer.node.adapters.instances import SqlRepository
from dulcimer.node.adapters.printing import make_printer, missing_packages
from dulcimer.node.adapters.queries import Place, QueryRetrieve
from dulcimer.node.adapters.reports import SqlReportQueue
from dulcimer.node.adapters.search import SqlSearch
from dulcimer.node.adapters.services import ServiceHandlers
from dulcimer.node.adapters.steps import steps_in
from dulcimer.node.adapters.subscriptions import SqlSubscriptions
from dulcimer.node.adapters.tallies import Tallies
from dulcimer.node.adapters.view import NodeView
from dulcimer.node.adapters.worklist import SqlWorklistSearch, worklist_in
from dulcimer.node.config import Config, Durability
from dulcimer.node.domain.archive import Archive
from dulcimer.node.domain.query import MODELS
from dulcimer.node.domain.recovery import recover
from dulcimer.node.page import Page, PageError
from dulcimer.scp.mpps import MppsService
from dulcimer.scp.print_management import PrintService
from dulcimer.scp.reports import Peer, Reporter
from dulcimer.scp.service import Service, Services
from dulcimer.scp.ups import UpsService
from dulcimer.scp.worklist import WorklistService
from dulcimer.services import ups
from dulcimer.services.matching import matches
from dulcimer.tls import TLS, TLSConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dulcimer.node.destinations import Destination

_log: Final = logging.getLogger("dulcimer.node")

LONGEST_STEP: Final = 1 << 26
"""The longest data set of a procedure step that is taken, in bytes; objects go to files and have no limit."""

VERIFICATION: Final = "1.2.840.10008.1.1"
UNCOMPRESSED: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2")

_SYNCHRONOUS: Final[dict[Durability, Synchronous]] = {
    Durability.FULL: "FULL",
    Durability.FILE: "NORMAL",
    Durability.OFF: "OFF",
}


class StartError(Exception):
    """The node cannot start: the text says why and what would help."""


class Node:
    """A node that listens from construction on, until :meth:`stop`.

    Raises
    ------
    StartError
        The data folder cannot be used, or the address cannot be listened on.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        try:
            self._folder = DataFolder(config.data)
        except DataFolderError as error:
            raise StartError(str(error)) from None
        try:
            self._database = _open_database(self._folder, config)
        except StartError:
            self._folder.close(clean=False)
            raise
        self._store: ObjectStore | None = None
        self._catch_up: CatchUp | None = None
        self._reporter: Reporter | None = None
        self._further: Further | None = None
        self._printing: PrintService | None = None
        self._page: Page | None = None
        later = config.durability is Durability.OFF
        self._index = LaterIndex(self._database) if later else SqlIndex(self._database)
        try:
            store = self._store = ObjectStore(self._folder, config.durability)
            archive = Archive(store, self._index)
            recover(store, self._index, archive, self._folder.unclean_since)
            self._index.wait_until_written()
            self._catch_up = CatchUp(self._index, self._folder.objects)
            tallies = Tallies()
            ae = self._entity()
            peers = {each.aet: _peer(config, each) for each in _report_destinations(config)}
            reporter = self._reporter = Reporter(ae, peers, SqlReportQueue(self._database))
            services = Services(self._make_services(reporter))
            handlers = Handlers(
                store,
                archive,
                ServiceHandlers(services, tallies),
                queries=QueryRetrieve(
                    SqlSearch(self._database.readers),
                    self._folder.objects,
                    tallies,
                    aet=config.aet,
                    destinations={each.aet: _place(config, each) for each in config.destinations},
                    allowed=frozenset(config.query_allow) or None,
                    limit=config.query_limit,
                    insensitive_names=config.match_names == "insensitive",
                    before=self._index.wait_until_written,
                ),
                reporter=reporter,
                tallies=tallies,
                object_timeout=config.dimse_timeout or None,
                idle_timeout=config.idle_timeout or None,
            )
            services.add_to(ae, list(UNCOMPRESSED))
            if config.web:
                self._page = self._make_page(services)
            self._server = self._listen(ae, handlers)
            if self._page is not None:
                self._page.show(self._view(self._page, tallies))
            self._ups.status_changed("RESTARTED")
        except BaseException as error:
            self._close_data(clean=False)
            if isinstance(error, OSError):
                raise StartError(f"the data folder {config.data} cannot be used: {error}") from error
            raise

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that the node listens on."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    @property
    def active_associations(self) -> int:
        """How many associations are there now."""
        return len(self._server.active_associations)

    @property
    def page(self) -> str:
        """The address of the page; empty if there is none."""
        return "" if self._page is None else self._page.url

    def stop(self, timeout: float | None = None) -> bool:
        """Accept nothing new, let what is running end within ``timeout`` seconds, and close.

        Returns False if associations had to be aborted.
        """
        finished = bool(self._server.drain(self.config.drain_timeout if timeout is None else timeout))
        # Who was cut off may have been between the file and the index.
        self._close_data(clean=finished)
        return finished

    def kill(self) -> None:
        """Abort what is running, which makes a :meth:`stop` under way return."""
        self._server.shutdown()

    def _close_data(self, *, clean: bool) -> None:
        if self._page is not None:
            self._page.close()
        if self._catch_up is not None:
            self._catch_up.close()
        if self._reporter is not None:
            self._reporter.close()
        if self._printing is not None:
            self._printing.close()
        if self._further is not None:
            self._further.close()
        if self._store is not None:
            self._store.close()
        self._index.close()
        written = not isinstance(self._index, LaterIndex) or not self._index.waiting
        self._database.close()
        self._folder.close(clean=clean and written)

    def _make_services(self, reporter: Reporter) -> list[Service]:
        """Make the services that keep SOP instances."""
        config, database = self.config, self._database
        self._ups = UpsService(
            SqlRepository(database, "ups", ups.state_of),
            SqlSubscriptions(database),
            reporter,
            level=config.ups_level,
            matches=partial(matches, names=config.match_names),
        )
        performed = MppsService(steps_in(database), config.mpps_level, reporter, config.mpps_notify)
        services: list[Service] = [performed, self._ups]
        if config.worklist:
            scheduled = WorklistService(
                worklist_in(database),
                SqlWorklistSearch(database),
                only_own_station=config.worklist_own_station,
                hide_finished=config.worklist_hide_finished,
                limit=config.worklist_limit,
                names=config.match_names,
            )
            scheduled.follow(performed)
            services.append(scheduled)
        if config.printer is not None:
            if missing := missing_packages():
                raise StartError(
                    f"printing needs {' and '.join(missing)}; install it with: "
                    "pip install 'dulcimer[print]', or start with --no-printer"
                )
            self._printing = make_printer(
                database,
                self._folder.films,
                config.printer,
                level=config.print_level,
                flush=config.durability is not Durability.OFF,
            )
            services.append(self._printing)
        if config.media_iso and find_spec("pycdlib") is None:
            raise StartError(
                "ISO images need pycdlib; install it with: pip install 'dulcimer[media]', or start without "
                "--media-iso"
            )
        self._further = Further(
            database,
            Holdings(database.readers, self._folder.objects, self._index.wait_until_written),
            reporter,
            aet=config.aet,
            media=self._folder.root / "media",
            level=config.service_level,
            display_system=config.display_system,
            iso=config.media_iso,
        )
        return [*services, *self._further.services]

    def _make_page(self, services: Services) -> Page:
        try:
            return Page(self.config, services.services, self._folder.root / "thumbnails")
        except PageError as error:
            raise StartError(str(error)) from None

    def _view(self, page: Page, tallies: Tallies) -> NodeView:
        return NodeView(
            self.config,
            self._database.readers,
            objects=self._folder.objects,
            films=self._folder.films,
            server=self._server,
            tallies=tallies,
            meter=page.meter,
            lines=page.lines,
            changes=page.changes,
        )

    def _entity(self) -> AE:
        config = self.config
        ae = AE(config.aet)
        ae.maximum_pdu_size = config.max_pdu
        ae.maximum_data_set = LONGEST_STEP
        ae.maximum_associations = config.max_associations
        ae.acse_timeout = config.acse_timeout or None
        ae.dimse_timeout = config.dimse_timeout or None
        ae.network_timeout = config.idle_timeout or None
        ae.require_called_aet = config.require_called_aet
        ae.require_calling_aet = list(config.allow)
        for class_uid in (
            VERIFICATION,
            *MODELS,
        ):
            ae.add_supported_context(class_uid, list(UNCOMPRESSED))
        return ae

    def _listen(self, ae: AE, handlers: Handlers) -> Any:
        config = self.config
        bindings = handlers.bindings()
        try:
            context = None if config.tls is None else config.tls.server_context()
        except TLSConfigurationError as error:
            raise StartError(f"TLS: {error}") from None
        try:
            return ae.start_server(
                (config.host, config.port),
                block=False,
                ssl_context=context,
                evt_handlers=bindings if self._page is None else self._page.meter.around(bindings),
                storage="any",
            )
        except OSError as error:
            raise StartError(_why_not_listening(config, error)) from error


def run(config: Config, announce: Callable[[str, str, int, str], None]) -> bool:
    """Serve until SIGTERM or Ctrl-C; a second signal aborts what is still running.

    ``announce`` is given one line, host and port once the node is really listening, and the address of the
    page, empty if there is none. Returns False if associations were aborted.
    """
    _raise_descriptor_limit()
    node = Node(config)
    with _Signals() as signals:
        host, port = node.address
        shown = f"[{host}]" if ":" in host else host
        try:
            text = f"listening on {shown}:{port} as {config.aet}, storing in {config.data}"
            announce(text, host, port, node.page)
        except BaseException:
            node.stop(0.0)
            raise
        signals.wait()
        signals.on_next(node.kill)
        if count := node.active_associations:
            what = "1 association" if count == 1 else f"{count} associations"
            _log.info("stopping: waiting for %s to end; once more ends it at once", what)
        finished = node.stop()
    if finished:
        _log.info("stopped")
    else:
        _log.warning("stopped after aborting associations that did not end")
    return finished


class _Signals:
    """SIGTERM and Ctrl-C as something to wait for.

    A handler may interrupt this program anywhere, also where it holds a lock, so it must not do a thing: all
    that happens is that the interpreter writes a byte into a pipe.
    """

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._over = False
        self._thread: Thread | None = None
        self._former_descriptor = signal.set_wakeup_fd(self._writer)
        self._former = {
            number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)
        }
        return self

    def __exit__(self, *_exception: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_descriptor)
        self._over = True
        if self._thread is not None:
            os.write(self._writer, b"\0")
            self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def wait(self) -> None:
        """Wait for a signal."""
        os.read(self._reader, 1)

    def on_next(self, act: Callable[[], object]) -> None:
        """Have something done, by a thread of its own, at the next signal."""

        def run() -> None:
            self.wait()
            if not self._over:
                act()

        self._thread = Thread(target=run, name="second-signal", daemon=True)
        self._thread.start()


def _open_database(folder: DataFolder, config: Config) -> Database:
    try:
        return Database(folder.index, _SYNCHRONOUS[config.durability])
    except DatabaseError as error:
        raise StartError(
            f"the index {folder.index} cannot be used: {error.orig}; "
            "move it away to start with a new one, or choose another folder with --data"
        ) from None


def _place(config: Config, destination: Destination) -> Callable[[], Place]:
    """Return what tells where a move destination is; certificates are read when they are needed."""
    tls = _tls_with(config, destination, "move destination")
    if tls is None:
        return lambda: (destination.host, destination.port, {})
    return lambda: (
        destination.host,
        destination.port,
        {"tls_args": (tls.client_context(), destination.host)},
    )


def _report_destinations(config: Config) -> list[Destination]:
    """Return where reports go: what is configured for them, else the move destination of that AE title."""
    return [*config.destinations, *config.report_destinations]


def _peer(config: Config, destination: Destination) -> Peer:
    tls = _tls_with(config, destination, "report destination")
    return Peer(destination.host, destination.port, tls)


def _tls_with(config: Config, destination: Destination, what: str) -> TLS | None:
    """Return how TLS is spoken with a destination, None if it is not."""
    if not destination.tls:
        return None
    tls = TLS(
        destination.cert or config.tls_cert,
        destination.key or (None if destination.cert else config.tls_key),
        destination.ca or config.tls_ca,
        verify_host=destination.verify_host,
        profile=config.tls_profile,
    )
    try:
        tls.client_context()
    except TLSConfigurationError as error:
        raise StartError(f"TLS with the {what} {destination.aet}: {error}") from None
    return tls


def _why_not_listening(config: Config, error: OSError) -> str:
    place = f"{config.host}:{config.port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{place} is in use; stop what listens there or choose another port with --port (0: any free one)"
        )
    if error.errno == errno.EACCES:
        return f"no right to listen on {place}; choose a port above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{config.host} is no address of this machine; choose one with --host (0.0.0.0: all of them)"
    return f"cannot listen on {place}: {error.strerror or error}"


def _raise_descriptor_limit() -> None:
    """Every association takes two descriptors, and 1024 in all is what many systems start with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            _log.debug("the limit of open files stays at %d", soft)
