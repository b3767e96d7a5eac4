"""Calls Quart for rarely used endpoints. Quart does not route: the recorder has already parsed the path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import quart
from werkzeug.datastructures import Headers

from brokenreg.http.asgi import ReadyResponse, Receive, Scope, Send
from brokenreg.http.quart_app import call_quart, make_quart
from brokenreg.registry.request import RegistryRequest
from brokenreg.registry.responses import Response

QuartEndpoints = Callable[[RegistryRequest, Scope, Receive, Send], Awaitable[None]]

_REQUEST = "brokenreg.request"
"""The key of the ASGI scope under which Quart's view finds the `RegistryRequest`."""


def quart_endpoints(respond: Callable[[RegistryRequest], Awaitable[Response]]) -> QuartEndpoints:
    """Return an application that responds to GET and HEAD requests with what `respond` returns."""
    app = make_quart("brokenreg.registry", max_body=0)

    async def view() -> quart.Response:
        scope: Scope = dict(quart.request.scope)
        response = await respond(scope[_REQUEST])
        if not isinstance(response, ReadyResponse):
            raise TypeError("Quart serves no endpoint whose body has parts")
        headers = [(name.decode(), value.decode("latin-1")) for name, value in response.headers]
        return quart.Response(response.body, response.status, headers=Headers(headers))

    app.add_url_rule("/", view_func=view, methods=["GET", "HEAD"])

    async def call(request: RegistryRequest, scope: Scope, receive: Receive, send: Send) -> None:
        await call_quart(app, {**scope, "path": "/", _REQUEST: request}, receive, send)

    return call
