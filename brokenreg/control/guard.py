"""Who may drive the control API: nobody but its own Host and Origin, and with a token who presents it."""

from __future__ import annotations

import hmac

from brokenreg.control.problems import Problem
from brokenreg.http.authority import bracketed
from brokenreg.wire.asgi import Scope, all_headers, header


class ControlGuard:
    """Judges requests to the control listener at `address`.

    A page of another origin cannot lie about `Origin`, `Sec-Fetch-Site` and `Host`, whatever it sends.
    """

    def __init__(self, address: str, token: str | None) -> None:
        self._address = address
        self._token = token

    def refusal_reason(self, scope: Scope) -> Problem | None:
        """Why the request is refused; None if it may pass."""
        hosts = [host.lower() for host in all_headers(scope, b"host")] or [""]
        own = self._own_hosts(scope)
        if not own.issuperset(hosts):
            told = ", ".join(hosts)
            return Problem(
                421, f"the control API does not go by the name {told[:100]!r}; use {self._address}"
            )
        origins = {origin.lower() for origin in all_headers(scope, b"origin")}
        if not origins <= {f"http://{each}" for each in own}:
            return Problem(403, "requests from pages of another origin are refused")
        if header(scope, b"sec-fetch-site") in (b"cross-site", b"same-site"):
            return Problem(403, "requests from pages of another site are refused")
        if self._token is not None and not self._is_authorized(scope):
            return Problem(
                401,
                "send Authorization: Bearer <the --control-token>",
                headers={"www-authenticate": 'Bearer realm="brokenreg control"'},
            )
        return None

    def _own_hosts(self, scope: Scope) -> set[str]:
        """Our names, each with the port: that we were given, that we were reached by, and localhost."""
        host, _, port = self._address.rpartition(":")
        reached = scope["server"][0] if scope["server"] else host
        names = {host, "localhost", bracketed(reached)}
        ports = ("", ":80") if port == "80" else (f":{port}",)  # clients leave out the one of http
        return {f"{name.lower()}{each}" for name in names for each in ports}

    def _is_authorized(self, scope: Scope) -> bool:
        scheme, _, sent = (header(scope, b"authorization") or b"").partition(b" ")
        is_right = hmac.compare_digest(sent.strip(), str(self._token).encode())
        return is_right and scheme.lower() == b"bearer"  # a scheme is of any case (RFC 9110, section 11.1)
