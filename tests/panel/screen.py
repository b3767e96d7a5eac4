"""Reads the screen of a panel as a user sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from exchanges import NOW
from running import registry
from textual.app import App
from textual.pilot import Pilot
from textual.widgets._toast import Toast

from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.preferences import Preferences

USUAL = Preferences()
_RESTED = 4
"""Ticks without a key until the pane beside a list shows what is under the cursor."""


class Clock:
    """A clock that advances only when the test says so."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def shown(
    log: TrafficLog,
    clock: Clock | None = None,
    size: tuple[int, int] = (80, 24),
    preferences: Preferences = USUAL,
) -> AsyncIterator[tuple[Panel, Pilot[int]]]:
    """Yield a panel on a registry with the exchanges of `log`, and its keyboard."""
    async with registry(log) as runtime:
        panel = Panel(runtime, preferences, clock or Clock())
        async with panel.run_test(size=size, notifications=True) as pilot:
            yield panel, pilot


def lines(app: App) -> list[str]:
    """Return the lines of the screen without trailing spaces."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def text(app: App) -> str:
    return "\n".join(lines(app))


def line_with(app: App, words: str) -> str:
    """Return the only line of the screen that contains `words`."""
    found = [line for line in lines(app) if words in line]
    assert len(found) == 1, text(app)
    return found[0]


def line_at_cursor(app: App) -> str:
    found = [line for line in lines(app) if line.startswith("▌")]
    assert len(found) == 1, text(app)
    return found[0]


def said(app: App) -> str:
    """Return the text of the notice, as it is on the screen."""
    screen = lines(app)
    regions = [toast.region for toast in app.screen.query(Toast)]
    rows = (screen[y][region.x + 1 : region.right] for region in regions for y in region.line_range)
    return " ".join(" ".join(row.split()) for row in rows)


async def look(pilot: Pilot, *keys: str) -> str:
    """Press `keys`, let the panel read the log, and return the screen."""
    await pilot.press(*keys)
    pilot.app.tick()
    await pilot.pause()
    await pilot.pause()  # the footer is made anew after the next refresh
    return text(pilot.app)


async def rested(pilot: Pilot[int], *keys: str) -> str:
    """Press keys one by one, let the pane beside the list follow the cursor, and return the screen."""
    for key in keys:
        await look(pilot, key)
    for _ in range(_RESTED):
        await look(pilot)
    return text(pilot.app)


async def showing(pilot: Pilot[int], words: str) -> str:
    """Let time pass until the screen contains `words`, which come at a moment that only the panel knows."""
    async with asyncio.timeout(30):
        while words not in (seen := await look(pilot)):
            pass
    return seen


async def settled(pilot: Pilot[int], *keys: str) -> str:
    """Press keys, wait for all background work, and return the screen."""
    await look(pilot, *keys)
    await pilot.app.workers.wait_for_complete()
    await look(pilot)
    await pilot.app.workers.wait_for_complete()
    return await look(pilot)
