"""Leases of two processes with one database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.storage import Store, collector
from brokenreg.storage.changes import Changes
from brokenreg.storage.database import Connection
from brokenreg.storage.index import Index
from brokenreg.storage.shared import leases
from brokenreg.storage.shared.leases import Lease
from tests.storage.contents import DAY, KEY, push
from tests.storage.index_pair import index_pair

FAST = 0.02
LONG = 20.0


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[tuple[Index, Index]]:
    async with index_pair(database_url) as both:
        yield both


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let leases be renewed, and be lost, a hundred times as fast."""
    monkeypatch.setattr(leases, "BEAT", FAST)


def take_away(connection: Connection) -> Changes:
    connection.execute("UPDATE leases SET holder = 'another' WHERE name = 'work'")
    return ()


async def taken(index: Index, name: str = "work") -> Lease:
    lease = await index.leases.take(name, LONG)
    assert lease is not None
    return lease


async def begun(index: Index, taking: Coroutine[Any, Any, Lease | None]) -> asyncio.Task[Lease | None]:
    """Return a task that has looked for its lease once: writes are run in order."""
    task = asyncio.create_task(taking)
    await asyncio.sleep(0)
    await taken(index, "what is asked for later")
    return task


async def test_the_next_is_woken_when_a_lease_ends(
    pair: tuple[Index, Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT", 3600.0)  # it does not look again by itself
    first, second = pair
    lease = await taken(first)
    assert await taken(second, "other work")
    assert await second.leases.take("work", 0) is None
    waiting = await begun(second, second.leases.take("work", LONG))
    assert not waiting.done()
    await first.leases.end(lease)
    assert await waiting is not None
    assert await first.leases.take("work", 0) is None


async def test_two_tasks_of_one_process_exclude_each_other(pair: tuple[Index, Index]) -> None:
    first, _ = pair
    lease = await taken(first)
    assert await first.leases.take("work", 0) is None
    await first.leases.end(lease)
    assert await first.leases.take("work", 0)


async def test_one_of_many_gets_it(pair: tuple[Index, Index]) -> None:
    found = await asyncio.gather(*(index.leases.take("work", 0) for index in pair * 20))
    assert sum(each is not None for each in found) == 1


async def test_a_lease_is_kept_while_its_process_lives(
    pair: tuple[Index, Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not as fast as in other tests: a renewal may take a second on a busy machine.
    monkeypatch.setattr(leases, "BEAT", 0.25)
    first, second = pair
    lease = await taken(first)
    assert await second.leases.take("work", 2 * leases.BEAT * leases.LOST) is None
    assert first.leases.is_held(lease)


@pytest.mark.usefixtures("fast")
async def test_a_lease_without_progress_is_taken_over(pair: tuple[Index, Index]) -> None:
    first, second = pair
    assert await first.leases.take("work", is_active=lambda: False)
    assert await taken(second)


async def test_who_waits_learns_who_has_the_lease(pair: tuple[Index, Index]) -> None:
    first, second = pair
    await taken(first)
    seen: list[str] = []
    assert await second.leases.take("work", 0, on_held=seen.append) is None
    assert list(map(leases.replica_of, seen)) == [first.replica]


async def test_the_lease_of_a_process_that_has_ended_is_ended_by_another(pair: tuple[Index, Index]) -> None:
    first, second = pair
    lease = await taken(first)
    await second.leases.end_lost("work", "another holder")
    assert await second.leases.take("work", 0) is None
    await second.leases.end_lost("work", lease.holder)
    assert await second.leases.take("work", 0)


@pytest.mark.usefixtures("fast")
async def test_a_lost_lease_is_taken_over(pair: tuple[Index, Index]) -> None:
    first, second = pair
    await taken(first)
    await first.close()  # without ending the lease, like a process that is killed
    assert await taken(second)


@pytest.mark.usefixtures("fast")
async def test_a_process_notices_that_its_lease_was_taken_over(pair: tuple[Index, Index]) -> None:
    first, second = pair
    lease = await taken(first)
    await second._database.write(take_away)
    assert first.leases._renewing is not None
    async with asyncio.timeout(LONG):
        await first.leases._renewing  # it ends when no lease is left
    assert not first.leases.is_held(lease)


async def test_what_is_no_longer_wanted_is_not_waited_for(pair: tuple[Index, Index]) -> None:
    first, second = pair
    lease = await taken(first)
    is_done = False
    waiting = await begun(second, second.leases.take("work", LONG, lambda: not is_done))
    is_done = True
    await first.leases.end(lease)
    assert await waiting is None
    assert await first.leases.take("work", 0), "no lease is left behind"


async def test_who_is_cancelled_leaves_no_lease(pair: tuple[Index, Index]) -> None:
    first, second = pair
    for turns in range(4):
        taking = asyncio.create_task(first.leases.take("work", LONG))
        for _ in range(turns):
            await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait([taking])
        if not taking.cancelled() and (lease := taking.result()):
            await first.leases.end(lease)
        lease = await second.leases.take("work", 0)
        assert lease is not None
        await second.leases.end(lease)


async def test_one_process_collects_what_all_share(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one does so after its end."""
    monkeypatch.setattr(collector, "_TAKE_OVER", 0.1)
    later = time.time() + 2 * DAY
    content = Digest.of(b"unused")
    async with Store.open(tmp_path / "first", database=database_url) as first:
        await first.collector.collect()
        async with Store.open(tmp_path / "second", database=database_url) as second:
            await push(first, b"unused")
            await second.collector.collect(now=later)
            await first.index.catch_up()
            assert content in first.index.repositories[KEY].links
            await first.collector.collect(now=later)
            assert KEY not in first.index.repositories
            await push(first, b"unused")
            await first.index.leases.end_all()  # what the end of the first does
            await second.collector.collect(now=later)
            assert KEY not in second.index.repositories
