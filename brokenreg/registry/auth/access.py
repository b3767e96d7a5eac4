"""Checks whether a request is authenticated and authorized, before it reaches an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

from brokenreg.http.asgi import (
    Handled,
    Handler,
    Message,
    ReadyResponse,
    Receive,
    header,
    requested_host,
)
from brokenreg.http.asgi import Scope as ASGIScope
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_name
from brokenreg.oci.scopes import CATALOG, Scope, is_granted
from brokenreg.oci.target import TOKEN_PATH, Endpoint, Target
from brokenreg.registry.auth.token_issuer import SERVICE, BadTokenError, TokenIssuer
from brokenreg.registry.auth.users import Credentials, Users, unauthorized
from brokenreg.registry.responses import error_response
from brokenreg.traffic.recorder import target_of

_ADMITTED = ReadyResponse(204, (), b"")
_PUBLIC = (Endpoint.TOKEN, Endpoint.OTHER)
"""Endpoints without authentication: the token service has its own, and unknown paths always get a 404."""


class BasicAuthentication:
    """Requires HTTP Basic (RFC 7617) before a handler is called. Every user may do everything."""

    def __init__(self, handler: Handler, users: Users) -> None:
        self._handler = handler
        self._users = users

    def __call__(self, scope: ASGIScope, receive: Receive) -> Handled:
        """Handle a request if it is authenticated, or else respond with 401."""
        if _is_public(target_of(scope)) or self._is_authenticated(scope):
            return self._handler(scope, receive)
        return error_response(unauthorized("user name and password are required"))

    def _is_authenticated(self, scope: ASGIScope) -> bool:
        credentials = Credentials.of_header(_authorization(scope))
        return credentials is not None and self._users.accepts(credentials)


class TokenAuthentication:
    """Requires a token whose scopes cover the request, before a handler is called.

    The response to a missing scope is a 401 with a challenge too, so that clients fetch another token. After
    a 403 they would give up.
    """

    def __init__(self, handler: Handler, token_issuer: TokenIssuer, address: PublicAddress) -> None:
        self._handler = handler
        self._token_issuer = token_issuer
        self._address = address

    def __call__(self, scope: ASGIScope, receive: Receive) -> Handled:
        """Handle a request if its token covers it, or else respond with 401."""
        target = target_of(scope)
        error = None if _is_public(target) else self._refusal(scope, needed(target, scope))
        return self._handler(scope, receive) if error is None else error_response(error)

    def _refusal(self, scope: ASGIScope, wanted: list[Scope]) -> OCIError | None:
        realm = self._address.realm(scope)
        scheme, _, token = _authorization(scope).partition(" ")
        if scheme.lower() != "bearer":
            return unauthorized("authentication required", bearer(realm, wanted))
        try:
            granted = self._token_issuer.scopes(token.strip())
        except BadTokenError as error:
            return unauthorized(str(error), bearer(realm, wanted, error="invalid_token"))
        if is_granted(wanted, granted):
            return None
        missing = " ".join(str(each) for each in wanted)
        return unauthorized(
            f"the token does not cover {missing}", bearer(realm, wanted, error="insufficient_scope")
        )


class AccessCheck:
    """Checks whether the registry would admit a request, for code that responds in its place.

    `authenticated` returns a handler that authenticates requests before it calls the given one.
    """

    def __init__(self, authenticated: Callable[[Handler], Handler]) -> None:
        self._authenticated = authenticated(_admit)

    def admits(self, scope: ASGIScope) -> bool:
        """Return whether the request is authorized."""
        return self._authenticated(scope, _unused_receive) is _ADMITTED


class PublicAddress:
    """The URL by which clients reach the registry: the configured one, or the host of the request."""

    def __init__(self, url: str | None) -> None:
        self._url = url

    def base(self, scope: ASGIScope) -> str:
        """Return the scheme and host, without a path."""
        if self._url is not None:
            return self._url
        host, port = requested_host(scope)
        return f"{scope['scheme']}://{host}" if port is None else f"{scope['scheme']}://{host}:{port}"

    def realm(self, scope: ASGIScope) -> str:
        """Return the URL of the token service."""
        return self.base(scope) + TOKEN_PATH


def needed(target: Target, scope: ASGIScope) -> list[Scope]:
    """Return the scopes that a request needs, with names as the client spelled them."""
    if target.endpoint is Endpoint.CATALOG:
        return [CATALOG]
    if not target.repository:
        return []
    method = scope["method"]
    if target.endpoint is Endpoint.UPLOAD:
        source = _mounted_from(scope) if method == "POST" else None
        own = Scope.repository(target.name, "pull", "push")
        return [own] if source in (None, target.name) else [own, Scope.repository(source, "pull")]
    if method in ("GET", "HEAD"):
        return [Scope.repository(target.name, "pull")]
    if method == "DELETE":
        return [Scope.repository(target.name, "delete")]
    return [Scope.repository(target.name, "pull", "push")]


def bearer(realm: str, scopes: Sequence[Scope], *, error: str = "", service: str = SERVICE) -> str:
    """Return a Bearer challenge (RFC 6750, section 3) without empty parameters."""
    parameters = {
        "realm": realm,
        "service": service,
        "scope": " ".join(str(scope) for scope in scopes),
        "error": error,
    }
    return "Bearer " + ",".join(f"{name}={_quoted(value)}" for name, value in parameters.items() if value)


def _quoted(value: str) -> str:
    """Return a quoted-string (RFC 9110, section 5.6.4)."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _mounted_from(scope: ASGIScope) -> str | None:
    """Return the repository that a blob is mounted from, or None. The endpoint refuses an invalid name."""
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if "mount" not in query or "from" not in query:
        return None
    try:
        return check_name(query["from"][0])
    except OCIError:
        return None


def _is_public(target: Target) -> bool:
    return target.endpoint in _PUBLIC or target.error is not None


def _authorization(scope: ASGIScope) -> str:
    return (header(scope, b"authorization") or b"").decode("latin-1")


def _admit(scope: ASGIScope, receive: Receive) -> Handled:
    del scope, receive
    return _ADMITTED


async def _unused_receive() -> Message:
    raise NotImplementedError
