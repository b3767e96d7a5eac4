"""Refuses requests from web pages of another origin, and requests to rebound host names.

A browser runs code of strangers, and reaches what listens on loopback. It cannot lie about `Origin`,
`Sec-Fetch-Site` and `Host`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from brokenreg.http.authority import ip_address_of, parse_authority
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.registry.responses import error_response
from brokenreg.wire.asgi import (
    Handled,
    Handler,
    Message,
    ReadyResponse,
    Receive,
    Scope,
    Send,
    all_headers,
    header,
)

_CACHED = 64
"""Hosts whose names are cached: clients use few, and each is smaller than a head, which is at most 64 KiB."""

_SAFETY_HEADERS = [
    # Anybody can push content. Browsers must not treat it as a page or a script.
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox"),
]


class RegistryGuard:
    """Passes on what is no trick of a web page; `allowed_hosts` are further names of this registry."""

    def __init__(self, handler: Handler, allowed_hosts: Iterable[str]) -> None:
        self._handler = handler
        self._allowed = {"localhost", *(name.removesuffix(".").lower() for name in allowed_hosts)}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Handled:
        """Handle a request, if it is not refused, and make its response safe for browsers."""
        error = self._refusal(scope)
        if error is not None:
            return _safe(error_response(error).ready())

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_SAFETY_HEADERS]}
            await send(message)

        handled = self._handler(scope, receive, send_safely)
        return _safe(handled) if isinstance(handled, ReadyResponse) else handled

    def _refusal(self, scope: Scope) -> OCIError | None:
        hosts = all_headers(scope, b"host")
        if _is_foreign(scope, hosts):
            return OCIError(403, ErrorCode.DENIED, "requests from pages of another origin are refused")
        for host in filter(None, hosts):  # an empty Host has no name to check
            name = _host_name(host)
            if name is None:
                message = f"invalid Host {host[:100]!r}: write <name> or <name>:<port>"
                return OCIError(421, ErrorCode.DENIED, message)
            if name not in self._allowed and ip_address_of(name) is None and _is_loopback(scope):
                return OCIError(
                    421,
                    ErrorCode.DENIED,
                    f"{host[:100]!r} is not a name of this registry; use localhost or an address, "
                    f"or start it with --allow-host {name[:100]}",
                )
        return None


def _safe(response: ReadyResponse) -> ReadyResponse:
    return ReadyResponse(response.status, [*response.headers, *_SAFETY_HEADERS], response.body)


def _is_foreign(scope: Scope, hosts: list[str]) -> bool:
    """Return whether the request comes from a web page whose origin is none of `hosts`."""
    if header(scope, b"sec-fetch-site") == b"cross-site":
        return True
    if header(scope, b"origin") is None:
        return False
    own = {host.lower() for host in hosts}
    # An opaque origin is "null", which has no "://".
    origins = {origin.partition("://")[2].lower() for origin in all_headers(scope, b"origin")}
    return origins != own or "" in origins


@lru_cache(_CACHED)
def _host_name(host: str) -> str | None:
    """Return the name in a Host header, without port and brackets, in lower case, or None if malformed."""
    parsed = parse_authority(host)
    return None if parsed is None else parsed[0].strip("[]").removesuffix(".").lower()


def _is_loopback(scope: Scope) -> bool:
    server = scope["server"]
    address = None if server is None else ip_address_of(server[0])
    return address is not None and address.is_loopback
