"""The server of the page: one thread that waits for the first visitor, and serves from then on.

What the page is made of is imported when somebody looks: a node that nobody looks at pays for the page with a
sleeping thread and a socket.
"""

from __future__ import annotations

import logging
import os
import select
import socket
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_log: Final = logging.getLogger("dulcimer.web")

_BACKLOG: Final = 128
_KEEP_ALIVE_SECONDS: Final = 15
_END_SECONDS: Final = 2
_MOST_CONNECTIONS: Final = 1000

NEEDED: Final = ("starlette", "jinja2", "uvicorn", "numpy", "PIL")
"""The packages of the extra ``web``, as they are imported."""


class PageServer:
    """Listens from construction on, until :meth:`close`.

    Parameters
    ----------
    make
        Makes the ASGI application, in the thread of the server, when there is a visitor; None if there is
        nothing to show any more.
    host, port
        Where to listen; port 0 picks a free one.

    Raises
    ------
    OSError
        There cannot be listened there.
    """

    def __init__(self, make: Callable[[], Any], host: str, port: int) -> None:
        self._make = make
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._wake, self._waker = os.pipe()
        self._server: Any = None
        self._end_streams: Callable[[], object] = lambda: None
        self._closing = False
        self._thread = Thread(target=self._run, name="dulcimer-page", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """The address of the page."""
        host, port = self.address
        host = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def close(self) -> None:
        """Stop listening and end what is being served."""
        self._closing = True
        if self._server is not None:
            self._server.should_exit = True
        # Streams of events do not end by themselves.
        self._end_streams()
        os.write(self._waker, b"\0")
        self._thread.join(_END_SECONDS + 3.0)
        self._socket.close()
        os.close(self._wake)
        os.close(self._waker)

    def _run(self) -> None:
        waiter = select.poll()
        waiter.register(self._socket, select.POLLIN)
        waiter.register(self._wake, select.POLLIN)
        waiter.poll()
        if self._closing:
            return
        try:
            self._serve()
        except Exception:
            # Whatever becomes of the page, the node goes on.
            _log.exception("the page ended")

    def _serve(self) -> None:
        import uvicorn

        app = self._make()
        if app is None or self._closing:
            return
        self._end_streams = app.state.live.close
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            # Who is let in because of a proxy is decided by the address of the connection.
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_END_SECONDS,
        )
        server = uvicorn.Server(config)
        self._server = server
        if self._closing:
            return
        server.run(sockets=[self._socket])
