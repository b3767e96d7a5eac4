"""How a run stops: requests in flight may end, up to the limit of `--stop-timeout`."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from brokenreg.assembly.listeners import Listeners
from brokenreg.concurrency import first_of
from brokenreg.storage.uploads.upload_store import UploadStore

LEAD = 5.0
"""Seconds in which connections are still accepted, so that load balancers can first notice the stop."""

_LONG = 10.0
"""The limit from which on there is a lead, in seconds."""

_BETWEEN_REQUESTS = 3.0
"""Maximum seconds between two requests of a client that pushes a blob."""

_POLL = 0.1


@dataclass(frozen=True, slots=True)
class StopRequest:
    """What signals request: the first one to stop, and the second one to do so without waiting."""

    requested: asyncio.Event = field(default_factory=asyncio.Event)
    hurried: asyncio.Event = field(default_factory=asyncio.Event)

    def note_signal(self) -> None:
        """Note SIGINT or SIGTERM."""
        (self.hurried if self.requested.is_set() else self.requested).set()


async def drain(listeners: Listeners, uploads: UploadStore, limit: float, hurried: asyncio.Event) -> None:
    """Accept no more connections, and wait until requests in flight have ended.

    Wait at most `limit` seconds, or until `hurried` is set. A replica also waits for clients that push to its
    upload sessions through others.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await first_of(hurried.wait(), _drained(listeners, uploads, LEAD if limit >= _LONG else 0.0))


async def _drained(listeners: Listeners, uploads: UploadStore, lead: float) -> None:
    for listener in listeners:
        listener.announce_end()
    await asyncio.sleep(lead)
    of_clients = [listener for listener in listeners if listener is not listeners.fleet]
    await asyncio.gather(*(listener.drain() for listener in of_clients))
    if listeners.fleet is not None:
        while uploads.is_in_use(_BETWEEN_REQUESTS):  # noqa: ASYNC110 - what time does, no event announces
            await asyncio.sleep(_POLL)
        await listeners.fleet.drain()
