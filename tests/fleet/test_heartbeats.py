"""Which replicas live, as others see it by their heartbeats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from brokenreg.config.addresses import Address
from brokenreg.fleet.directory import Replica
from brokenreg.fleet.heartbeats import BEAT, FORGOTTEN, LIVE, Heartbeats
from brokenreg.storage.database.postgresql import PostgreSQL
from brokenreg.storage.index import Index
from tests.fleet.fleets import Fleet, name_of


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def replica(name: str, port: int = 4000) -> Replica:
    return Replica(name * 8, Address(host="10.0.0.1", port=port), f"host-{name}")


@pytest.fixture
async def index(database_url: str) -> AsyncIterator[Index]:
    index = await Index.open(PostgreSQL(database_url, "0" * 8))
    yield index
    await index.close()


async def names(heartbeats: Heartbeats) -> list[str]:
    return [each.name[0] for each in await heartbeats.live()]


async def test_a_replica_lives_while_its_heart_beats(index: Index) -> None:
    clock = Clock()
    heartbeats = Heartbeats(index.replicas, clock)
    for name in "ab":
        await index.replicas.announce(name * 8, "10.0.0.1:4000", f"host-{name}")
    assert await names(heartbeats) == ["a", "b"]
    assert await heartbeats.find("a" * 8) == replica("a")
    for _ in range(5):
        clock.now += LIVE / 4
        await index.replicas.announce("b" * 8, "10.0.0.1:4000", "host-b")
        await heartbeats.refresh()
    assert await names(heartbeats) == ["b"]
    assert await heartbeats.find("a" * 8) is None
    await index.replicas.announce("a" * 8, "10.0.0.1:4001", "host-a")
    assert await heartbeats.find("a" * 8) == replica("a", 4001), "it has started again"


async def test_replicas_are_not_lost_because_the_database_was(index: Index) -> None:
    """A change of rules waits for all replicas that may live, also after a pause without heartbeats."""
    clock = Clock()
    heartbeats = Heartbeats(index.replicas, clock)
    await index.replicas.announce("a" * 8, "10.0.0.1:4000", "host-a")
    assert await names(heartbeats) == ["a"]
    clock.now += 2 * LIVE
    assert await names(heartbeats) == ["a"]


def test_the_status_has_the_name(fleet: Fleet) -> None:
    running = fleet.thread("a")
    assert httpx.get(f"{running.control}/v1/status").json()["replica"] == name_of(running)


async def test_a_replica_that_has_just_started_is_found(index: Index) -> None:
    heartbeats = Heartbeats(index.replicas)
    assert await heartbeats.find("a" * 8) is None
    await index.replicas.announce("a" * 8, "10.0.0.1:4000", "host-a")
    assert await heartbeats.find("a" * 8) == replica("a")


async def test_a_replica_that_stops_is_removed(index: Index) -> None:
    heartbeats = Heartbeats(index.replicas)
    async with AsyncExitStack() as stack:
        for name in "ab":
            await stack.enter_async_context(heartbeats.announcing(replica(name)))
        assert await names(heartbeats) == ["a", "b"]
    assert await index.replicas.rows() == []


async def test_the_row_of_a_lost_replica_is_removed(index: Index) -> None:
    clock = Clock()
    heartbeats = Heartbeats(index.replicas, clock)
    await index.replicas.announce("a" * 8, "10.0.0.1:4000", "host-a")
    await heartbeats.refresh()
    while clock.now < 1000.0 + FORGOTTEN + 1:
        clock.now += BEAT
        await heartbeats.refresh()
    async with heartbeats.announcing(replica("b")):
        await heartbeats.forget_lost()
        assert [row.name[0] for row in await index.replicas.rows()] == ["b"]
