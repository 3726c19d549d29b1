"""The page put together, as an ASGI application."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from dulcimer.web import api
from dulcimer.web.access import Guard
from dulcimer.web.credentials import Access
from dulcimer.web.live import Live
from dulcimer.web.pages import Pages
from dulcimer.web.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import Scope

    from dulcimer.web.view import View

THREADS: Final = 4
"""So many requests wait for the disk at a time, whatever browsers ask for."""


class _Static(StaticFiles):
    """Files that change with the version only; the browser asks whether they have."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        response = super().file_response(*arguments, **named)
        response.headers["Cache-Control"] = "no-cache"
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(405)
        return await super().get_response(path, scope)


def make_app(view: View, thumbnails: Path, access: Access | None = None) -> Starlette:
    """Return the application.

    Parameters
    ----------
    view
        What it shows.
    thumbnails
        The folder in which small pictures are kept.
    access
        Who may look; by default requests to a loopback name are answered without asking.
    """
    live, pictures, pages = Live(view.look_for_changes), Pictures(thumbnails), Pages(view)
    view.on_change(live.tell)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        threads = ThreadPoolExecutor(THREADS, "dulcimer-page")
        asyncio.get_running_loop().set_default_executor(threads)
        yield {}
        live.close()
        pictures.close()
        threads.shutdown(cancel_futures=True)

    async def problem(request: Request, exception: Exception) -> Response:
        assert isinstance(exception, HTTPException)
        return pages.problem(request, exception)

    app = Starlette(
        routes=[
            *pages.routes(),
            *api.routes(view, live, pictures),
            Mount("/static", _Static(packages=[("dulcimer.web", "static")]), name="static"),
        ],
        middleware=[Middleware(Guard, access=access or Access())],
        exception_handlers={HTTPException: problem},
        lifespan=lifespan,
    )
    app.state.live = live
    return app
