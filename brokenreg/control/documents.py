"""`/openapi.json` and `/docs`: the table of routes, for programs and for people."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from quart import Response

from brokenreg import __version__
from brokenreg.control.page import CSP, STYLE
from brokenreg.control.problems import MEDIA_TYPE, ProblemDetails
from brokenreg.control.routes import JSON, Ask, Query, Route
from brokenreg.rules.rule import FAULT, fault_schema
from brokenreg.runtime.runtime import Runtime

_REF = "#/components/schemas/{model}"
_OWN_PROBLEMS = (400, 401, 403, 421)


def routes(documented: Sequence[Route]) -> tuple[Route, ...]:
    """The routes that tell of the others; what they tell is made when it is first asked for."""
    document = cache(lambda: json.dumps(openapi(documented)))
    page = cache(lambda: "".join(_page(documented)))

    async def get_openapi(runtime: Runtime, ask: Ask) -> Response:
        """This document."""
        del runtime, ask
        return Response(await asyncio.to_thread(document), content_type=JSON)

    async def get_docs(runtime: Runtime, ask: Ask) -> Response:
        """The same for people."""
        del runtime, ask
        headers = {"content-security-policy": CSP}
        return Response(
            await asyncio.to_thread(page), content_type="text/html; charset=utf-8", headers=headers
        )

    return Route("GET", "/openapi.json", get_openapi), Route("GET", "/docs", get_docs)


def openapi(documented: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for route in documented:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "brokenreg control API",
            "version": __version__,
            "description": "Rules, holding and the log of a running brokenreg.",
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
        "summary": route.words,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {str(route.status): _answer(route), **_problems(route)},
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": _needs_body(route),
            "content": dict.fromkeys(route.body_types, _content(route)),
        }
    return operation


def _content(route: Route) -> dict[str, Any]:
    example = {"example": json.loads(route.example)} if route.example else {}
    return {"schema": _schema(route.body), **example}


def _needs_body(route: Route) -> bool:
    fields = route.body.model_fields.values()
    return any(field.is_required() for field in fields) or len(route.body_types) > 1


def _answer(route: Route) -> dict[str, Any]:
    if route.answer is None:
        return {"description": "Done."}
    content = {kind: {"schema": _schema(route.answer)} for kind in route.answer_types}
    headers = {"Location": {"schema": {"type": "string"}}} if route.status == 201 else {}
    return {"description": "Done.", "content": content, **({"headers": headers} if headers else {})}


def _problems(route: Route) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": _schema(ProblemDetails)}}
    return {
        str(status): {"description": "It cannot be; `detail` says why.", "content": content}
        for status in sorted(
            {*_OWN_PROBLEMS, *route.problems, *((413, 415) if route.body is not None else ())}
        )
    }


def _path_parameters(route: Route) -> Iterator[dict[str, Any]]:
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


def _query_parameters(route: Route) -> Iterator[dict[str, Any]]:
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


def _schema(kind: Any) -> dict[str, Any]:
    """Of a model, a list of models, or a text."""
    if kind is str:
        return {"type": "string"}
    (element,) = getattr(kind, "__args__", None) or (kind,)
    reference = {"$ref": _REF.format(model=element.__name__)}
    return reference if element is kind else {"type": "array", "items": reference}


def _schemas(documented: Iterable[Route]) -> dict[str, Any]:
    """All models that routes speak of, by name."""
    kinds: dict[str, type[BaseModel]] = {ProblemDetails.__name__: ProblemDetails}
    for route in documented:
        for kind in (route.body, route.answer):
            for each in (kind, *getattr(kind, "__args__", ())):
                if isinstance(each, type) and issubclass(each, BaseModel):
                    kinds[each.__name__] = each
    _, schema = models_json_schema([(kind, "validation") for kind in kinds.values()], ref_template=_REF)
    found: dict[str, Any] = _with_faults(schema["$defs"])
    return found


def _with_faults(schema: Any) -> Any:
    """Schemas of rules lead to the catalogue's."""
    if schema == FAULT:
        return {"$ref": _REF.format(model="Fault")}
    if isinstance(schema, dict):
        return {key: _with_faults(value) for key, value in schema.items()}
    return [_with_faults(each) for each in schema] if isinstance(schema, list) else schema


def _page(documented: Sequence[Route]) -> Iterator[str]:
    yield "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    yield f"<title>brokenreg control API</title><style>{STYLE}</style><main>"
    yield f"<h1>brokenreg control API <small>{html.escape(__version__)}</small></h1>"
    yield "<p>Rules, holding and the log of a running brokenreg. "
    yield "<a href=openapi.json>openapi.json</a> says the same to programs, "
    yield "<a href=v1/faults>v1/faults</a> lists what can be broken. With a <code>--control-token</code>, "
    yield "send <code>Authorization: Bearer TOKEN</code>. Errors are <code>application/problem+json</code> "
    yield "(RFC 9457): <code>detail</code> says what is wrong, <code>field</code> where.</p><nav><ul>"
    for route in documented:
        yield f"<li><a href='#{route.name}'><b>{route.method}</b> {html.escape(route.template)}</a>"
    yield "</ul></nav>"
    for route in documented:
        yield from _section(route)
    yield "</main></html>"


def _section(route: Route) -> Iterator[str]:
    yield f"<section id='{route.name}'><h2><b class={route.method.lower()}>{route.method}</b> "
    yield f"{html.escape(route.template)}</h2><p>{_worded(route.words)}</p>"
    parameters = [*_path_parameters(route), *_query_parameters(route)]
    if parameters:
        yield "<table><tr><th>parameter<th>in<th>meaning"
        for each in parameters:
            yield f"<tr><td><code>{each['name']}</code><td>{each['in']}<td>{_worded(each['description'])}"
        yield "</table>"
    if route.body is not None:
        yield from _fields("body", route.body)
    if isinstance(route.answer, type) and issubclass(route.answer, BaseModel):
        yield from _fields("answer", route.answer)
    elif getattr(route.answer, "__args__", None):
        yield from _fields("answer, a list of", route.answer.__args__[0])
    yield f"<pre>{html.escape(_curl(route))}</pre></section>"


def _fields(title: str, kind: type[BaseModel]) -> Iterator[str]:
    if not kind.model_fields:
        return
    yield f"<details><summary>{title}: {kind.__name__}</summary><table>"
    for name, field in kind.model_fields.items():
        yield f"<tr><td><code>{name}</code><td>{_worded(field.description or '')}"
    yield "</table></details>"


def _curl(route: Route) -> str:
    parts = ["curl"] + ([f"-X {route.method}"] if route.method != "GET" else [])
    parts += ["-N"] if "text/event-stream" in route.answer_types else []
    parts.append(f"http://127.0.0.1:8081{route.template}")
    if route.example:
        parts += [f"-H 'Content-Type: {JSON}'", f"-d '{route.example}'"]
    return " ".join(parts)


def _worded(text: str) -> str:
    """Plain text, with what stands in backticks as code."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
