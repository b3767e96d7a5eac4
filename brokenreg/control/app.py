"""The control API as one ASGI application: a guard, and Quart behind it."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from brokenreg.wire.asgi import Receive, Scope, Send, header

_PROBLEM = "application/problem+json"


class Status(BaseModel):
    """What `GET /v1/status` says. `uptime` is in seconds; `offline` means that no upstream is ever asked."""

    model_config = ConfigDict(frozen=True)

    version: str
    uptime: float
    registry: list[str]
    control: str | None
    offline: bool
    exchanges: int
    in_flight: int
    connections: int
    repositories: int
    manifests: int
    blobs: int


class Control:
    """Serves `/v1/`. Its own Host and Origin alone get in; with a `token`, only who presents it."""

    def __init__(self, status: Callable[[], Status], address: str, token: str | None) -> None:
        self._address = address
        self._token = token
        self._quart = _make_quart(status)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._objection(scope)
        if problem is None:
            await self._quart(scope, receive, send)  # type: ignore[arg-type]
            return
        status, detail = problem
        body = _problem(status, detail)
        headers = [(b"content-type", _PROBLEM.encode()), (b"content-length", b"%d" % len(body))]
        if status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="brokenreg control"'))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _objection(self, scope: Scope) -> tuple[int, str] | None:
        host = (header(scope, b"host") or b"").decode("latin-1").lower()
        own = self._own_hosts(scope)
        if host not in own:
            return 421, f"the control API does not go by the name {host[:100]!r}; use {self._address}"
        origin = header(scope, b"origin")
        if origin is not None and origin.decode("latin-1").lower() not in {f"http://{each}" for each in own}:
            return 403, "requests from pages of another origin are refused"
        if header(scope, b"sec-fetch-site") in (b"cross-site", b"same-site"):
            return 403, "requests from pages of another site are refused"
        if self._token is not None and not self._is_authorized(scope):
            return 401, "send Authorization: Bearer <the --control-token>"
        return None

    def _own_hosts(self, scope: Scope) -> set[str]:
        """Our names, each with the port: that we were given, that we were reached by, and localhost."""
        host, _, port = self._address.rpartition(":")
        reached = scope["server"][0] if scope["server"] else host
        names = {host, "localhost", f"[{reached}]" if ":" in reached else reached}
        return {f"{name.lower()}:{port}" for name in names}

    def _is_authorized(self, scope: Scope) -> bool:
        sent = header(scope, b"authorization") or b""
        wanted = f"Bearer {self._token}".encode()
        return hmac.compare_digest(sent, wanted)


def _make_quart(status: Callable[[], Status]) -> Quart:
    app = Quart("brokenreg.control", static_folder=None)
    app.config.update(RESPONSE_TIMEOUT=None, BODY_TIMEOUT=None)

    async def get_status() -> Response:
        return Response(status().model_dump_json(), content_type="application/json")

    app.add_url_rule("/v1/status", "status", get_status, methods=["GET"])
    app.register_error_handler(HTTPException, _on_http_error)
    return app


async def _on_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    response = Response(_problem(status, error.description or error.name), status, content_type=_PROBLEM)
    for name, value in error.get_headers():
        if name.lower() == "allow":
            response.headers[name] = value
    return response


def _problem(status: int, detail: str) -> bytes:
    """An error as RFC 9457 has it."""
    return json.dumps({"type": "about:blank", "status": status, "detail": detail}).encode()
