"""Refuses requests to the control API with a foreign Host or Origin, or without a token.

It also says what the sender of the others may do.
"""

from __future__ import annotations

import hmac

from brokenreg.control.problems import APIError
from brokenreg.http.asgi import Scope, all_headers, header
from brokenreg.http.authority import bracketed
from brokenreg.runtime.operations import Access


class ControlGuard:
    """Checks requests to the control listener at `address`.

    It relies on `Origin`, `Sec-Fetch-Site` and `Host`, because pages of other origins cannot forge them.
    With a token, every Host is valid: foreign pages do not have the token, and clients outside a container
    use names that it does not know. `read_token` is valid, too, but its sender may only look.
    """

    def __init__(self, address: str, token: str | None, read_token: str | None = None) -> None:
        self._address = address
        self._token = token
        self._read_token = read_token

    @property
    def needs_token(self) -> bool:
        """Return whether requests need a token."""
        return self._token is not None

    def refusal_reason(self, scope: Scope) -> APIError | None:
        """Return why the request is refused, or None."""
        refusal = self.foreign_reason(scope)
        if refusal is None and self._token is not None and self._access(scope) is None:
            return APIError(
                401,
                "send Authorization: Bearer <the --control-token>",
                headers={"www-authenticate": 'Bearer realm="brokenreg control"'},
            )
        return refusal

    def foreign_reason(self, scope: Scope, *, is_form: bool = False) -> APIError | None:
        """Return why the request is refused, whatever its token is, or None.

        If it may be a form of ours, its Origin may be `null`: browsers send that for a page without referrer.
        """
        hosts = [host.lower() for host in all_headers(scope, b"host")] or [""]
        own = self._own_hosts(scope) if self._token is None else {*self._own_hosts(scope), *hosts}
        if not own.issuperset(hosts):
            given = ", ".join(hosts)
            return APIError(421, f'"{given[:100]}" is not a name of the control API: use {self._address}')
        origins = {origin.lower() for origin in all_headers(scope, b"origin")}
        if is_form and header(scope, b"sec-fetch-site") == b"same-origin":
            origins.discard("null")
        scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
        if not origins <= {f"{scheme}://{each}" for each in own}:
            return APIError(403, "requests from pages of another origin are refused")
        if header(scope, b"sec-fetch-site") in (b"cross-site", b"same-site"):
            return APIError(403, "requests from pages of another site are refused")
        return None

    def granted(self, token: str) -> Access | None:
        """Return what a token permits, or None if it is invalid."""
        return self._granted(token.encode("utf-8", "replace"))

    def access(self, scope: Scope) -> Access:
        """Return what the sender of a request that is not refused may do."""
        return Access.FULL if self._token is None else self._access(scope) or Access.READ

    def _own_hosts(self, scope: Scope) -> set[str]:
        """Return the valid Host headers: the configured name, the address that was reached, and localhost."""
        host, _, port = self._address.rpartition(":")
        reached = scope["server"][0] if scope["server"] else host
        names = {host, "localhost", bracketed(reached)}
        ports = ("", ":80") if port == "80" else (f":{port}",)  # clients omit the default port
        return {f"{name.lower()}{each}" for name in names for each in ports}

    def _access(self, scope: Scope) -> Access | None:
        """Return what the token of a request permits, or None if it is invalid or missing."""
        scheme, _, sent = (header(scope, b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer":  # schemes are case-insensitive (RFC 9110, 11.1)
            return None
        return self._granted(sent.strip())

    def _granted(self, sent: bytes) -> Access | None:
        granted = None
        for token, access in ((self._read_token, Access.READ), (self._token, Access.FULL)):
            if token is not None and hmac.compare_digest(sent, token.encode()):
                granted = access
        return granted
