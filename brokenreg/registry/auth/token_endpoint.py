"""The token service's endpoint: GET with or without Basic credentials, POST with a form (RFC 6749)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from brokenreg.http.asgi import Message, Receive
from brokenreg.http.asgi import Scope as ASGIScope
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.scopes import Scope, parse_scopes
from brokenreg.oci.target import token_target
from brokenreg.registry.auth.token_service import terms_of
from brokenreg.registry.auth.users import Credentials, unauthorized
from brokenreg.registry.request import RegistryRequest, RequestBody
from brokenreg.registry.responses import Response, json_response
from brokenreg.traffic.recorder import exchange_of, target_of, with_target

_MAX_FORM = 64 * 1024
"""Maximum size of a form, in bytes. A form with two tokens has a few thousand."""

_MAX_USER_LENGTH = 256
_NO_STORE = {"cache-control": "no-store"}


async def get_token(request: RegistryRequest) -> Response:
    """GET `/token?service=&scope=`: issue a token, and with `offline_token=true` also a refresh token."""
    await request.tokens.token_issuer.library.get()
    value = request.header("authorization")
    credentials = None if value is None else Credentials.of_header(value)
    if value is not None and credentials is None:
        raise unauthorized("invalid Authorization: the token service accepts only Basic credentials")
    subject = request.tokens.login(credentials)
    scopes = parse_scopes(request.query.get("scope", ()))
    is_offline = request.parameter("offline_token") in ("true", "1")
    return json_response(_token(request, subject, scopes, is_offline=is_offline), _NO_STORE)


async def post_token(request: RegistryRequest) -> Response:
    """POST `/token`: issue a token for `grant_type=password` or `grant_type=refresh_token`.

    With `access_type=offline`, also issue a refresh token.
    """
    form = _parse_form(await request.body.whole(_MAX_FORM))
    await request.tokens.token_issuer.library.get()
    subject = _subject(request, form)
    scopes = parse_scopes(form.get("scope", ()))
    token = _token(request, subject, scopes, is_offline=_first(form, "access_type") == "offline")
    return json_response({**token, "scope": " ".join(str(scope) for scope in scopes)}, _NO_STORE)


async def read_token_form(scope: ASGIScope, receive: Receive) -> tuple[ASGIScope, Receive]:
    """Read the form of a POST to the token service, and record the repository and user in the exchange.

    Rules match the repository and the user, and only the form contains them. Return a scope with that target,
    and a `receive` that returns the form again. Raise `OCIError` 413 for a form that is too large.
    """
    body = await RequestBody(scope, receive).whole(_MAX_FORM)
    form = _parse_form(body)
    exchange = exchange_of(scope)
    exchange.user = exchange.user or _first(form, "username")[:_MAX_USER_LENGTH]
    exchange.target = token_target(parse_scopes(form.get("scope", ())), target_of(scope).base)
    return with_target(scope, exchange.target), _replayed(body, receive)


def _subject(request: RegistryRequest, form: Mapping[str, list[str]]) -> str:
    """Return the user who gets the token. Raise `OCIError` 401 for bad credentials, 400 for other grants."""
    grant = _first(form, "grant_type")
    if grant == "password":
        return request.tokens.login(Credentials(_first(form, "username"), _first(form, "password")))
    if grant == "refresh_token":
        return request.tokens.redeem(_first(form, "refresh_token"))
    raise OCIError(
        400, ErrorCode.UNSUPPORTED, f'invalid grant_type "{grant[:50]}": use password or refresh_token'
    )


def _token(
    request: RegistryRequest, subject: str, scopes: Sequence[Scope], *, is_offline: bool
) -> dict[str, Any]:
    return request.tokens.answer(subject, scopes, is_offline=is_offline, terms=terms_of(request.scope))


def _parse_form(body: bytes) -> Mapping[str, list[str]]:
    """Return the fields of an `application/x-www-form-urlencoded` body. Malformed parts are ignored."""
    return parse_qs(body.decode("latin-1"), keep_blank_values=True)


def _first(form: Mapping[str, list[str]], name: str) -> str:
    return next(iter(form.get(name, ())), "")


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
