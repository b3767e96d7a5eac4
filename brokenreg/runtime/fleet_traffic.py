"""The traffic of other replicas of a fleet, or of all of them, for a panel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brokenreg.concurrency import background, paced
from brokenreg.fleet.control_calls import ControlCalls, ControlRequest
from brokenreg.fleet.errors import ReplicaError
from brokenreg.fleet.event_streams import EventStreams
from brokenreg.gate.breakpoints import Breakpoints
from brokenreg.gate.edits import EditableHead
from brokenreg.gate.passage import NotHeldError
from brokenreg.oci.target import Endpoint
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage.errors import StorageError
from brokenreg.traffic.bodies import Kept
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.gathered_log import GatheredLog, copy_of
from brokenreg.traffic.log import ExchangeEvent
from brokenreg.traffic.place import Place
from brokenreg.traffic.saved.har_entries import HAREntries
from brokenreg.traffic.saved.members import MissingMemberError, list_in, object_in
from brokenreg.traffic.saved.summaries import exchange_of

_SLICE = 0.006
"""Maximum time, in seconds, for which a tick reads what has arrived."""

_MOST_WAITING = 2000
"""Maximum number of exchanges that wait for a tick. Beyond that, the newest are listed again."""

_LISTED = 1000
"""Number of exchanges of each replica that are listed at the start."""

_AGAIN = 1.0
"""Seconds after which the detail of an exchange in flight is requested again."""


class FleetTraffic:
    """Copies of the exchanges of all replicas (a `TrafficSource`), or only of the one with the name `only`.

    Let `run` run, and call `tick` ten times a second. `joined_replicas` are the other replicas whose events
    arrive. `lost_replicas` says of the others why they are missing. Raise `ValueError` without a fleet.
    """

    def __init__(self, runtime: Runtime, only: str | None, clock: Callable[[], float] = time.time) -> None:
        if runtime.replicas is None:
            raise ValueError("not in a fleet")
        self.only = only
        self.replicas: ControlCalls = runtime.replicas
        self.joined_replicas: set[str] = set()
        self.lost_replicas: dict[str, str] = {}
        self.log = GatheredLog()
        self.gate = FleetGate(self)
        self._runtime = runtime
        self._clock = clock
        self._own: dict[int, Exchange] = {}
        """Exchanges of this replica that have changed since the last tick, by id there."""
        self._waiting: dict[bytes, tuple[str, bytes]] = {}
        """The newest event of each exchange of others since the last tick, by replica and id."""
        self._unlisted: set[str] = set()
        """Replicas whose exchanges must be listed, because events were missed."""
        self._looked_at: tuple[int, int, float] = (0, 0, 0.0)
        self._looking: asyncio.Task[None] | None = None

    @property
    def rules(self) -> RuleBooks:
        return self._runtime.rules

    @property
    def registry_urls(self) -> Sequence[str]:
        return self._runtime.registry_urls

    @property
    def runtime(self) -> Runtime:
        """Return this replica."""
        return self._runtime

    def original(self, exchange: Exchange) -> Exchange | None:
        """Return the exchange of this replica that one is a copy of, or None."""
        place = exchange.place
        return None if place is None or place.is_elsewhere else self._runtime.log.find(place.number)

    async def run(self) -> None:
        """Gather until cancelled."""
        replicas, log = self.replicas, self._runtime.log
        has_own = self.only in (None, replicas.own)
        unsubscribe = log.subscribe(self._note, *(ExchangeEvent if has_own else ()))
        streams = EventStreams(
            replicas, lambda name: f"/v1/events?namespace=*&replica={name}", self, self.only
        )
        try:
            await self._list_all(has_own=has_own)
            async with background(streams.run()):
                while True:
                    await asyncio.sleep(_AGAIN)
                    for name in tuple(self._unlisted):
                        self._unlisted.discard(name)
                        await self._list_again(name)
        finally:
            unsubscribe()

    def joined(self, replica: str) -> None:
        self.lost_replicas.pop(replica, None)
        self.joined_replicas.add(replica)
        self._unlisted.add(replica)

    def received(self, replica: str, event: bytes) -> None:
        _, _, rest = event.partition(b"\nid: ")
        number, _, data = rest.partition(b"\ndata: ")
        if not data:  # events were dropped
            self._unlisted.add(replica)
            return
        self._waiting.pop(number, None)
        self._waiting[number] = replica, data
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
            self._unlisted.add(replica)

    def lost(self, replica: str, reason: str) -> None:
        self.joined_replicas.discard(replica)
        self.lost_replicas[replica] = reason

    def tick(self) -> None:
        """Read what has arrived, for a limited time."""
        deadline = time.perf_counter() + _SLICE
        for each in list(self.log.under_way.values())[:_MOST_WAITING]:
            if (original := self.original(each)) is not None and original.revision != each.revision:
                self._take(original)
        while self._own and time.perf_counter() < deadline:
            self._take(self._own.pop(next(iter(self._own))))
        while self._waiting and time.perf_counter() < deadline:
            replica, data = self._waiting.pop(next(iter(self._waiting)))
            for exchange in _exchanges_in(b"[%b]" % data):
                if exchange.held_since is not None:
                    exchange.held_since = self._clock()
                self._take_listed(replica, exchange)

    def look_at(self, exchange: Exchange) -> None:
        """Request the detail of an exchange that a user looks at, unless it is known."""
        place, (known, revision, when) = exchange.place, self._looked_at
        if place is None or (self._looking is not None and not self._looking.done()):
            return
        if (original := self.original(exchange)) is not None:
            if exchange.ended is not None and known != exchange.id:
                self._looked_at = exchange.id, exchange.revision, 0.0
                self.log.bodies.keep(exchange, self._runtime.log.bodies.of(original))
                self.log.changed(exchange)
            return
        is_current = known == exchange.id and (
            time.monotonic() - when < _AGAIN or (exchange.ended is not None and revision == exchange.revision)
        )
        if place.is_elsewhere and not is_current:
            self._looking = asyncio.create_task(self._detail(exchange, place))

    async def _detail(self, exchange: Exchange, place: Place) -> None:
        request = ControlRequest("GET", f"/v1/exchanges/{place.number}/har?replica={place.replica}", "read")
        try:
            response = await self.replicas.send(place.replica, request)
            found = await asyncio.to_thread(_detail_in, response.body) if response.status == 200 else None
        except (ReplicaError, StorageError):
            found = None  # the replica is shown as lost
        if found is not None and found[0].started == exchange.started:
            self.log.detail(exchange, *found)
        self._looked_at = exchange.id, exchange.revision, time.monotonic()

    def _note(self, _: ExchangeEvent, exchange: Exchange) -> None:
        self._own[exchange.id] = exchange
        if len(self._own) > _MOST_WAITING:
            self._own.pop(next(iter(self._own)))
            self._unlisted.add(self.replicas.own)

    def _take(self, original: Exchange) -> None:
        copied = copy_of(original)
        known = self.log.take(Place(self.replicas.own, original.id, False), copied)
        if known is not copied:
            known.response_headers, known.rule_outcomes = original.response_headers, original.rule_outcomes
            known.progress = original.progress
        known.revision = original.revision

    async def _list_all(self, *, has_own: bool) -> None:
        """Take the newest exchanges of all replicas, sorted by time."""
        try:
            names = [each.name for each in await self.replicas.others() if self.only in (None, each.name)]
        except StorageError:
            names = []
        listed = await asyncio.gather(*map(self._listed, names))
        found = [(name, each) for name, exchanges in zip(names, listed, strict=True) for each in exchanges]
        if has_own:
            found += ((self.replicas.own, each) for each in self._runtime.log.newest(_LISTED))
        found.sort(key=lambda each: each[1].started)
        async for name, exchange in paced(found):
            self._take_listed(name, exchange)

    async def _list_again(self, replica: str) -> None:
        """Take the newest exchanges of a replica. What was in flight and is not among them has ended."""
        listed = await self._listed(replica)
        numbers = {each.id for each in listed}
        async for each in paced(listed):
            self._take_listed(replica, each)
        self.log.end_missing(replica, numbers)

    def _take_listed(self, replica: str, exchange: Exchange) -> None:
        if replica == self.replicas.own:
            self._take(exchange)
        else:
            self.log.take(Place(replica, exchange.id, True), exchange)

    async def _listed(self, replica: str) -> list[Exchange]:
        """Return the newest exchanges of a replica, or none if it does not respond."""
        if replica == self.replicas.own:
            return list(self._runtime.log.newest(_LISTED))[::-1]
        target = f"/v1/exchanges?namespace=*&limit={_LISTED}&replica={replica}"
        try:
            response = await self.replicas.send(replica, ControlRequest("GET", target, "read"))
        except (ReplicaError, StorageError):
            return []  # its stream says that it is lost
        return await asyncio.to_thread(_exchanges_in, response.body) if response.status == 200 else []


def _exchanges_in(array: bytes) -> list[Exchange]:
    """Return the exchanges in a JSON array of summaries, without those that cannot be read."""
    found = []
    for document in list_in({"": _document(array)}, "", _LISTED):
        with contextlib.suppress(MissingMemberError):
            if isinstance(document, dict):
                found.append(exchange_of(document))
    return found


def _document(text: bytes) -> Any:
    """Return a JSON document, or None if it is not valid: the other replica may have another version."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _detail_in(har: bytes) -> tuple[Exchange, Kept] | None:
    """Return the exchange in a HAR document with one, or None if it cannot be read."""
    document = object_in(_document(har), "log")
    entries = HAREntries("brokenreg")
    for entry in list_in(document, "entries", 1):
        with contextlib.suppress(MissingMemberError):
            exchange, kept, _ = entries.read(entry)
            return exchange, kept
    return next(((exchange, kept) for exchange, kept, _ in entries.connections(document)), None)


@dataclass(frozen=True, slots=True)
class _Held:
    exchange: Exchange


class FleetGate:
    """What is held at the replicas whose traffic is gathered (a `HoldingState`)."""

    def __init__(self, traffic: FleetTraffic) -> None:
        self._traffic = traffic
        self._version = -1
        self._held: Mapping[int, _Held] = {}

    @property
    def held(self) -> Mapping[int, _Held]:
        if self._version != self._traffic.log.version:
            self._version, self._held = self._traffic.log.version, self._found()
        return self._held

    def _found(self) -> Mapping[int, _Held]:
        under_way = self._traffic.log.under_way
        held = [each for each in under_way.values() if each.held_since is not None]
        return {each.id: _Held(each) for each in sorted(held, key=lambda each: each.held_since or 0.0)}

    @property
    def breakpoints(self) -> Breakpoints:
        return self._traffic.runtime.gate.breakpoints

    def can_hold(self, exchange: Exchange) -> bool:
        """Return whether an exchange is in flight and not held. Another replica may say otherwise."""
        if (original := self._traffic.original(exchange)) is not None:
            return self._traffic.runtime.gate.can_hold(original)
        is_connection = exchange.endpoint is Endpoint.CONNECT
        return exchange.ended is None and exchange.held_since is None and not is_connection

    def head(self, exchange_id: int) -> EditableHead:
        """Return the held status and headers of an exchange of this replica. Raise `NotHeldError`."""
        exchange = self._traffic.log.find(exchange_id)
        original = None if exchange is None else self._traffic.original(exchange)
        if original is None:
            raise NotHeldError("the headers are at another replica: edit them in its panel")
        return self._traffic.runtime.gate.head(original.id)
