"""The second origin: a listener of our own to which redirects and foreign locations lead."""

from __future__ import annotations

import secrets
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

from brokenreg.http.authority import bracketed
from brokenreg.oci.target import TOKEN_PATH, Endpoint, Target, parse_target
from brokenreg.second_origin.signed_urls import LIFETIME, Allowed, Answer, SignedURL, URLSigner
from brokenreg.traffic.recorder import target_of
from brokenreg.wire.asgi import Scope, asked_host

_UNDERSTOOD = frozenset(
    {
        *("digest", "digest-algorithm", "mount", "from", "tag", "n", "last", "artifactType"),
        *("service", "scope"),
    }
)
"""The query parameters of a registry and its token service. What else a client says, which may be a secret,
we do not send on: the trap is for what the client sends. Of `ns`, the target knows whether it counts."""


class SecondOrigin:
    """Makes the URLs of the second origin.

    `public_host` is the name by which clients know this machine; without it, URLs have the host that the
    client requested. Connections to `dead_port` are refused.
    """

    def __init__(self, public_host: str | None, scheme: str, port: int, dead_port: int) -> None:
        self._public_host = public_host
        self._scheme = scheme
        self._port = port
        self._dead_port = dead_port
        self.tickets = URLSigner()
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
        asked = target_of(scope)
        ticket = SignedURL(
            path=place.path,
            query=_understood(place.query, asked),
            allowed=allowed or _allowed(place.path, scope["method"], asked),
            until=round((time.time() + lifetime) * 1000),
            answer=answer,
            hops=hops,
            status=status,
            listener=asked.base.listener,
        )
        return self.spell(scope, ticket, dead=dead)

    def spell(self, scope: Scope, ticket: SignedURL, *, dead: bool = False) -> str:
        """The absolute URL of a ticket."""
        return self._base(scope, self._dead_port if dead else self._port) + self.tickets.spell(ticket)

    def token_realm(self, scope: Scope) -> str:
        """The URL of a token service that takes whatever comes; its tokens are good for nothing."""
        return self._base(scope, self._port) + TOKEN_PATH

    def _base(self, scope: Scope, port: int) -> str:
        host = asked_host(scope)[0] if self._public_host is None else bracketed(self._public_host)
        return f"{self._scheme}://{host}:{port}"


def _allowed(path: str, method: str, asked: Target) -> Allowed:
    if parse_target(path, base=asked.base).endpoint is Endpoint.UPLOAD:
        return Allowed.SESSION
    return Allowed.READ if method in ("GET", "HEAD") else Allowed.WRITE


def _understood(query: str, asked: Target) -> str:
    """What of the query decides. An `ns` that named this registry would name another at another port."""
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] in _UNDERSTOOD]
    return "&".join(filter(None, (urlencode(pairs, safe="/:"), asked.query)))
