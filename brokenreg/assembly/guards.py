"""Refuses requests from web pages of another origin, and requests to rebound host names.

A browser runs untrusted code and can reach listeners on loopback. But that code cannot forge `Origin`,
`Sec-Fetch-Site` and `Host`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, partial

from brokenreg.http.asgi import (
    EncodedHeaders,
    Handled,
    Handler,
    Message,
    ReadyResponse,
    Receive,
    Responder,
    Scope,
    Send,
)
from brokenreg.http.authority import ip_address_of, parse_authority
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.registry.responses import error_response
from brokenreg.traffic.request_head import head_of

_CACHED = 256
"""Number of request heads and header lists whose results are cached. Clients send few different ones."""

_SAFETY_HEADERS = (
    # Content is untrusted: browsers must not treat it as a page or a script.
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox"),
)

_FOREIGN = OCIError(403, ErrorCode.DENIED, "requests from pages of another origin are refused")

Values = tuple[str, ...]
"""All values of a header."""


class RegistryGuard:
    """Refuses requests that a foreign web page may have caused.

    `allowed_hosts` are additional names of this registry.
    """

    def __init__(self, handler: Handler, allowed_hosts: Iterable[str]) -> None:
        self._handler = handler
        self._allowed = {"localhost", *(name.removesuffix(".").lower() for name in allowed_hosts)}
        self._cached_refusal = lru_cache(_CACHED)(self._refusal)

    def __call__(self, scope: Scope, receive: Receive) -> Handled:
        """Handle a request unless it is refused, and add headers that make the response safe for browsers."""
        head = head_of(scope)
        server = scope["server"][0] if scope["server"] else ""
        refusal = self._cached_refusal if head.is_short else self._refusal
        error = _FOREIGN if head.is_cross_site else refusal(head.hosts, head.origins, server)
        handled = self._handler(scope, receive) if error is None else error_response(error)
        if isinstance(handled, ReadyResponse):
            # An error may repeat what the client sent, so only the headers of other responses are cached.
            with_safety = _cached_with_safety if handled.status < 400 else _with_safety
            return ReadyResponse(handled.status, with_safety(handled.headers), handled.body)
        return partial(_send_safely, handled)

    def _refusal(self, hosts: Values, origins: Values, server: str) -> OCIError | None:
        """Return the error if requests with these headers to that local address are refused, or None."""
        if origins and _is_foreign(origins, hosts):
            return _FOREIGN
        for host in filter(None, hosts):  # an empty Host has no name to check
            name = _host_name(host)
            if name is None:
                message = f"invalid Host {host[:100]!r}: write <name> or <name>:<port>"
                return OCIError(421, ErrorCode.DENIED, message)
            if name not in self._allowed and ip_address_of(name) is None and _is_loopback(server):
                return OCIError(
                    421,
                    ErrorCode.DENIED,
                    f"{host[:100]!r} is not a name of this registry; use localhost or an address, "
                    f"or start brokenreg with --allow-host {name[:100]}",
                )
        return None


async def _send_safely(respond: Responder, send: Send) -> None:
    async def send_safely(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_SAFETY_HEADERS]}
        await send(message)

    await respond(send_safely)


def _with_safety(headers: EncodedHeaders) -> EncodedHeaders:
    return headers + _SAFETY_HEADERS


_cached_with_safety = lru_cache(_CACHED)(_with_safety)


def _is_foreign(origins: Values, hosts: Values) -> bool:
    """Return whether a web page of another host sent the request."""
    own = {host.lower() for host in hosts}
    # An opaque origin is "null", without "://", and becomes an empty text.
    pages = {origin.partition("://")[2].lower() for origin in origins}
    return pages != own or "" in pages


def _host_name(host: str) -> str | None:
    """Return the name in a Host header in lower case, without port and brackets; None if malformed."""
    parsed = parse_authority(host)
    return None if parsed is None else parsed[0].strip("[]").removesuffix(".").lower()


def _is_loopback(server: str) -> bool:
    address = ip_address_of(server)
    return address is not None and address.is_loopback
