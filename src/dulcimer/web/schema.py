"""The OpenAPI document, made from the routes and the dataclasses that they answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIMPLE: Final[dict[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a route."""

    name: str
    description: str
    type: type = str
    default: object = ""
    minimum: int = 0
    maximum: int = 2**63 - 1
    in_path: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        schema = dict(_SIMPLE[self.type])
        if self.type is int:
            schema |= {"minimum": self.minimum, "maximum": self.maximum}
        if not self.in_path:
            schema["default"] = self.default
        return schema


@dataclass(frozen=True, slots=True)
class Described:
    """A route as the document has it."""

    path: str
    name: str
    summary: str
    answer: Any
    """The type of the JSON that it answers with, or a dictionary of media types."""
    parameters: tuple[Parameter, ...] = ()
    failures: tuple[tuple[int, str], ...] = ()


def openapi(routes: Iterable[Described], *, title: str, version: str, description: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of some routes."""
    schemas: dict[str, Any] = {
        "Problem": {
            "type": "object",
            "required": ["error"],
            "properties": {"error": {"type": "string", "description": "What is wrong, in words."}},
        }
    }
    paths: dict[str, Any] = {}
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for route in routes:
        if isinstance(route.answer, dict):
            content = {media: {"schema": schema} for media, schema in route.answer.items()}
        else:
            content = {"application/json": {"schema": _schema(route.answer, schemas)}}
        responses: dict[str, Any] = {"200": {"description": route.summary, "content": content}}
        for status, text in route.failures:
            responses[str(status)] = {"description": text, "content": problem}
        paths[route.path] = {
            "get": {
                "operationId": route.name,
                "summary": route.summary,
                "parameters": [
                    {
                        "name": each.name,
                        "in": "path" if each.in_path else "query",
                        "required": each.in_path,
                        "description": each.description,
                        "schema": each.schema,
                    }
                    for each in route.parameters
                ],
                "responses": responses,
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": description,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"password": {"type": "http", "scheme": "basic"}},
        },
        "security": [{}, {"password": []}],
    }


def _schema(of: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if of in _SIMPLE:
        return dict(_SIMPLE[of])
    if is_dataclass(of):
        name = of.__name__  # type: ignore[union-attr]
        if name not in schemas:
            schemas[name] = {}
            hints = get_type_hints(of)
            schemas[name] = {
                "type": "object",
                "description": " ".join((of.__doc__ or "").split()),
                "required": [field.name for field in fields(of)],
                "properties": {field.name: _schema(hints[field.name], schemas) for field in fields(of)},
            }
        return {"$ref": f"#/components/schemas/{name}"}
    origin, arguments = get_origin(of), get_args(of)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is Union:
        return {"anyOf": [_schema(each, schemas) for each in arguments]}
    if origin in {list, Sequence}:
        return {"type": "array", "items": _schema(arguments[0], schemas)}
    if origin in {dict, Mapping}:
        return {"type": "object", "additionalProperties": _schema(arguments[1], schemas)}
    raise TypeError(f"no schema for {of!r}")


def plain(value: Any) -> Any:
    """Return a value made of dataclasses, lists and dictionaries as what ``json`` takes."""
    if isinstance(value, (str, int, float, bool, NoneType)):
        return value
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value]
