"""Equal requests to upstreams share one; it continues for a while after its clients disconnect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from brokenreg.concurrency import Key, Result, SingleFlight
from brokenreg.oci.errors import shutting_down
from brokenreg.proxy.errors import UpstreamBusyError

_MOST = 2048
"""Maximum number of requests under way: each holds memory and a connection, even without clients."""

UNATTENDED = 60.0
"""Seconds that a request continues without clients: an upstream could keep it busy for hours."""


class SharedRequests(SingleFlight[Key, Result]):
    """Requests under way, by key. Belongs to one event loop; `close` when done."""

    def __init__(self) -> None:
        super().__init__(shutting_down, UNATTENDED)

    async def join(self, key: Key, start: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result for that key, or raise its exception. If nothing is under way, `start` a request.

        Raise `UpstreamBusyError` if too many are under way, and `OCIError` 503 once this is closed.
        """
        if len(self) >= _MOST and not self.is_under_way(key):
            raise UpstreamBusyError(f"{_MOST} other requests to upstreams are under way; try again later")
        return await super().join(key, start)
