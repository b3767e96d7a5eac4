"""The application of the second origin: a small object store, and a token service that accepts everyone.

It has no content of its own. It gets the content of a signed URL from the registry, without rules and login.
Rules apply only at the registry's own listeners, so a rule for all layers applies once to a redirected
download.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial
from html import escape
from urllib.parse import urlsplit

from brokenreg.http.asgi import (
    Handled,
    Handler,
    Message,
    Receive,
    Scope,
    Send,
    complete,
    header,
    respond_plain,
)
from brokenreg.http.dates import rfc3339
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import TOKEN_PATH, Endpoint, parse_target
from brokenreg.registry.auth.access import bearer
from brokenreg.registry.auth.users import unauthorized
from brokenreg.registry.responses import respond_error
from brokenreg.second_origin.origin import SecondOrigin
from brokenreg.second_origin.signed_urls import Allowed, Answer, SignedURL, SignedURLError, has_terms
from brokenreg.traffic.recorder import exchange_of, target_of, with_target
from brokenreg.traffic.redaction import redact_target

_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n"
_CAPTCHA = (
    b"<!DOCTYPE html>\n<html><head><title>One moment</title></head><body><h1>Please confirm that you are a "
    b"person</h1><p>This page needs JavaScript and cookies.</p></body></html>\n"
)
_LANDING_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>\n".ljust(11_485) + b"</body></html>\n"
)
_PAGES = {Answer.HTML: _PAGE, Answer.CAPTCHA: _CAPTCHA, Answer.LANDING_PAGE: _LANDING_PAGE}
_TOKEN_LIFETIME = 300
_INVALID_AUTHENTICATION = SignedURLError(
    "InvalidAuthenticationInfo", "Authentication information is not given in the correct format."
)
"""What Azure Blob Storage responds to a signed URL with an Authorization header."""


class ObjectStore:
    """Serves the signed URLs of `origin` with content from `registry`, which must not require a login."""

    def __init__(self, registry: Handler, origin: SecondOrigin) -> None:
        self._registry = registry
        self._origin = origin

    def __call__(self, scope: Scope, receive: Receive) -> Handled:
        return partial(self._respond, scope, receive)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = scope["query_string"].decode("latin-1")
        if scope["path"] == TOKEN_PATH and not has_terms(query):
            await self._give_token(scope, send)
            return
        try:
            signed = self._origin.signer.read(scope["path"], query, scope["method"])
        except SignedURLError as error:
            await _refuse(send, 403, error)
        else:
            await self._answer(signed, scope, receive, send)

    async def _answer(self, signed: SignedURL, scope: Scope, receive: Receive, send: Send) -> None:
        if signed.hops or signed.answer is Answer.LOOP:
            onward = signed if signed.answer is Answer.LOOP else replace(signed, hops=signed.hops - 1)
            await respond_plain(send, signed.status, {"location": self._origin.spell(scope, onward)})
        elif signed.answer in _PAGES:
            exchange_of(scope).has_wrong_bytes = True
            await respond_plain(
                send, 200, {"content-type": "text/html; charset=utf-8"}, _PAGES[signed.answer]
            )
        elif signed.answer is Answer.LIMITED:
            await respond_plain(send, 429, {})
        elif signed.answer is Answer.EXPIRED_R2:
            await _refuse(send, 403, SignedURLError("ExpiredRequest", "Request has expired"))
        elif signed.answer is Answer.NOT_FOUND:
            await _refuse(send, 404, SignedURLError("NoSuchKey", "The specified key does not exist."))
        elif signed.answer is Answer.REJECTS_AUTHORIZATION and header(scope, b"authorization") is not None:
            await _refuse(send, 400, _INVALID_AUTHENTICATION)
        elif signed.answer is Answer.CHALLENGE and header(scope, b"authorization") is None:
            challenge = bearer(self._origin.token_realm(scope), [])
            await respond_error(send, unauthorized("authentication required", challenge))
        elif signed.path == TOKEN_PATH:
            await self._give_token(scope, send)
        else:
            target = target_of(scope).at_listener(signed.listener)
            exchange_of(scope).target = redact_target(target)
            inner = {**with_target(scope, target), "query_string": signed.query.encode("latin-1")}
            signing = self._signing(inner, send)
            await complete(self._registry(inner, receive), signing)

    def _signing(self, scope: Scope, send: Send) -> Send:
        """Sign the URLs in a response: the next step or the result of an upload, or the next page."""

        async def send_signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    (name, self._onward(scope, name.lower(), value)) for name, value in message["headers"]
                ]
                message = {**message, "headers": headers}
            await send(message)

        return send_signed

    def _onward(self, scope: Scope, name: bytes, value: bytes) -> bytes:
        """Return the value of a header; a URL of the registry becomes a signed URL."""
        if name == b"location":
            return self._signed(scope, value)
        if name == b"link":  # Link to the next page of a list
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


async def _refuse(send: Send, status: int, error: SignedURLError) -> None:
    await respond_plain(send, status, {"content-type": "application/xml"}, _document(error))


def _document(error: SignedURLError) -> bytes:
    """Return an error document in the format of object stores."""
    code, message = escape(error.code), escape(str(error))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    ).encode()
