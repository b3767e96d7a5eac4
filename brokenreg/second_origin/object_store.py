"""The application of the second origin: an object store in small, and a token service that takes anything.

It has no content of its own. What a signed URL names it asks of the registry, past faults and login: rules
are for the registry's own listener, so that one that strikes all layers strikes a redirected download once.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from html import escape
from urllib.parse import urlsplit

from brokenreg.http.dates import rfc3339
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import TOKEN_PATH, Endpoint, parse_target
from brokenreg.registry.responses import respond_error, respond_plain
from brokenreg.second_origin.origin import SecondOrigin
from brokenreg.second_origin.signed_urls import Allowed, Answer, SignedURL, SignedURLError, has_ticket
from brokenreg.traffic.recorder import exchange_of, target_of, with_target
from brokenreg.traffic.redaction import redact_target
from brokenreg.wire.asgi import ASGIApp, Message, Receive, Scope, Send

_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n"
_TOKEN_LIFETIME = 300


class ObjectStore:
    """Serves what `origin`'s tickets name; `registry` has the content, and asks nobody who he is."""

    def __init__(self, registry: ASGIApp, origin: SecondOrigin) -> None:
        self._registry = registry
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = scope["query_string"].decode("latin-1")
        if scope["path"] == TOKEN_PATH and not has_ticket(query):
            await self._give_token(scope, send)
            return
        try:
            ticket = self._origin.tickets.read(scope["path"], query, scope["method"])
        except SignedURLError as error:
            await respond_plain(send, 403, {"content-type": "application/xml"}, _document(error))
        else:
            await self._answer(ticket, scope, receive, send)

    async def _answer(self, ticket: SignedURL, scope: Scope, receive: Receive, send: Send) -> None:
        if ticket.hops or ticket.answer is Answer.LOOP:
            onward = ticket if ticket.answer is Answer.LOOP else replace(ticket, hops=ticket.hops - 1)
            await respond_plain(send, ticket.status, {"location": self._origin.spell(scope, onward)})
        elif ticket.answer is Answer.HTML:
            await respond_plain(send, 200, {"content-type": "text/html; charset=utf-8"}, _PAGE)
        elif ticket.path == TOKEN_PATH:
            await self._give_token(scope, send)
        else:
            target = target_of(scope).heard_at(ticket.listener)
            exchange_of(scope).target = redact_target(target)
            inner = {**with_target(scope, target), "query_string": ticket.query.encode("latin-1")}
            await self._registry(inner, receive, self._signing(scope, send))

    def _signing(self, scope: Scope, send: Send) -> Send:
        """The next step of an upload, what it made, and the next page are here too, and need a signature."""

        async def send_signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    (name, self._onward(scope, name.lower(), value)) for name, value in message["headers"]
                ]
                message = {**message, "headers": headers}
            await send(message)

        return send_signed

    def _onward(self, scope: Scope, name: bytes, value: bytes) -> bytes:
        """A header, signed where it leads to something of the registry's."""
        if name == b"location":
            return self._signed(scope, value)
        if name == b"link":  # to the next page of a list
            url, end, rest = value.removeprefix(b"<").partition(b">")
            return b"<" + self._signed(scope, url) + end + rest
        return value

    def _signed(self, scope: Scope, location: bytes) -> bytes:
        place = urlsplit(location.decode("latin-1"))
        base = target_of(scope).base
        is_upload = parse_target(place.path, base=base).endpoint is Endpoint.UPLOAD
        allowed = None if is_upload else Allowed.READ
        return self._origin.url(scope, f"{place.path}?{place.query}", allowed=allowed).encode("latin-1")

    async def _give_token(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in ("GET", "POST"):
            await respond_error(
                send, OCIError(405, ErrorCode.UNSUPPORTED, "GET or POST", headers={"allow": "GET, POST"})
            )
            return
        document = {
            "token": self._origin.token,
            "access_token": self._origin.token,
            "expires_in": _TOKEN_LIFETIME,
            "issued_at": rfc3339(time.time()),
        }
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        await respond_plain(send, 200, headers, json.dumps(document, separators=(",", ":")).encode())


def _document(error: SignedURLError) -> bytes:
    """An error as object stores word it."""
    code, message = escape(error.code), escape(str(error))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    ).encode()
