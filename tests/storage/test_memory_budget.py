"""The memory for transfers: limited, in the order of requests, and returned by callers that are cancelled."""

from __future__ import annotations

import asyncio

import pytest

from brokenreg.storage.objects.memory_budget import MemoryBudget


async def is_waiting(task: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_a_caller_waits_until_there_is_room() -> None:
    budget = MemoryBudget(10)
    await budget.take(6)
    second = asyncio.create_task(budget.take(5))
    assert await is_waiting(second)
    budget.give_back(6)
    await second


async def test_small_requests_do_not_overtake_a_large_one() -> None:
    budget = MemoryBudget(10)
    await budget.take(6)
    large, small = asyncio.create_task(budget.take(10)), asyncio.create_task(budget.take(1))
    assert await is_waiting(small)
    budget.give_back(6)
    await large
    assert await is_waiting(small)
    budget.give_back(10)
    await small


async def test_more_than_the_limit_is_given_to_one_caller_alone() -> None:
    budget = MemoryBudget(10)
    await budget.take(50)
    other = asyncio.create_task(budget.take(1))
    assert await is_waiting(other)
    budget.give_back(50)
    await other


async def test_memory_is_given_back_between_a_cancellation_and_its_end() -> None:
    budget = MemoryBudget(10)
    await budget.take(6)
    cancelled = asyncio.create_task(budget.take(8))
    assert await is_waiting(cancelled)
    cancelled.cancel()
    budget.give_back(6)
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await budget.take(10)


@pytest.mark.parametrize("is_granted", [True, False])
async def test_a_cancelled_caller_keeps_nothing(is_granted: bool) -> None:
    budget = MemoryBudget(10)
    await budget.take(6)
    cancelled = asyncio.create_task(budget.take(8))
    assert await is_waiting(cancelled)
    if is_granted:
        budget.give_back(6)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    if not is_granted:
        await budget.take(4)
        budget.give_back(10)
    await budget.take(10)
