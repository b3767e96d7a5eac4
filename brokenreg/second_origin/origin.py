"""The URLs of the second origin, a listener to which redirects and foreign locations lead."""

from __future__ import annotations

import time
from urllib.parse import parse_qsl, urlencode, urlsplit

from brokenreg.http.asgi import Scope, requested_host
from brokenreg.http.authority import bracketed
from brokenreg.oci.target import TOKEN_PATH, Endpoint, Target, parse_target
from brokenreg.second_origin.signed_urls import LIFETIME, Allowed, Answer, SignedURL, URLSigner
from brokenreg.traffic.recorder import target_of

_FORWARDED = frozenset(
    {
        *("digest", "digest-algorithm", "mount", "from", "tag", "n", "last", "artifactType"),
        *("service", "scope"),
    }
)
"""The query parameters of a registry and its token service that a signed URL keeps. All others are dropped,
because they may be secrets, and the trap must record only what the client itself sends. `ns` is handled
separately."""


class SecondOrigin:
    """Creates the URLs of the second origin.

    `host` is the name under which clients reach it. Without one, URLs have the host that the client
    requested. Connections to `dead_port` are refused. `token` is what its token service issues to everyone.
    """

    def __init__(
        self, host: str | None, scheme: str, port: int, dead_port: int, *, signer: URLSigner, token: str
    ) -> None:
        self._host = host
        self._scheme = scheme
        self._port = port
        self._dead_port = dead_port
        self.signer = signer
        self.token = token

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
        """Return an absolute URL that serves `path` of the registry without credentials.

        `path` may have a query. By default, the URL of an upload allows the steps of the upload, and any
        other URL allows methods of the same kind as the request in `scope`. `lifetime` is in seconds, and
        negative for an expired URL. That many `hops` with that `status` come before the answer. `dead` puts
        the URL on a port that refuses connections.
        """
        place = urlsplit(path)
        target = target_of(scope)
        signed = SignedURL(
            path=place.path,
            query=_forwarded(place.query, target),
            allowed=allowed or _allowed(place.path, scope["method"], target),
            until=round((time.time() + lifetime) * 1000),
            answer=answer,
            hops=hops,
            status=status,
            listener=target.base.listener,
        )
        return self.spell(scope, signed, dead=dead)

    def spell(self, scope: Scope, signed: SignedURL, *, dead: bool = False) -> str:
        """Return the absolute URL of a signed URL."""
        return self._base(scope, self._dead_port if dead else self._port) + self.signer.spell(signed)

    def token_realm(self, scope: Scope) -> str:
        """Return the URL of a token service that accepts everyone; its tokens are worthless."""
        return self._base(scope, self._port) + TOKEN_PATH

    def _base(self, scope: Scope, port: int) -> str:
        host = requested_host(scope)[0] if self._host is None else bracketed(self._host)
        return f"{self._scheme}://{host}:{port}"


def _allowed(path: str, method: str, target: Target) -> Allowed:
    if parse_target(path, base=target.base).endpoint is Endpoint.UPLOAD:
        return Allowed.SESSION
    return Allowed.READ if method in ("GET", "HEAD") else Allowed.WRITE


def _forwarded(query: str, target: Target) -> str:
    """Return the part of the query that a signed URL keeps; `ns` only if it decides what is served."""
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] in _FORWARDED]
    return "&".join(filter(None, (urlencode(pairs, safe="/:"), target.query)))
