"""Objects that a thread creates after the start, once for all callers."""

from __future__ import annotations

import asyncio
import threading

import pytest

from brokenreg.late_imports import Late


async def test_it_is_made_once_in_a_thread() -> None:
    made: list[threading.Thread] = []

    def make() -> int:
        made.append(threading.current_thread())
        return 7

    late = Late(make)
    assert await asyncio.gather(late.get(), late.get()) == [7, 7]
    assert await late.get() == 7
    assert len(made) == 1
    assert made[0] is not threading.current_thread()


async def test_a_caller_that_is_cancelled_does_not_cancel_others() -> None:
    may_end = threading.Event()
    late = Late(may_end.wait)
    waiting = asyncio.create_task(late.get())
    cancelled = asyncio.create_task(Late(may_end.wait).get())
    await asyncio.sleep(0)
    another = Late(lambda: 1)
    first, second = asyncio.create_task(another.get()), asyncio.create_task(another.get())
    await asyncio.sleep(0)
    first.cancel()
    cancelled.cancel()
    may_end.set()
    assert await waiting is True
    assert await second == 1


async def test_a_failure_is_raised() -> None:
    def fail() -> int:
        raise ImportError("no such library")

    late = Late(fail)
    for _ in range(2):
        with pytest.raises(ImportError):
            await late.get()
