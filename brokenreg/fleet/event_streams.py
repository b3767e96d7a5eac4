"""Follows the streams of events (`/v1/events`) of the other replicas of a fleet."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Protocol

from brokenreg.fleet.control_calls import ControlCalls, ControlRequest
from brokenreg.fleet.directory import Replica
from brokenreg.fleet.errors import ReplicaError
from brokenreg.storage.errors import StorageError

logger = logging.getLogger(__name__)

_INTERVAL = 1.0
"""Seconds between two looks at the directory, and before a lost stream is followed again."""

_MOST_REPLICAS = 50
"""Maximum number of streams of one reader."""

_LONGEST = 1024 * 1024
"""Maximum length of an event, in bytes."""


class EventReader(Protocol):
    """What becomes of the streams. The methods are called on the event loop and must return quickly."""

    def joined(self, replica: str) -> None:
        """Note that all events of a replica follow from now on."""

    def received(self, replica: str, event: bytes) -> None:
        """Receive one event, without the empty line at its end."""

    def lost(self, replica: str, reason: str) -> None:
        """Note that no more events of a replica follow, unless it joins again."""


class EventStreams:
    """Follows the streams of the other live replicas, also of those that start later, for one reader.

    `target` returns the path and query of the request to a replica. With `only`, there is only that replica.
    """

    def __init__(
        self,
        replicas: ControlCalls,
        target: Callable[[str], str],
        reader: EventReader,
        only: str | None = None,
    ) -> None:
        self._replicas = replicas
        self._target = target
        self._reader = reader
        self._only = only
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._lost: set[str] = set()

    async def run(self) -> None:
        """Follow the streams until cancelled."""
        try:
            while True:
                # Without the database, the known replicas are followed.
                with contextlib.suppress(StorageError):
                    self._follow(await self._replicas.others())
                await asyncio.sleep(_INTERVAL)
        finally:
            for task in self._followed.values():
                task.cancel()
            await asyncio.gather(*self._followed.values(), return_exceptions=True)

    def _follow(self, live: list[Replica]) -> None:
        self._followed = {name: task for name, task in self._followed.items() if not task.done()}
        for each in live[:_MOST_REPLICAS]:
            if each.name not in self._followed and self._only in (None, each.name):
                self._followed[each.name] = asyncio.create_task(self._read(each))

    async def _read(self, replica: Replica) -> None:
        name, request = replica.name, ControlRequest("GET", self._target(replica.name), "read")
        try:
            async with self._replicas.stream(replica, request) as chunks:
                self._lost.discard(name)
                self._reader.joined(name)
                rest = b""
                async for chunk in chunks:
                    *events, rest = (rest + chunk).split(b"\n\n")
                    for event in events:
                        if not event.startswith(b":"):
                            self._reader.received(name, event)
                    if len(rest) > _LONGEST:
                        break
            reason = f"{replica} has ended its stream of events"
        except ReplicaError as error:
            reason = str(error)
        except Exception:
            logger.exception("cannot follow the events of %s", replica)
            reason = f"the events of {replica} cannot be read"
        if name not in self._lost:
            self._lost.add(name)
            self._reader.lost(name, reason)
