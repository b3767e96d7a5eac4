"""The token service's endpoint: GET with Basic credentials or none, POST with an OAuth2 form (RFC 6749)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.scopes import Scope, parse_scopes
from brokenreg.registry.auth.form import MAX_FORM, read_form
from brokenreg.registry.auth.service import refusal, terms_of
from brokenreg.registry.auth.users import Credentials
from brokenreg.registry.call import StreamCall
from brokenreg.registry.responses import respond


async def get_token(call: StreamCall) -> None:
    """GET `/token?service=&scope=`: with `offline_token=true` also a refresh token."""
    value = call.header("authorization")
    credentials = None if value is None else Credentials.of_header(value)
    if value is not None and credentials is None:
        raise refusal("the token service takes Basic credentials")
    subject = call.tokens.login(credentials)
    scopes = parse_scopes(call.query.get("scope", ()))
    is_offline = call.parameter("offline_token") in ("true", "1")
    await _answer(call, _document(call, subject, scopes, is_offline=is_offline))


async def post_token(call: StreamCall) -> None:
    """POST `/token`: `grant_type=password` or `refresh_token`; `access_type=offline` for a refresh token."""
    form = read_form(await call.body.whole(MAX_FORM))
    subject = _subject(call, form)
    scopes = parse_scopes(form.get("scope", ()))
    document = _document(call, subject, scopes, is_offline=_first(form, "access_type") == "offline")
    await _answer(call, {**document, "scope": " ".join(str(scope) for scope in scopes)})


def _subject(call: StreamCall, form: Mapping[str, list[str]]) -> str:
    """Raise `OCIError` 401 for bad credentials, 400 for another kind of grant."""
    grant = _first(form, "grant_type")
    if grant == "password":
        return call.tokens.login(Credentials(_first(form, "username"), _first(form, "password")))
    if grant == "refresh_token":
        return call.tokens.redeem(_first(form, "refresh_token"))
    raise OCIError(
        400, ErrorCode.UNSUPPORTED, f"grant_type {grant[:50]!r}: password and refresh_token are known"
    )


def _document(call: StreamCall, subject: str, scopes: Sequence[Scope], *, is_offline: bool) -> dict[str, Any]:
    return call.tokens.answer(subject, scopes, is_offline=is_offline, terms=terms_of(call.scope))


async def _answer(call: StreamCall, document: dict[str, Any]) -> None:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    await respond(call.send, 200, headers, json.dumps(document, separators=(",", ":")).encode())


def _first(form: Mapping[str, list[str]], name: str) -> str:
    return next(iter(form.get(name, ())), "")
