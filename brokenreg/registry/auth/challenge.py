"""What a request needs, and the Bearer challenge that says so (RFC 6750, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs

from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_name
from brokenreg.oci.scopes import CATALOG, Scope
from brokenreg.oci.target import TOKEN_PATH, Endpoint, Target
from brokenreg.registry.auth.token_issuer import SERVICE
from brokenreg.wire.asgi import Scope as ASGIScope
from brokenreg.wire.asgi import asked_host


class PublicAddress:
    """Under which URL clients find the registry: the one given, else the host that they ask."""

    def __init__(self, url: str | None) -> None:
        self._url = url

    def base(self, scope: ASGIScope) -> str:
        """Scheme and host, without a path."""
        if self._url is not None:
            return self._url
        host, port = asked_host(scope)
        return f"{scope['scheme']}://{host}" if port is None else f"{scope['scheme']}://{host}:{port}"

    def realm(self, scope: ASGIScope) -> str:
        """The URL of the token service."""
        return self.base(scope) + TOKEN_PATH


def needed(target: Target, scope: ASGIScope) -> list[Scope]:
    """The scopes without which a request is refused; names are as the client spells them."""
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
    """The challenge; parameters that are empty are left out."""
    parameters = {
        "realm": realm,
        "service": service,
        "scope": " ".join(str(scope) for scope in scopes),
        "error": error,
    }
    return "Bearer " + ",".join(f"{name}={quoted(value)}" for name, value in parameters.items() if value)


def quoted(value: str) -> str:
    """As a quoted-string (RFC 9110, section 5.6.4)."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _mounted_from(scope: ASGIScope) -> str | None:
    """The other repository that a mount names; a bad name is for the endpoint to refuse."""
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if "mount" not in query or "from" not in query:
        return None
    try:
        return check_name(query["from"][0])
    except OCIError:
        return None
