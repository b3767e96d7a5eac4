"""Jobs: progress reports, the limit of the queue, and work without clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from brokenreg.images import jobs as module
from brokenreg.images import progress as progress_module
from brokenreg.images.jobs import RUNNING, WAITING, Jobs
from brokenreg.images.progress import NO_OBSERVER, Progress, Report
from brokenreg.images.spec import ImageSpec
from brokenreg.oci.errors import OCIError
from brokenreg.traffic.timeline_events import (
    FabricationEvent,
    FabricationProgress,
    FabricationQueued,
    FabricationStarted,
    WorkProgress,
)
from brokenreg.traffic.timeline_text import text_of

MIB = 1024 * 1024
SPEC = ImageSpec(10, 10 * MIB)


class Listener:
    """Records what is reported to it."""

    def __init__(self) -> None:
        self.told: list[FabricationEvent] = []
        self.said: list[WorkProgress | None] = []
        self.news = asyncio.Event()

    def add(self, event: FabricationEvent) -> None:
        self.told.append(event)

    def progress(self, progress: WorkProgress | None) -> None:
        self.said.append(progress)
        self.news.set()


class Works:
    """Jobs that end when the test lets them."""

    def __init__(self) -> None:
        self.jobs: Jobs[int] = Jobs()
        self.progress: dict[int, Progress] = {}
        self.ends: dict[int, asyncio.Event] = {}
        self.begun: list[int] = []
        self.cancelled: list[int] = []

    def work(self, key: int) -> Callable[[Progress], Awaitable[None]]:
        async def run(progress: Progress) -> None:
            progress.begin(0)
            self.begun.append(key)
            self.progress[key] = progress
            end = self.ends.setdefault(key, asyncio.Event())
            try:
                await end.wait()
            except asyncio.CancelledError:
                self.cancelled.append(key)
                raise

        return run

    def come(self, key: int, observer: Listener | None = None) -> asyncio.Task[None]:
        run = self.jobs.run(key, Progress(SPEC), self.work(key), observer or NO_OBSERVER)
        return asyncio.create_task(run)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not is_so():  # noqa: ASYNC110 - threads and dictionaries notify nobody
                await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET", 0.001)
    monkeypatch.setattr(module, "INTERVAL", 0.001)


async def leave(*clients: asyncio.Task[None]) -> None:
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)


async def test_who_waits_sees_how_far_it_is_and_the_timeline_gets_each_tenth() -> None:
    works, listener = Works(), Listener()
    client = works.come(1, listener)
    await works.until(lambda: len(listener.told) == 1)
    assert isinstance(listener.told[0], FabricationStarted)
    assert text_of(listener.told[0]).startswith("fabricating 10 layers of 10 MiB, about ")
    works.progress[1].layer = 4
    works.progress[1].add(35 * MIB)
    await works.until(lambda: FabricationProgress(4, 10, 34) in listener.said)
    works.progress[1].add(MIB // 2)
    await works.until(lambda: FabricationProgress(4, 10, 35) in listener.said)
    works.ends[1].set()
    await client
    assert listener.told[1:] == [FabricationProgress(4, 10, 34)]
    assert listener.said[-1] is None


async def test_who_waits_for_a_turn_sees_the_place_in_the_queue() -> None:
    works, listener = Works(), Listener()
    clients = [works.come(key) for key in range(RUNNING + 1)]
    last = works.come(99, listener)
    await works.until(lambda: bool(listener.told))
    assert listener.told == [FabricationQueued(2)]
    works.ends[0].set()
    await works.until(lambda: listener.said[-1] == FabricationQueued(1))
    await leave(*clients, last)
    await works.jobs.close()


async def test_the_time_to_come_again_is_that_until_a_place_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(progress_module, "time", SimpleNamespace(monotonic=lambda: now))
    works = Works()
    clients = [works.come(key) for key in range(RUNNING + WAITING)]
    await works.until(lambda: len(works.begun) == RUNNING)
    now += 19  # with the assumed second before, 20
    works.progress[0].add(20 * MIB - int(progress_module._ASSUMED_SPEED))  # 1 MiB a second
    works.progress[1].add(10 * MIB - int(progress_module._ASSUMED_SPEED))
    with pytest.raises(OCIError) as refused:
        await works.jobs.run(99, Progress(SPEC), works.work(99), NO_OBSERVER)
    seconds = int(refused.value.headers["retry-after"])
    left = 100 * MIB - (20 * MIB - progress_module._ASSUMED_SPEED)
    assert seconds == pytest.approx(left / MIB, abs=2)
    assert f"about {seconds} s" in refused.value.message
    works.ends[0].set()
    await works.until(lambda: len(works.begun) == RUNNING + 1)
    clients.append(works.come(99))
    await asyncio.sleep(0)
    await leave(*clients)
    await works.jobs.close()


async def test_a_running_job_without_clients_goes_on_until_another_waits_for_its_turn() -> None:
    works = Works()
    clients = [works.come(key) for key in range(RUNNING)]
    await works.until(lambda: len(works.begun) == RUNNING)
    await leave(clients[0])
    await asyncio.sleep(0.01)
    assert works.cancelled == []
    third = works.come(7)
    await works.until(lambda: 7 in works.begun)
    assert works.cancelled == [0]
    again = works.come(0)  # is a new job, in the queue
    await asyncio.sleep(0.01)
    assert works.begun.count(0) == 1
    works.ends[7].set()
    await third
    await works.until(lambda: works.begun.count(0) == 2)
    works.ends[0].set()
    await again
    await leave(*clients)
    await works.jobs.close()


async def test_a_waiting_job_without_clients_leaves_the_queue() -> None:
    works = Works()
    clients = [works.come(key) for key in range(RUNNING + WAITING)]
    await works.until(lambda: len(works.begun) == RUNNING)
    await leave(clients.pop())
    clients.append(works.come(99))  # there is a place
    await asyncio.sleep(0.01)
    assert not clients[-1].done()
    await leave(*clients)
    await works.jobs.close()
    assert RUNNING + WAITING - 1 not in works.begun


async def test_the_end_of_the_registry_ends_all_jobs() -> None:
    works = Works()
    clients = [works.come(key) for key in range(4)]
    await works.until(lambda: len(works.begun) == RUNNING)
    await works.jobs.close()
    outcomes = await asyncio.gather(*clients, return_exceptions=True)
    assert [getattr(outcome, "status", None) for outcome in outcomes] == [503] * 4


def test_a_small_image_is_done_before_it_is_reported() -> None:
    listener = Listener()
    progress = Progress(ImageSpec(1, 0))
    progress.begin(1)
    report = Report(listener)
    report.running(progress, None)
    assert [text_of(event) for event in listener.told] == ["fabricating 1 layer of 0 B, about 0 s left"]
    assert text_of(progress.now()) == "fabricating layer 1 of 1, 100%"
