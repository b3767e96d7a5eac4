"""Primitives of concurrency: cancellation at every point, exceptions, shutdown."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from brokenreg.concurrency import (
    SingleFlight,
    ThreadPool,
    background,
    cancel,
    first_of,
    in_own_thread,
    paced,
    paced_thread,
    shielded,
)

POINTS = range(8)
"""Numbers of loop iterations after which a caller is cancelled, up to more than the work needs."""


class EndedError(Exception):
    """Raised to callers whose work was ended."""


class Work:
    """Work of a few loop iterations that counts how it ends."""

    def __init__(self, turns: int = 4, failure: Exception | None = None) -> None:
        self.turns = turns
        self.failure = failure
        self.begun = self.finished = self.cancelled = 0

    async def __call__(self) -> int:
        self.begun += 1
        try:
            for _ in range(self.turns):
                await asyncio.sleep(0)
            if self.failure is not None:
                raise self.failure
            self.finished += 1
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.begun


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """Check that no task and no exception that asyncio would log is left."""
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    yield
    await turns(5)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not problems


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def cancelled_after(count: int, task: asyncio.Task[Any]) -> Any:
    """Cancel a task after that many loop iterations, and return its outcome."""
    await turns(count)
    task.cancel()
    return (await asyncio.gather(task, return_exceptions=True))[0]


# --- single flight ---


@pytest.mark.parametrize("point", POINTS)
async def test_a_cancelled_caller_disturbs_neither_the_work_nor_the_others(point: int) -> None:
    flights: SingleFlight[str, int] = SingleFlight(EndedError)
    work = Work()
    tasks = [asyncio.create_task(flights.join("a", work)) for _ in range(3)]
    outcome = await cancelled_after(point, tasks[1])
    assert await asyncio.gather(tasks[0], tasks[2]) == [1, 1]
    assert outcome == 1 or isinstance(outcome, asyncio.CancelledError)
    assert (work.begun, work.finished) == (1, 1)
    assert not flights.is_under_way("a")
    assert (len(flights), flights.waiting("a")) == (0, 0)


@pytest.mark.parametrize("point", POINTS)
async def test_work_goes_on_without_callers_and_the_next_caller_joins_it(point: int) -> None:
    flights: SingleFlight[str, int] = SingleFlight(EndedError)
    work = Work(20)
    await cancelled_after(point, asyncio.create_task(flights.join("a", work)))
    assert await flights.join("a", work) == 1
    assert (work.begun, work.cancelled) == (1, 0)


@pytest.mark.parametrize("point", POINTS)
async def test_a_failure_reaches_every_caller_that_still_waits(point: int) -> None:
    flights: SingleFlight[str, int] = SingleFlight(EndedError)
    work = Work(failure=ValueError("bad"))
    tasks = [asyncio.create_task(flights.join("a", work)) for _ in range(3)]
    outcome = await cancelled_after(point, tasks[0])
    others = await asyncio.gather(*tasks[1:], return_exceptions=True)
    assert [type(each) for each in others] == [ValueError, ValueError]
    assert isinstance(outcome, ValueError | asyncio.CancelledError)
    work.failure = None
    assert await flights.join("a", work) == 2, "a failure is not kept"


async def test_a_failure_without_callers_is_not_logged() -> None:
    flights: SingleFlight[str, int] = SingleFlight(EndedError)
    work = Work(failure=ValueError("bad"))
    await cancelled_after(2, asyncio.create_task(flights.join("a", work)))
    await turns(6)
    assert (work.begun, len(flights)) == (1, 0)
    gc.collect()  # asyncio logs it when the task is freed, and `nothing_left` sees that


@pytest.mark.parametrize("point", POINTS)
async def test_closing_ends_all_work_and_says_so_to_every_caller(point: int) -> None:
    flights: SingleFlight[str, int] = SingleFlight(EndedError)
    work = Work()
    tasks = [asyncio.create_task(flights.join(key, work)) for key in ("a", "a", "b")]
    await turns(point)
    await flights.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert len(flights) == 0
    assert work.begun == work.finished + work.cancelled
    assert all(isinstance(each, EndedError | int) for each in outcomes)
    with pytest.raises(EndedError):
        await flights.join("c", work)
    assert work.begun <= 2, "nothing starts any more"


@pytest.mark.parametrize("point", POINTS)
async def test_a_caller_that_is_cancelled_while_it_closes_is_cancelled(point: int) -> None:
    """A cancellation must not turn into the error of the closed flight, or a timeout would never end."""
    flights: SingleFlight[str, int] = SingleFlight(EndedError)
    task = asyncio.create_task(flights.join("a", Work(50)))
    await turns(2)
    closing = asyncio.create_task(flights.close())
    outcome = await cancelled_after(point, task)
    await closing
    assert isinstance(outcome, EndedError | asyncio.CancelledError)
    assert point > 0 or isinstance(outcome, asyncio.CancelledError)


async def test_work_without_callers_ends_after_a_while_unless_one_comes_back() -> None:
    flights: SingleFlight[str, int] = SingleFlight(EndedError, linger=0.02)
    gone, kept = Work(10**9), Work(10**9)
    await cancelled_after(1, asyncio.create_task(flights.join("gone", gone)))
    await cancelled_after(1, asyncio.create_task(flights.join("kept", kept)))
    back = asyncio.create_task(flights.join("kept", kept))
    async with asyncio.timeout(5):
        while flights.is_under_way("gone"):  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.03)
    assert (gone.cancelled, kept.cancelled) == (1, 0)
    flights.cancel("kept")
    with pytest.raises(EndedError):
        await back


async def test_after_an_end_the_same_key_starts_anew_while_the_old_work_still_ends() -> None:
    flights: SingleFlight[str, int] = SingleFlight(EndedError)
    may_end = asyncio.Event()

    async def slow_to_end() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            await may_end.wait()
        return 0

    old = asyncio.create_task(flights.join("a", slow_to_end))
    await turns(2)
    flights.cancel("a")
    new = Work(10)
    first = asyncio.create_task(flights.join("a", new))
    await turns(2)
    assert not old.done()
    may_end.set()
    with pytest.raises(EndedError):
        await old
    assert flights.is_under_way("a"), "the end of the old work is not that of the new"
    assert await asyncio.gather(first, flights.join("a", new)) == [1, 1]
    assert len(flights) == 0


async def test_what_starting_raises_leaves_nothing_under_way() -> None:
    flights: SingleFlight[str, int] = SingleFlight(EndedError)

    def refuse() -> Awaitable[int]:
        raise ValueError("too much")

    with pytest.raises(ValueError, match="too much"):
        await flights.join("a", refuse)
    assert await flights.join("a", Work()) == 1


# --- first of several ---


async def test_the_first_result_counts_and_the_others_have_ended() -> None:
    slow = Work(50)
    assert await first_of(slow(), Work(2)()) == 1
    assert (slow.finished, slow.cancelled) == (0, 1)


async def test_of_two_at_once_the_first_argument_counts() -> None:
    async def word(text: str) -> str:
        return text

    assert await first_of(word("first"), word("second")) == "first"


async def test_the_first_failure_is_raised() -> None:
    slow = Work(50)
    with pytest.raises(ValueError, match="bad"):
        await first_of(slow(), Work(failure=ValueError("bad"))())
    assert slow.cancelled == 1


@pytest.mark.parametrize("point", POINTS[1:])
async def test_a_cancellation_cancels_all(point: int) -> None:
    works = [Work(), Work(50)]
    await cancelled_after(point, asyncio.create_task(first_of(*(work() for work in works))))
    assert all(work.begun == work.finished + work.cancelled for work in works)


# --- shielded work ---


@pytest.mark.parametrize("point", POINTS[1:])
@pytest.mark.parametrize("failure", [None, ValueError("bad")])
async def test_shielded_work_ends_before_the_cancellation_is_raised(
    point: int, failure: Exception | None
) -> None:
    work, stops = Work(failure=failure), list[int]()
    outcome = await cancelled_after(point, asyncio.create_task(shielded(work(), lambda: stops.append(1))))
    was_cancelled = isinstance(outcome, asyncio.CancelledError)
    assert was_cancelled or outcome in (1, failure)
    assert work.cancelled == 0
    assert work.finished == (work.begun if failure is None else 0)
    assert len(stops) <= int(was_cancelled)


async def test_shielded_work_stands_many_cancellations_and_is_stopped_once() -> None:
    work, stops = Work(10), list[int]()
    task = asyncio.create_task(shielded(work(), lambda: stops.append(1)))
    for _ in range(5):
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (work.finished, stops) == (1, [1])


async def test_a_thread_is_stopped_and_awaited() -> None:
    stop, ended = threading.Event(), threading.Event()

    def run() -> None:
        assert stop.wait(10)
        ended.set()

    task = asyncio.create_task(shielded(asyncio.to_thread(run), stop.set))
    await asyncio.sleep(0.01)
    assert isinstance(await cancelled_after(0, task), asyncio.CancelledError)
    assert ended.is_set()


# --- tasks of a block ---


@pytest.mark.parametrize("point", POINTS[1:])
async def test_leaving_the_block_ends_its_tasks(point: int) -> None:
    work = Work(50)

    async def block() -> None:
        async with background(work()):
            await asyncio.Event().wait()

    await cancelled_after(point, asyncio.create_task(block()))
    assert (work.begun, work.finished) == (work.cancelled, 0)


async def test_cancel_waits_for_the_end_although_the_caller_is_cancelled() -> None:
    ended = False

    async def slow_to_end() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            await turns(10)
            ended = True

    task = asyncio.create_task(slow_to_end())
    await turns(1)
    outcome = await cancelled_after(3, asyncio.create_task(cancel(task)))
    assert isinstance(outcome, asyncio.CancelledError)
    assert ended


# --- threads ---


async def test_a_pool_runs_work_in_its_own_threads() -> None:
    with ThreadPool("test", 1) as pool:
        name = await pool.run(lambda: threading.current_thread().name)
        assert name.startswith("brokenreg-test")
        assert await pool.run(int, "7", base=8) == 7
        with pytest.raises(ValueError, match="invalid literal"):
            await pool.run(int, "x")
    with pytest.raises(RuntimeError):
        pool.run(int)


@pytest.mark.parametrize(
    ("work", "expected"), [(lambda: 1, 1), (lambda: int("x"), ValueError)], ids=["result", "failure"]
)
async def test_an_own_thread_hands_over_its_outcome(work: Callable[[], int], expected: Any) -> None:
    (outcome,) = await asyncio.gather(in_own_thread(work, "test"), return_exceptions=True)
    assert outcome == expected or type(outcome) is expected


async def test_an_own_thread_is_not_awaited_by_the_process_and_may_outlive_its_future() -> None:
    go = threading.Event()
    threads: list[threading.Thread] = []

    def run() -> None:
        threads.append(threading.current_thread())
        assert go.wait(10)

    future = in_own_thread(run, "test")
    future.cancel()
    go.set()
    await asyncio.to_thread(lambda: threads[0].join(10))
    await turns(2)
    assert threads[0].daemon
    assert not threads[0].is_alive()


def test_an_own_thread_may_outlive_its_loop() -> None:
    go, problems = threading.Event(), list[object]()
    threading.excepthook, before = problems.append, threading.excepthook
    thread: list[threading.Thread] = []
    try:

        async def begin() -> None:
            in_own_thread(lambda: (thread.append(threading.current_thread()), go.wait(10)), "test")

        asyncio.run(begin())
        go.set()
        thread[0].join(10)
    finally:
        threading.excepthook = before
    assert not problems


# --- pacing ---


async def test_long_work_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.concurrency._TURN", 0)
    seen: list[int] = []

    async def other() -> None:
        while len(seen) < 1000:
            seen.append(len(seen))
            await asyncio.sleep(0)

    async with background(other()):
        passed = [(item, len(seen)) async for item in paced(range(100), check_every=10)]
    assert [item for item, _ in passed] == list(range(100))
    assert passed[-1][1] >= 9
    assert passed[9][1] <= 2


def test_items_pass_a_paced_thread_in_order() -> None:
    assert list(paced_thread(range(100))) == list(range(100))
