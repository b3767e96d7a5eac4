"""Waits until a panel has nothing to do any more, however slow or busy the machine is.

Textual measures whether this process uses the processor. On a busy machine a process that gets no turn looks
idle, and a test would read the screen too early.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest
import textual.app
import textual.pilot
from textual.app import App
from textual.message_pump import MessagePump
from textual.pilot import Pilot

from brokenreg.storage.database.batch import Job
from brokenreg.storage.database.database import Database

_AT_MOST = 5.0
"""Seconds of waiting for a panel that always has something to do, because something is read all the time."""

_QUIET_TURNS = 3
"""Turns of the event loop in which nothing happens."""


def _draws(app: App[Any]) -> bool:
    """Whether the screen changes at its next refresh."""
    if not app._running or not app._screen_stack:
        return False
    screen = app.screen
    return bool(
        app._resize_event
        or screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )


def _continues(timer: asyncio.TimerHandle, until: float) -> bool:
    """Whether a widget continues its work before that moment: a long list is shown in slices."""
    callback: Any = timer._callback  # type: ignore[attr-defined]
    is_for_widget = isinstance(getattr(callback, "__self__", None), MessagePump)
    return is_for_widget and not timer.cancelled() and timer.when() < until


@contextmanager
def waits_for_quiet() -> Iterator[None]:
    """Let Textual wait for the event loop and the threads instead of for an idle processor."""
    in_threads: weakref.WeakSet[Future[Any]] = weakref.WeakSet()
    in_database: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
    apps: weakref.WeakSet[App[Any]] = weakref.WeakSet()
    submit: Callable[..., Future[Any]] = ThreadPoolExecutor.submit
    put = Database._put
    start = Pilot.__init__

    def submit_noted(pool: ThreadPoolExecutor, /, *work: Any, **more: Any) -> Future[Any]:
        future = submit(pool, *work, **more)
        in_threads.add(future)
        return future

    def put_noted(database: Database, job: Job) -> None:
        put(database, job)
        in_database.add(job.future)

    def start_noted(pilot: Pilot[Any], app: App[Any]) -> None:
        start(pilot, app)
        apps.add(app)

    def has_work() -> bool:
        loop: Any = asyncio.get_running_loop()
        return (
            any(not future.done() for future in (*in_threads, *in_database))
            or any(_draws(app) for app in apps)
            or any(_continues(timer, loop.time() + 1) for timer in loop._scheduled)
        )

    async def wait(min_sleep: float = 0, max_sleep: float = _AT_MOST) -> None:
        loop: Any = asyncio.get_running_loop()
        end = monotonic() + _AT_MOST
        quiet_turns = 0
        while quiet_turns < _QUIET_TURNS and monotonic() < end:
            await asyncio.sleep(0)
            if loop._ready:
                quiet_turns = 0
            elif has_work():
                quiet_turns = 0
                await asyncio.sleep(0.001)
            else:
                quiet_turns += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadPoolExecutor, "submit", submit_noted)
        patch.setattr(Database, "_put", put_noted)
        patch.setattr(Pilot, "__init__", start_noted)
        patch.setattr(textual.pilot, "wait_for_idle", wait)
        patch.setattr(textual.app, "wait_for_idle", wait)
        yield
