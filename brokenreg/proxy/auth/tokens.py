"""Logins and tokens of upstreams, and the cache of tokens."""

from __future__ import annotations

import base64
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from brokenreg.proxy.shared_requests import SharedRequests


@dataclass(frozen=True, slots=True)
class Login:
    """A name and a password, or an identity token (a refresh token, RFC 6749, section 1.5)."""

    name: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.name}:{self.password}'.encode()).decode()}"


SHORTEST = 60.0
"""Seconds that a token lasts if its service does not say so, or says less (CNCF distribution, "Token
Authentication")."""

_MOST = 1000

Key = tuple[str, str]
"""An upstream by its logical name, and a scope there."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The value of an Authorization header, and for how many seconds it is good."""

    header: str = field(repr=False)
    lifetime: float = SHORTEST


class TokenCache:
    """Grants by upstream and scope. Belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[str, float]] = OrderedDict()
        self._flights: SharedRequests[Key, str | None] = SharedRequests()

    def get(self, key: Key) -> str | None:
        """The header to send; None if there is none, or no longer."""
        header, end = self._kept.get(key, ("", 0.0))
        if not header:
            return None
        if self._clock() >= end:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return header

    def drop(self, key: Key, header: str) -> None:
        """Forget it, for it was refused; one that somebody else got meanwhile stays."""
        if self._kept.get(key, ("", 0.0))[0] == header:
            del self._kept[key]

    async def obtain(self, key: Key, work: Callable[[], Awaitable[Grant | None]]) -> str | None:
        """The header that is kept, or by `work`: once for all who want it, whoever of them leaves.

        None if `work` gets none. Raise what `work` raises; nothing of either is kept.
        """
        return self.get(key) or await self._flights.join(key, lambda: self._work(key, work))

    async def _work(self, key: Key, work: Callable[[], Awaitable[Grant | None]]) -> str | None:
        grant = await work()
        if grant is None:
            return None
        self._kept[key] = (grant.header, self._clock() + max(SHORTEST, grant.lifetime))
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return grant.header
