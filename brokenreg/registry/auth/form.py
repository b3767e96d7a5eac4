"""The form of a POST to the token service says what it is about; rules must know before they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from brokenreg.oci.errors import OCIError
from brokenreg.oci.scopes import parse_scopes
from brokenreg.oci.target import Endpoint, token_target
from brokenreg.registry.body import Body
from brokenreg.registry.responses import respond_error
from brokenreg.traffic.recorder import exchange_of, target_of, with_target
from brokenreg.wire.asgi import ASGIApp, Message, Receive, Scope, Send

MAX_FORM = 64 * 1024
"""Bytes; a form with a token or two has some thousand."""

_LONGEST_USER = 256


class TokenForms:
    """Records the target and the user in the exchange, and passes the form on unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        if exchange.endpoint is not Endpoint.TOKEN or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            body = await Body(scope, receive).whole(MAX_FORM)
        except OCIError as error:
            await respond_error(send, error)
            return
        form = read_form(body)
        scopes = parse_scopes(form.get("scope", ()))
        exchange.user = exchange.user or form.get("username", [""])[0][:_LONGEST_USER]
        exchange.target = token_target(scopes, target_of(scope).base)
        await self._app(with_target(scope, exchange.target), _replayed(body, receive), send)


def read_form(body: bytes) -> Mapping[str, list[str]]:
    """The fields of an `application/x-www-form-urlencoded` body, in which nothing need be well-formed."""
    return parse_qs(body.decode("latin-1"), keep_blank_values=True)


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
