"""Logins and tokens for upstreams, and the cache of tokens."""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cachetools import TLRUCache

from brokenreg.proxy.shared_requests import SharedRequests


@dataclass(frozen=True, slots=True)
class Login:
    """A user name with a password, or an identity token (a refresh token, RFC 6749, section 1.5)."""

    name: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """Return the value of an Authorization header (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.name}:{self.password}'.encode()).decode()}"


MIN_LIFETIME = 60.0
"""Minimum seconds that a token is valid, also if its service does not say (CNCF distribution, "Token
Authentication")."""

_MAX_TOKENS = 1000

Key = tuple[str, str]
"""The logical name of an upstream, and a scope there."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The value of an Authorization header, and the seconds that it is valid."""

    header: str = field(repr=False)
    lifetime: float = MIN_LIFETIME


class TokenCache:
    """Keeps grants by upstream and scope. Belongs to one event loop. Call `close` when done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._grants: TLRUCache[Key, Grant] = TLRUCache(
            _MAX_TOKENS, ttu=lambda _, grant, now: now + max(MIN_LIFETIME, grant.lifetime), timer=clock
        )
        self._flights: SharedRequests[Key, str | None] = SharedRequests()

    def get(self, key: Key) -> str | None:
        """Return the header to send, or None if there is none or it has expired."""
        grant = self._grants.get(key)
        return None if grant is None else grant.header

    def drop(self, key: Key, header: str) -> None:
        """Remove a refused header, unless another one has already replaced it."""
        if self.get(key) == header:
            del self._grants[key]

    async def obtain(self, key: Key, work: Callable[[], Awaitable[Grant | None]]) -> str | None:
        """Return the cached header, or the one that `work` obtains. Concurrent callers share one `work`.

        Return None if `work` obtains none. Raise the exception of `work`. Neither is cached. If a caller is
        cancelled, the work continues.
        """
        return self.get(key) or await self._flights.join(key, lambda: self._work(key, work))

    async def close(self) -> None:
        """End all requests for tokens, and refuse new ones."""
        await self._flights.close()

    async def _work(self, key: Key, work: Callable[[], Awaitable[Grant | None]]) -> str | None:
        grant = await work()
        if grant is None:
            return None
        self._grants[key] = grant
        return grant.header
