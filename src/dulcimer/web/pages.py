"""The pages for people: HTML that works without scripts, and the parts of it that scripts ask for again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from dulcimer.web import words
from dulcimer.web.api import (
    AFTER,
    BEFORE,
    INSTANCE_UID,
    SERIES_UID,
    SEVERITY,
    STUDY_UID,
    WORDS,
    found,
    parameters,
)
from dulcimer.web.view import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    from dulcimer.web.schema import Parameter
    from dulcimer.web.view import View

STUDIES_A_PAGE: Final = 25
THUMBNAILS_A_SERIES: Final = 12
INSTANCES_A_PAGE: Final = 60
STEPS_A_COLUMN: Final = 50
STEPS_ON_OVERVIEW: Final = 6
FILMS_A_PAGE: Final = 60
LINES_A_PAGE: Final = 200

Context = dict[str, Any]

NAVIGATION: Final = (
    ("overview", "/", "Overview", "o"),
    ("steps", "/steps", "Steps", "b"),
    ("studies", "/studies", "Studies", "s"),
    ("films", "/films", "Films", "f"),
    ("commitments", "/commitments", "Commitments", "c"),
    ("log", "/log", "Events", "e"),
    ("about", "/about", "About", "a"),
)
"""Name, address, title and the key that leads there after ``g``."""


class Pages:
    """The pages of a View."""

    def __init__(self, source: View) -> None:
        self._source = source
        self._templates = Environment(
            loader=PackageLoader("dulcimer.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update(words.FILTERS)
        self._templates.globals.update(navigation=NAVIGATION, columns=COLUMNS)

    def routes(self) -> list[Route]:
        """Return the routes."""
        study = "/studies/{study}"
        return [
            *self._page("overview", "/", self._overview),
            *self._page("steps", "/steps", self._steps),
            *self._page("studies", "/studies", self._studies, WORDS, BEFORE),
            *self._page("films", "/films", self._films),
            *self._page("commitments", "/commitments", self._commitments),
            *self._page("log", "/log", self._log, SEVERITY),
            self._route("about", "/about", "pages/about.html", self._about),
            self._route("study", study, "pages/study.html", self._study, STUDY_UID),
            self._route(
                "series",
                study + "/series/{series}",
                "pages/series.html",
                self._series,
                STUDY_UID,
                SERIES_UID,
                AFTER,
            ),
            self._route(
                "instance", "/instances/{instance}", "pages/instance.html", self._instance, INSTANCE_UID
            ),
        ]

    def problem(self, request: Request, problem: HTTPException) -> Response:
        """Answer what cannot be answered: as JSON to programs, as a page to people."""
        status, detail = problem.status_code, problem.detail
        if request.url.path.startswith(("/api/", "/metrics", "/healthz", "/static/")):
            return JSONResponse({"error": detail}, status, problem.headers)
        text = self._render("pages/problem.html", page="", status=status, detail=detail)
        return HTMLResponse(text, status, problem.headers)

    def _render(self, template: str, **context: Any) -> str:
        return self._templates.get_template(template).render(context)

    def _page(self, name: str, path: str, context: Callable[..., Context], *asked: Parameter) -> list[Route]:
        """Return the routes of a page and of the part of it that is asked for again."""
        return [
            self._route(name, path, f"pages/{name}.html", context, *asked),
            self._route(f"part_{name}", f"/parts/{name}", f"parts/{name}.html", context, *asked),
        ]

    def _route(
        self, name: str, path: str, template: str, context: Callable[..., Context], *asked: Parameter
    ) -> Route:
        page = name.removeprefix("part_")

        def answer(values: dict[str, Any]) -> str:
            return self._render(template, **{"page": page, **context(**values)})

        async def endpoint(request: Request) -> Response:
            values = parameters(request, *asked)
            headers = {}
            if name == "part_studies":
                # What the address line shows: the page that this is a part of.
                query = str(request.url.query)
                headers["HX-Replace-Url"] = "/studies" + (f"?{query}" if query else "")
            return HTMLResponse(await asyncio.to_thread(answer, values), headers=headers)

        return Route(path, endpoint, methods=["GET"], name=f"page_{name}")

    def _overview(self) -> Context:
        return {
            "overview": self._source.overview(),
            "node": self._source.node(),
            "associations": self._source.associations(),
            "steps": [
                step for step in self._source.board(STEPS_ON_OVERVIEW).steps if step.column == "IN PROGRESS"
            ],
            "warnings": self._source.log(6, True).entries,
            "studies": self._source.studies("", 0, 6).studies,
        }

    def _steps(self) -> Context:
        return {"board": self._source.board(STEPS_A_COLUMN)}

    def _studies(self, q: str, before: int) -> Context:
        return {"found": self._source.studies(q, before, STUDIES_A_PAGE), "q": q, "before": before}

    def _study(self, study: str) -> Context:
        detail = found(self._source.study(study), "study")
        shown = [
            (each, self._source.instances(study, each.series_instance_uid, 0, THUMBNAILS_A_SERIES))
            for each in detail.series
        ]
        return {"page": "studies", "study": detail.study, "series": shown}

    def _series(self, study: str, series: str, after: int) -> Context:
        detail = found(self._source.study(study), "study")
        each = next((each for each in detail.series if each.series_instance_uid == series), None)
        return {
            "page": "studies",
            "study": detail.study,
            "series": found(each, "series"),
            "found": self._source.instances(study, series, after, INSTANCES_A_PAGE),
            "after": after,
        }

    def _instance(self, instance: str) -> Context:
        shown = found(self._source.instance(instance), "instance")
        detail = self._source.study(shown.study_instance_uid)
        return {"page": "studies", "instance": shown, "study": detail.study if detail is not None else None}

    def _films(self) -> Context:
        return {"films": self._source.films(FILMS_A_PAGE)}

    def _commitments(self) -> Context:
        return {"commitments": self._source.commitments(LINES_A_PAGE)}

    def _log(self, level: str) -> Context:
        warnings = level.lower() == "warning"
        return {"log": self._source.log(LINES_A_PAGE, warnings), "warnings": warnings}

    def _about(self) -> Context:
        return {"node": self._source.node(), "health": self._source.health()}
