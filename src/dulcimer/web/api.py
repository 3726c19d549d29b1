"""The same data as JSON, below ``/api/``, with its OpenAPI document; ``/metrics`` and ``/healthz``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dulcimer.web import metrics, view
from dulcimer.web.pictures import SIZES, NoPicture, placeholder
from dulcimer.web.schema import Described, Parameter, openapi, plain

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from dulcimer.web.live import Live
    from dulcimer.web.pictures import Pictures
    from dulcimer.web.view import View

T = TypeVar("T")

MOST_AT_ONCE: Final = 200
LONGEST_SEARCH: Final = 200

_LIMIT: Final = Parameter("limit", "How many at most.", int, 50, 1, MOST_AT_ONCE)
_SIZE: Final = Parameter(
    "size",
    f"The side of the square that the picture fits into, in pixels: {' or '.join(map(str, SIZES))}.",
    int,
    SIZES[0],
    1,
    SIZES[-1],
)


def _uid(name: str, description: str) -> Parameter:
    return Parameter(name, description, in_path=True)


STUDY_UID: Final = _uid("study", "Study Instance UID.")
SERIES_UID: Final = _uid("series", "Series Instance UID.")
INSTANCE_UID: Final = _uid("instance", "SOP Instance UID.")
FILM_UID: Final = _uid("film", "Identifier of the film.")
WORDS: Final = Parameter("q", "Words that have to be in patient name or ID, date, accession number, or text.")
BEFORE: Final = Parameter("before", "`next` of the page before.", int, 0)
AFTER: Final = Parameter("after", "`next` of the page before.", int, 0)
SEVERITY: Final = Parameter("level", "`warning` leaves out what is less severe.")

_BAD: Final = (400, "A parameter cannot be used.")
_NONE: Final = (404, "There is no such thing.")


def parameters(request: Request, *wanted: Parameter) -> dict[str, Any]:
    """Read parameters of a request.

    Raises
    ------
    HTTPException
        400: one of them cannot be used.
    """
    values: dict[str, Any] = {}
    for each in wanted:
        text = request.path_params.get(each.name) if each.in_path else request.query_params.get(each.name)
        if each.type is not int:
            values[each.name] = str(text or each.default)[:LONGEST_SEARCH]
        elif text is None or text == "":
            values[each.name] = each.default
        else:
            # The length is checked first: what reads numbers refuses thousands of digits in its own way.
            number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 19 else -1
            if not each.minimum <= number <= each.maximum:
                raise HTTPException(400, f"{each.name} has to be from {each.minimum} to {each.maximum}")
            values[each.name] = number
    return values


def found(value: T | None, what: str) -> T:
    """Return what was found.

    Raises
    ------
    HTTPException
        404: nothing was.
    """
    if value is None:
        raise HTTPException(404, f"There is no such {what}")
    return value


@dataclass(frozen=True, slots=True)
class _Json:
    described: Described
    get: Callable[[View, dict[str, Any]], object]

    def route(self, source: View) -> Route:
        async def endpoint(request: Request) -> Response:
            values = parameters(request, *self.described.parameters)
            answer = await asyncio.to_thread(self.get, source, values)
            return JSONResponse(plain(answer))

        return Route(self.described.path, endpoint, methods=["GET"], name=self.described.name)


_RESOURCES: Final = (
    _Json(
        Described("/api/node", "node", "The node: title, address, services, version.", view.NodeInfo),
        lambda source, _: source.node(),
    ),
    _Json(
        Described("/api/overview", "overview", "The node in numbers.", view.Overview),
        lambda source, _: source.overview(),
    ),
    _Json(
        Described(
            "/api/associations", "associations", "Associations that are there.", list[view.Association]
        ),
        lambda source, _: source.associations(),
    ),
    _Json(
        Described(
            "/api/studies",
            "studies",
            "Studies, the latest first.",
            view.StudyPage,
            (WORDS, BEFORE, _LIMIT),
            (_BAD,),
        ),
        lambda source, asked: source.studies(asked["q"], asked["before"], asked["limit"]),
    ),
    _Json(
        Described(
            "/api/studies/{study}",
            "study",
            "A study with its series.",
            view.StudyDetail,
            (STUDY_UID,),
            (_NONE,),
        ),
        lambda source, asked: found(source.study(asked["study"]), "study"),
    ),
    _Json(
        Described(
            "/api/studies/{study}/series/{series}/instances",
            "instances",
            "Instances of a series, in the order in which they were stored.",
            view.InstancePage,
            (STUDY_UID, SERIES_UID, AFTER, _LIMIT),
            (_BAD,),
        ),
        lambda source, asked: source.instances(
            asked["study"], asked["series"], asked["after"], asked["limit"]
        ),
    ),
    _Json(
        Described(
            "/api/instances/{instance}",
            "instance",
            "A stored instance.",
            view.Instance,
            (INSTANCE_UID,),
            (_NONE,),
        ),
        lambda source, asked: found(source.instance(asked["instance"]), "instance"),
    ),
    _Json(
        Described(
            "/api/steps",
            "steps",
            "Worklist items, performed procedure steps and workitems; the latest of each column.",
            view.Board,
            (_LIMIT,),
            (_BAD,),
        ),
        lambda source, asked: source.board(asked["limit"]),
    ),
    _Json(
        Described("/api/films", "films", "Films, the latest first.", list[view.Film], (_LIMIT,), (_BAD,)),
        lambda source, asked: source.films(asked["limit"]),
    ),
    _Json(
        Described(
            "/api/commitments",
            "commitments",
            "Requests for storage commitment, the latest first.",
            list[view.Commitment],
            (_LIMIT,),
            (_BAD,),
        ),
        lambda source, asked: source.commitments(asked["limit"]),
    ),
    _Json(
        Described(
            "/api/log", "log", "Lines of the log, the latest first.", view.Log, (SEVERITY, _LIMIT), (_BAD,)
        ),
        lambda source, asked: source.log(asked["limit"], asked["level"].lower() == "warning"),
    ),
)

_PICTURE: Final[dict[str, Any]] = {
    "image/jpeg": {"type": "string", "contentMediaType": "image/jpeg"},
    "image/svg+xml": {"type": "string", "description": "Says why there is no picture."},
}
_OTHERS: Final = (
    Described(
        "/api/instances/{instance}/picture",
        "instance_picture",
        "A small picture of an instance.",
        _PICTURE,
        (INSTANCE_UID, _SIZE),
        (_BAD, _NONE),
    ),
    Described(
        "/api/films/{film}/picture",
        "film_picture",
        "A small picture of a film.",
        _PICTURE,
        (FILM_UID, _SIZE),
        (_BAD, _NONE),
    ),
    Described(
        "/api/changes",
        "changes",
        "Server-sent events: an event with the name of each topic that may have changed, without data "
        f"({', '.join(view.TOPICS)}).",
        {"text/event-stream": {"type": "string"}},
        failures=((503, "Too many clients listen already."),),
    ),
    Described("/api/openapi.json", "openapi", "This document.", {"application/json": {"type": "object"}}),
    Described(
        "/metrics",
        "metrics",
        "Counters in the text format of Prometheus.",
        {"text/plain": {"type": "string"}},
    ),
    Described(
        "/healthz",
        "healthz",
        "Whether the node is well: 200 if it is, 503 if not.",
        view.Health,
        failures=(),
    ),
)

DESCRIBED: Final = (*(each.described for each in _RESOURCES), *_OTHERS)


def document(version: str) -> dict[str, Any]:
    """Return the OpenAPI document."""
    made = openapi(
        DESCRIBED,
        title="Dulcimer node",
        version=version,
        description="What a Dulcimer node holds and does. Nothing can be changed here.",
    )
    health = made["paths"]["/healthz"]["get"]["responses"]
    health["503"] = {**health["200"], "description": "Something is not well."}
    return made


def routes(source: View, live: Live, pictures: Pictures) -> list[Route]:
    """Return the routes."""

    async def picture(path: Path | None, size: int) -> Response:
        if path is None:
            raise HTTPException(404, "There is no such picture")
        side = next(each for each in SIZES if size <= each)
        try:
            return Response(await pictures.get(path, side), media_type="image/jpeg")
        except NoPicture as reason:
            return Response(placeholder(str(reason), side), media_type="image/svg+xml")

    async def instance_picture(request: Request) -> Response:
        asked = parameters(request, INSTANCE_UID, _SIZE)
        return await picture(await asyncio.to_thread(source.object_file, asked["instance"]), asked["size"])

    async def film_picture(request: Request) -> Response:
        asked = parameters(request, FILM_UID, _SIZE)
        return await picture(await asyncio.to_thread(source.film_file, asked["film"]), asked["size"])

    async def openapi_json(_request: Request) -> Response:
        return JSONResponse(document((await asyncio.to_thread(source.node)).version))

    async def metrics_text(_request: Request) -> Response:
        def text() -> str:
            return metrics.exposition(source.counters(), source.overview(), live.clients)

        return PlainTextResponse(await asyncio.to_thread(text), media_type=metrics.MEDIA_TYPE)

    async def healthz(_request: Request) -> Response:
        health = await asyncio.to_thread(source.health)
        return JSONResponse(plain(health), 200 if health.ok else 503)

    endpoints: dict[str, Any] = {
        "instance_picture": instance_picture,
        "film_picture": film_picture,
        "changes": live,
        "openapi": openapi_json,
        "metrics": metrics_text,
        "healthz": healthz,
    }
    return [
        *(each.route(source) for each in _RESOURCES),
        *(Route(each.path, endpoints[each.name], methods=["GET"], name=each.name) for each in _OTHERS),
    ]
