"""Lets clients share equal requests to upstreams. A request continues for a while after they disconnect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from brokenreg.concurrency import Key, Result, SingleFlight
from brokenreg.oci.errors import shutting_down
from brokenreg.proxy.errors import UpstreamBusyError

_MAX_RUNNING = 2048
"""Maximum number of running requests: each uses memory and a connection, even without clients."""

UNATTENDED = 60.0
"""Seconds that a request continues without clients: an upstream could keep it busy for hours."""


class SharedRequests(SingleFlight[Key, Result]):
    """Running requests, by key. Belongs to one event loop. Call `close` when done."""

    def __init__(self) -> None:
        super().__init__(shutting_down, UNATTENDED)

    async def join(self, key: Key, start: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result for that key, or raise its exception. If no request is running, `start` one.

        Raise `UpstreamBusyError` if too many are running, and `OCIError` 503 after `close`.
        """
        if len(self) >= _MAX_RUNNING and not self.is_under_way(key):
            raise UpstreamBusyError(
                f"{_MAX_RUNNING} other requests to upstreams are running; try again later"
            )
        return await super().join(key, start)
