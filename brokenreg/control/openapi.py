"""Generates the OpenAPI document (`/openapi.json`) from the table of routes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from brokenreg import __version__
from brokenreg.control.problems import MEDIA_TYPE, ProblemDetails
from brokenreg.control.routes import Query, Route
from brokenreg.rules.rule import FAULT, fault_schema

_REF = "#/components/schemas/{model}"
_OWN_PROBLEMS = (400, 401, 403, 421)
_OF_FLEETS = (409, 503, 504)
"""What routes that change the rules of a fleet can respond with."""


def openapi(documented: Sequence[Route]) -> dict[str, Any]:
    """Return the document in OpenAPI version 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for route in documented:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "brokenreg control API",
            "version": __version__,
            "description": "Changes the rules, holds responses and reads the log of a running brokenreg.",
        },
        "paths": paths,
        "components": {
            "schemas": {**_schemas(documented), "Fault": fault_schema()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.description,
        "parameters": [*path_parameters(route), *query_parameters(route)],
        "responses": {str(route.status): _answer(route), **_problems(route)},
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": _needs_body(route, route.body),
            "content": dict.fromkeys(route.body_types, _content(route, route.body)),
        }
    return operation


def _content(route: Route, body: type[BaseModel]) -> dict[str, Any]:
    example = {"example": json.loads(route.example)} if route.example else {}
    return {"schema": _schema(body), **example}


def _needs_body(route: Route, body: type[BaseModel]) -> bool:
    return any(field.is_required() for field in body.model_fields.values()) or len(route.body_types) > 1


def _answer(route: Route) -> dict[str, Any]:
    if route.answer is None:
        return {"description": "Done."}
    content = {kind: {"schema": _schema(route.answer)} for kind in route.answer_types}
    headers = {"Location": {"schema": {"type": "string"}}} if route.status == 201 else {}
    return {"description": "Done.", "content": content, **({"headers": headers} if headers else {})}


def _problems(route: Route) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": _schema(ProblemDetails)}}
    return {
        str(status): {"description": "The request failed; `detail` says why.", "content": content}
        for status in sorted(
            {
                *_OWN_PROBLEMS,
                *route.problems,
                *((413, 415) if route.body is not None else ()),
                *(_OF_FLEETS if route.is_shared else ()),
            }
        )
    }


def path_parameters(route: Route) -> Iterator[dict[str, Any]]:
    """Yield the path parameters of a route in the form of OpenAPI."""
    for name, kind in route.path_parameters:
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if kind == "int":
            schema = {"type": "integer", "minimum": 0, "maximum": 2**53}
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": route.parameters.get(name, ""),
            "schema": schema,
        }


def query_parameters(route: Route) -> Iterator[dict[str, Any]]:
    """Yield the query parameters of a route in the form of OpenAPI."""
    properties = Query.model_json_schema()["properties"]
    for name in route.query:
        schema = {
            key: value for key, value in properties[name].items() if key not in ("title", "description")
        }
        yield {
            "name": name,
            "in": "query",
            "required": False,
            "description": properties[name]["description"],
            "schema": schema,
        }


def _schema(kind: type[object]) -> dict[str, Any]:
    """Return the schema of a model, a list of models, or a text."""
    if kind is str:
        return {"type": "string"}
    (element,) = get_args(kind) or (kind,)
    reference = {"$ref": _REF.format(model=element.__name__)}
    return reference if element is kind else {"type": "array", "items": reference}


def _schemas(documented: Iterable[Route]) -> dict[str, Any]:
    """Return the schemas of all models of routes, by name."""
    kinds: dict[str, type[BaseModel]] = {ProblemDetails.__name__: ProblemDetails}
    for route in documented:
        for kind in (route.body, route.answer):
            for each in (kind, *get_args(kind)):
                if isinstance(each, type) and issubclass(each, BaseModel):
                    kinds[each.__name__] = each
    _, schema = models_json_schema([(kind, "validation") for kind in kinds.values()], ref_template=_REF)
    found: dict[str, Any] = _with_faults(schema["$defs"])
    return found


def _with_faults(schema: Any) -> Any:
    """Return the schemas, with a schema of all faults to which the others refer."""
    if schema == FAULT:
        return {"$ref": _REF.format(model="Fault")}
    if isinstance(schema, dict):
        return {key: _with_faults(value) for key, value in schema.items()}
    return [_with_faults(each) for each in schema] if isinstance(schema, list) else schema
