"""Who may ask: no page of a foreign origin, no rebound name (DESIGN: "Who may do what").

A browser runs code of strangers, and reaches what listens on loopback. It cannot lie about `Origin`,
`Sec-Fetch-Site` and `Host`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.registry.responses import respond_error
from brokenreg.wire.asgi import ASGIApp, Message, Receive, Scope, Send, header

_SAFETY_HEADERS = [
    # What is stored here came from anybody; no browser shall take it for a page or a script.
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox"),
]


class RegistryGuard:
    """Guards the registry listener; `allowed_hosts` are names that it also goes by."""

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str]) -> None:
        self._app = app
        self._allowed = {"localhost", *(name.lower() for name in allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_SAFETY_HEADERS]}
            await send(message)

        error = self._objection(scope)
        if error is not None:
            await respond_error(send_safely, error)
        else:
            await self._app(scope, receive, send_safely)

    def _objection(self, scope: Scope) -> OCIError | None:
        host = (header(scope, b"host") or b"").decode("latin-1")
        if is_foreign(scope, host):
            return OCIError(403, ErrorCode.DENIED, "requests from pages of another origin are refused")
        if _is_loopback(scope) and host and not self._is_ours(host):
            return OCIError(
                421,
                ErrorCode.DENIED,
                f"this registry does not go by the name {host[:100]!r}; use localhost or an address, "
                f"or start it with --allow-host {host_name(host)[:100]}",
            )
        return None

    def _is_ours(self, host: str) -> bool:
        name = host_name(host)
        return name in self._allowed or _is_address(name)


def is_foreign(scope: Scope, host: str) -> bool:
    """Whether a page of another origin than `host` made the browser ask."""
    if header(scope, b"sec-fetch-site") == b"cross-site":
        return True
    origin = header(scope, b"origin")
    return origin is not None and urlsplit(origin.decode("latin-1")).netloc.lower() != host.lower()


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(scope: Scope) -> bool:
    server = scope["server"]
    return server is not None and _is_address(server[0]) and ipaddress.ip_address(server[0]).is_loopback
