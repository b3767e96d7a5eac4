"""Full searches for cyclic garbage wait until it is quiet, and then come."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from brokenreg.assembly.process_tuning import full_collections_when_quiet, is_due


class _Knot:
    """Garbage that only a search finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.slow
async def test_old_garbage_is_found_once_it_is_quiet() -> None:
    found = asyncio.Event()
    async with full_collections_when_quiet():
        knot: _Knot | None = _Knot()
        weakref.finalize(knot, asyncio.get_running_loop().call_soon_threadsafe, found.set)
        for _ in range(20):
            gc.collect(1)
        knot = None  # grown old by now
        await asyncio.wait_for(found.wait(), 10)


async def test_thresholds_are_as_before_afterwards() -> None:
    before = gc.get_threshold()
    async with full_collections_when_quiet():
        assert gc.get_threshold()[2] > 1_000_000
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_a_busy_process_searches_only_when_it_is_overdue() -> None:
    assert is_due(10, 0.02)
    assert not is_due(9, 0.0)
    assert not is_due(100, 0.9)
    assert is_due(500, 0.9)
