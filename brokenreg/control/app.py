"""The control API as an ASGI application: Quart behind a guard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial

from pydantic import ValidationError
from quart import Quart, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from brokenreg import __version__
from brokenreg.control import (
    blobs,
    breakpoints,
    catalogues,
    events,
    exchanges,
    expectations,
    holding,
    metrics,
    repositories,
    rules,
    status,
)
from brokenreg.control.docs_page import CSP, docs_page
from brokenreg.control.gathering import for_replicas, on_replicas
from brokenreg.control.guard import ControlGuard
from brokenreg.control.openapi import openapi
from brokenreg.control.panel_socket import PANEL_PATH, PanelSocket
from brokenreg.control.problems import MAX_BODY, MEDIA_TYPE, APIError, api_error_of
from brokenreg.control.routes import JSON, APIRequest, Query, Route
from brokenreg.control.tickets import Tickets
from brokenreg.control.web_panel import WEB_PATH, WebPanel
from brokenreg.control.web_terminal import WebTerminal
from brokenreg.http.asgi import Receive, Scope, Send, header
from brokenreg.http.authority import parse_authority
from brokenreg.http.quart_app import call_quart, make_quart
from brokenreg.runtime.attaching import PanelFactory
from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage.errors import StorageError
from brokenreg.validation import describe_error, error_location

ROUTES: tuple[Route, ...] = (
    *status.ROUTES,
    *catalogues.ROUTES,
    *rules.ROUTES,
    *expectations.ROUTES,
    *exchanges.ROUTES,
    *holding.ROUTES,
    *breakpoints.ROUTES,
    *events.ROUTES,
    *blobs.ROUTES,
    *repositories.ROUTES,
    *metrics.ROUTES,
)
"""All routes of the API, in the order in which they are documented."""

_UNSPECIFIC = ("", "application/x-www-form-urlencoded", "application/octet-stream", "text/plain")
"""Media types that clients send by default, such as curl with `-d`. They are accepted for any body. This is
safe, because the guard has already refused requests from pages of other origins."""

_SECURITY_HEADERS = {
    "server": f"brokenreg/{__version__}",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers of every response that does not set its own."""


_ACCESS = "brokenreg.access"
"""The key of the scope for what the sender of a request may do."""


class ControlApplication:
    """Serves the control API of a runtime to requests with its own Host and Origin."""

    def __init__(self, runtime: Runtime, address: str, panels: PanelFactory, tickets: Tickets) -> None:
        settings = runtime.settings
        self._guard = ControlGuard(address, settings.control_token, settings.control_read_token)
        self._quart = _make_quart(runtime)
        self._tickets = tickets
        self._panels = PanelSocket(panels, runtime.stopping)
        self._web_panel = WebPanel(self._guard, self._tickets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._call_websocket(scope, receive, send)
            return
        is_web_panel = scope["path"] == WEB_PATH or scope["path"].startswith(f"{WEB_PATH}/")
        if is_web_panel:  # which has the token in a form
            refusal = self._guard.foreign_reason(scope, is_form=scope["path"] == WEB_PATH)
        else:
            refusal = self._guard.refusal_reason(scope)
        if refusal is not None:
            await _refuse(refusal, "http.response", send)
        elif is_web_panel:
            await self._web_panel(scope, receive, send)
        else:
            await self.serve_checked(self._guard.access(scope), scope, receive, send)

    async def serve_checked(self, access: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose sender was checked, and may do what `access` says."""
        scope[_ACCESS] = access
        await call_quart(self._quart, scope, receive, send)

    async def _call_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a panel: with the token, or for a browser with a ticket in the path."""
        path, _, ticket = scope["path"].partition(f"{PANEL_PATH}/")
        is_web = not path and bool(ticket)
        refusal = self._guard.foreign_reason(scope) if is_web else self._guard.refusal_reason(scope)
        if not is_web and path != PANEL_PATH:
            refusal = refusal or APIError(404, f"no WebSocket has this path: use {PANEL_PATH}")
        access = None if refusal else self._tickets.access(ticket) if is_web else self._guard.access(scope)
        if access is not None:
            refusal = self._panels.refusal_reason(access)
        if is_web and access is not None and refusal is None:
            access, refusal = await self._use(ticket, access)
        if access is None or refusal is not None:  # "WebSocket Denial Response", an extension of ASGI
            refusal = refusal or APIError(403, f"this ticket is not valid any more: open {WEB_PATH} again")
            await _refuse(refusal, "websocket.http.response", send)
        elif is_web:
            terminal = WebTerminal(scope["query_string"], receive, send)
            await self._panels(access, _host_of(scope), terminal.receive, terminal.send, silence=None)
        else:
            await self._panels(access, _host_of(scope), receive, send)

    async def _use(self, ticket: str, access: Access) -> tuple[Access | None, APIError | None]:
        """Use a ticket. Return its access, or None if it was used before; and why it cannot be used now."""
        try:
            return (access if await self._tickets.use(ticket) else None), None
        except StorageError as error:
            return None, APIError(503, str(error))


async def _refuse(refusal: APIError, kind: str, send: Send) -> None:
    body = refusal.body()
    headers = {
        **_SECURITY_HEADERS,
        **refusal.headers,
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
    }
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": encoded})
    await send({"type": f"{kind}.body", "body": body})


def _make_quart(runtime: Runtime) -> Quart:
    app = make_quart("brokenreg.control", MAX_BODY)
    for route in (*ROUTES, *_document_routes()):
        name = f"{route.method} {route.path}"
        app.add_url_rule(route.path, name, _view(runtime, route), methods=[route.method])
    app.register_error_handler(Exception, _on_error)
    return app


def _document_routes() -> tuple[Route, ...]:
    """Return the routes that document the others. Their documents are created once, in a thread."""
    document = cache(lambda: json.dumps(openapi(ROUTES)))
    page = cache(lambda: docs_page(ROUTES))

    async def get_openapi(runtime: Runtime, request: APIRequest) -> Response:
        """Return this API as an OpenAPI document."""
        del runtime, request
        return Response(await asyncio.to_thread(document), content_type=JSON)

    async def get_docs(runtime: Runtime, request: APIRequest) -> Response:
        """Return this API as an HTML page."""
        del runtime, request
        content_type = "text/html; charset=utf-8"
        headers = {"content-security-policy": CSP}
        return Response(await asyncio.to_thread(page), content_type=content_type, headers=headers)

    async def get_root(runtime: Runtime, request: APIRequest) -> Response:
        """Redirect people who open the address of this API to its page."""
        del runtime, request
        return Response(status=307, headers={"location": "/docs"})

    return (
        Route("GET", "/", get_root),
        Route("GET", "/openapi.json", get_openapi),
        Route("GET", "/docs", get_docs),
    )


def _view(runtime: Runtime, route: Route) -> Callable[..., Awaitable[Response]]:
    async def view(**path: str | int) -> Response:
        access = Access(str(dict(request.scope)[_ACCESS]))
        operations = Operations(runtime, access)
        if route.changes:
            operations.require_change()
        query = _query(route, request.args.to_dict())
        content = await _content(route)
        api_request = APIRequest(
            operations, path, query, content, request.mimetype, request.headers.get("accept", "")
        )
        api_request = for_replicas(runtime, route, api_request)
        if api_request.query.replica and not route.gathers:
            return _secured(await on_replicas(runtime, route, api_request, access))
        if route.is_shared and runtime.shared_rules is not None:
            change = partial(route.handler, runtime, api_request)
            return _secured(await runtime.shared_rules.change(change))
        return _secured(await route.handler(runtime, api_request))

    return view


async def _content(route: Route) -> bytes:
    """Return the body. Raise `APIError` for a wrong media type, `RequestEntityTooLarge` if too large."""
    if route.body is None:
        return b""
    if request.mimetype not in (*route.body_types, *_UNSPECIFIC) and not request.mimetype.endswith("+json"):
        accepted = " or ".join(route.body_types)
        raise APIError(415, f'invalid Content-Type "{request.mimetype[:100]}": use {accepted}')
    content = bytearray()
    async for chunk in request.body:
        content += chunk
        if len(content) > MAX_BODY:
            raise RequestEntityTooLarge
    return bytes(content)


def _secured(response: Response) -> Response:
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _query(route: Route, values: Mapping[str, str]) -> Query:
    """Return the query parameters. Raise `APIError` 400 if one is unknown or invalid."""
    for name in values:
        if name not in route.query:
            known = f"use {', '.join(route.query)}" if route.query else "this path has none"
            raise APIError(400, f'unknown query parameter "{name[:100]}": {known}', field=name[:100])
    try:
        return Query.model_validate(values)
    except ValidationError as error:
        field = str(error_location(error)[0])
        problem = describe_error(error, Query)
        raise APIError(400, f"{field}: {problem}", field=field, problem=problem) from None


async def _on_error(error: Exception) -> Response:
    api_error = api_error_of(error, request.method)
    return _secured(
        Response(api_error.body(), api_error.status, headers=api_error.headers, content_type=MEDIA_TYPE)
    )


def _host_of(scope: Scope) -> str:
    """Return the host of a valid Host header, without a port; otherwise an empty string."""
    found = parse_authority((header(scope, b"host") or b"").decode("latin-1"))
    return "" if found is None else found[0]
