"""The control API as one ASGI application: a guard, and Quart behind it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError
from quart import Quart, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from brokenreg.control import (
    blobs,
    breakpoints,
    events,
    exchanges,
    holding,
    repositories,
    rules,
    scenarios,
    status,
)
from brokenreg.control.docs_page import CSP, docs_page
from brokenreg.control.guard import ControlGuard
from brokenreg.control.openapi import openapi
from brokenreg.control.problems import MEDIA_TYPE, Problem
from brokenreg.control.routes import JSON, APIRequest, Query, Route
from brokenreg.gate.passage import NotHeldError
from brokenreg.rules.rule import FieldError
from brokenreg.runtime.runtime import Runtime
from brokenreg.validation import place_of, told
from brokenreg.wire.asgi import ClientDisconnectedError, Receive, Scope, Send

logger = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
"""Bytes."""

ROUTES: tuple[Route, ...] = (
    *status.ROUTES,
    *rules.ROUTES,
    *scenarios.ROUTES,
    *exchanges.ROUTES,
    *holding.ROUTES,
    *breakpoints.ROUTES,
    *events.ROUTES,
    *blobs.ROUTES,
    *repositories.ROUTES,
)
"""The whole API, in the order in which it is documented."""

_UNTOLD = ("", "application/x-www-form-urlencoded", "application/octet-stream", "text/plain")
"""Media types of a client that does not care; curl's `-d` is one. No page of another origin gets as far."""

_SAFETY = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers of an answer, unless it has its own."""


class Control:
    """Serves what `controlled` is asked and told. Its own Host and Origin alone get in."""

    def __init__(self, runtime: Runtime, address: str, token: str | None) -> None:
        self._guard = ControlGuard(address, token)
        self._quart = _make_quart(runtime)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._guard.refusal_reason(scope)
        if problem is None:
            await self._answer(scope, receive, send)
            return
        body = problem.body()
        headers = {**_SAFETY, **problem.headers, "content-type": MEDIA_TYPE, "content-length": str(len(body))}
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._quart(scope, receive, send)  # type: ignore[arg-type]
        except ExceptionGroup as group:  # Quart answers inside a task group from Python 3.13 on
            _, others = group.split(ClientDisconnectedError)
            if others is not None:
                raise others from None
            raise ClientDisconnectedError from None


def _make_quart(runtime: Runtime) -> Quart:
    app = Quart("brokenreg.control", static_folder=None)
    app.config.update(
        RESPONSE_TIMEOUT=None,
        BODY_TIMEOUT=None,
        MAX_CONTENT_LENGTH=MAX_BODY,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    for route in (*ROUTES, *_document_routes()):
        name = f"{route.method} {route.path}"
        app.add_url_rule(route.path, name, _adapted(runtime, route), methods=[route.method])
    for kind in (Problem, FieldError, NotHeldError, HTTPException, Exception):
        app.register_error_handler(kind, _on_error)
    return app


def _document_routes() -> tuple[Route, ...]:
    """Return the routes that describe the others. Their documents are made once, in a thread."""
    document = cache(lambda: json.dumps(openapi(ROUTES)))
    page = cache(lambda: docs_page(ROUTES))

    async def get_openapi(runtime: Runtime, request: APIRequest) -> Response:
        """Show this API as an OpenAPI document."""
        del runtime, request
        return Response(await asyncio.to_thread(document), content_type=JSON)

    async def get_docs(runtime: Runtime, request: APIRequest) -> Response:
        """Show this API as a page."""
        del runtime, request
        content_type = "text/html; charset=utf-8"
        headers = {"content-security-policy": CSP}
        return Response(await asyncio.to_thread(page), content_type=content_type, headers=headers)

    return Route("GET", "/openapi.json", get_openapi), Route("GET", "/docs", get_docs)


def _adapted(runtime: Runtime, route: Route) -> Callable[..., Awaitable[Response]]:
    async def adapted(**path: Any) -> Response:
        query = _query(route, request.args.to_dict())
        content = await _content(route)
        api_request = APIRequest(path, query, content, request.mimetype, request.headers.get("accept", ""))
        response = await route.handler(runtime, api_request)
        return _safe(response)

    return adapted


async def _content(route: Route) -> bytes:
    """The body. Raise `Problem` 415 for a media type that the route does not take, 413 for too long a one."""
    if route.body is None:
        return b""
    if request.mimetype not in (*route.body_types, *_UNTOLD) and not request.mimetype.endswith("+json"):
        taken = " or ".join(route.body_types)
        raise Problem(415, f"the body is of {request.mimetype[:100]!r}; {taken} is taken here")
    content = bytearray()
    async for chunk in request.body:
        content += chunk
        if len(content) > MAX_BODY:
            raise RequestEntityTooLarge
    return bytes(content)


def _safe(response: Response) -> Response:
    for name, value in _SAFETY.items():
        response.headers.setdefault(name, value)
    return response


def _query(route: Route, values: Mapping[str, str]) -> Query:
    """Raise `Problem` 400 for what the route does not take, or not so."""
    for name in values:
        if name not in route.query:
            known = ", ".join(route.query) or "none"
            raise Problem(
                400, f"there is no query parameter {name[:100]!r} here; there are: {known}", field=name[:100]
            )
    try:
        return Query.model_validate(values)
    except ValidationError as error:
        field = str(place_of(error)[0])
        raise Problem(400, f"{field}: {told(error, Query)}", field=field) from None


async def _on_error(error: Exception) -> Response:
    problem = _as_problem(error)
    return _safe(Response(problem.body(), problem.status, headers=problem.headers, content_type=MEDIA_TYPE))


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, FieldError):
        return Problem(400, str(error), field=error.where)
    if isinstance(error, NotHeldError):
        return Problem(409, str(error))
    if isinstance(error, HTTPException):
        allowed = {name.lower(): value for name, value in error.get_headers() if name.lower() == "allow"}
        detail = error.description or error.name
        if error.code == 404:
            detail = "there is nothing at that path; /docs tells what there is"
        elif error.code == 405:
            detail = f"{request.method} is not for this path; it takes {allowed.get('allow', 'nothing')}"
        elif error.code == 413:
            detail = f"the body is larger than the {MAX_BODY} bytes that are read here"
        return Problem(error.code or 500, detail, headers=allowed)
    logger.error("a request to the control API failed", exc_info=error)
    return Problem(500, "internal error; the server's diagnostics say more")
