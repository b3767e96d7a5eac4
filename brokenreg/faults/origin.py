"""The second origin: a listener of our own to which redirects and foreign locations lead."""

from __future__ import annotations

import re
import secrets
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

from brokenreg.faults.tickets import LIFETIME, Allowed, Answer, Ticket, TicketOffice
from brokenreg.oci.target import Endpoint, parse_target
from brokenreg.wire.asgi import Scope, header

TOKEN_PATH = "/token"  # noqa: S105 - a path
"""Path of the token service that gives everybody a token which is good for nothing."""

_UNDERSTOOD = frozenset(
    {"ns", "digest", "digest-algorithm", "mount", "from", "tag", "n", "last", "artifactType"}
)
"""The registry's own query parameters. What else a client says (a token, perhaps) is not sent on."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


class SecondOrigin:
    """Where it is, and what its URLs allow; scheme and ports are told once they are bound."""

    def __init__(self) -> None:
        self.scheme = "http"
        self.port = 0
        self.dead_port = 0
        """Ours, and nobody listens there."""
        self.tickets = TicketOffice()
        self.token = secrets.token_urlsafe(24)
        """What its token service gives to everybody."""

    def url(
        self,
        scope: Scope,
        path: str,
        *,
        allowed: Allowed | None = None,
        lifetime: float = LIFETIME,
        answer: Answer = Answer.CONTENT,
        hops: int = 0,
        status: int = 307,
        dead: bool = False,
    ) -> str:
        """The absolute URL at which somebody without credentials has what `path` is at the registry.

        `path` may have a query. Unless told, it is good for an upload's steps, if it is an upload's, else for
        methods of the kind of the request in `scope`. `lifetime` is in seconds, negative for a URL that has
        expired. Before the answer stand `hops` redirects of that `status`. `dead`: on a port where nobody
        listens.
        """
        place = urlsplit(path)
        ticket = Ticket(
            path=place.path,
            query=_understood(place.query),
            allowed=allowed or _allowed(place.path, scope["method"]),
            until=round((time.time() + lifetime) * 1000),
            answer=answer,
            hops=hops,
            status=status,
        )
        return self.base(scope, self.dead_port if dead else self.port) + self.tickets.spell(ticket)

    def token_realm(self, scope: Scope) -> str:
        """The URL of a token service that takes whatever comes; its tokens are good for nothing."""
        return self.base(scope, self.port) + TOKEN_PATH

    def base(self, scope: Scope, port: int) -> str:
        """The URL of that port, without a path, by the host that the client asked for."""
        match = _HOST.fullmatch((header(scope, b"host") or b"").decode("latin-1"))
        host = match[1] if match else _reached(scope)
        return f"{self.scheme}://{host}:{port}"


def _allowed(path: str, method: str) -> Allowed:
    if parse_target(path).endpoint is Endpoint.UPLOAD:
        return Allowed.SESSION
    return Allowed.READ if method in ("GET", "HEAD") else Allowed.WRITE


def _understood(query: str) -> str:
    return urlencode(
        [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] in _UNDERSTOOD], safe="/:"
    )


def _reached(scope: Scope) -> str:
    """The address that an HTTP/1.0 client reached, which names no host."""
    host: str = scope["server"][0] if scope["server"] else "localhost"
    return f"[{host}]" if ":" in host else host
