"""Tickets with which the page of the panel opens its WebSocket.

Another replica of a fleet may get the WebSocket. Therefore, a ticket is signed, and nothing is remembered
before it is used.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Awaitable, Callable

from brokenreg.runtime.operations.access import Access

_TICKET_VALID = 30.0

Claim = Callable[[str], Awaitable[bool]]
"""Notes in the whole fleet that an id is used. Returns False if it was used before. Raises `StorageError`."""


class Tickets:
    """Each ticket opens one WebSocket within 30 seconds, with the access of whoever got it.

    They are valid at all servers with the same `key`. `claim` is that of a fleet.
    """

    def __init__(
        self, key: bytes, claim: Claim | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = key
        self._claim = claim or self._claim_here
        self._clock = clock
        self._used: dict[str, float] = {}
        """The ids of used tickets, with the times at which they are no longer valid."""

    def issue(self, access: Access) -> str:
        """Return a new ticket."""
        content = f"{access}.{self._clock() + _TICKET_VALID:.3f}.{secrets.token_hex(16)}"
        return f"{content}.{self._signature(content)}"

    def access(self, ticket: str) -> Access | None:
        """Return the access of a ticket; None if it is not valid. It may have been used."""
        content, _, signature = ticket.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(content).encode()):
            return None
        access, rest = content.split(".", 1)
        return Access(access) if self._clock() < float(rest.rpartition(".")[0]) else None

    async def use(self, ticket: str) -> bool:
        """Make a ticket, which is valid, invalid. Return False if it was used before.

        Raise `StorageError` if the database of the fleet cannot be reached.
        """
        return await self._claim(ticket.split(".")[-2])

    async def _claim_here(self, ticket_id: str) -> bool:
        now = self._clock()
        self._used = {each: until for each, until in self._used.items() if until > now}
        if ticket_id in self._used:
            return False
        self._used[ticket_id] = now + _TICKET_VALID
        return True

    def _signature(self, content: str) -> str:
        return hmac.new(self._key, content.encode(errors="replace"), "sha256").hexdigest()
