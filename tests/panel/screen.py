"""What somebody in front of the panel sees."""

from __future__ import annotations

from exchanges import NOW
from textual.app import App
from textual.pilot import Pilot

from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def panel_of(log: TrafficLog, clock: Clock | None = None) -> Panel:
    return Panel(log, address="http://127.0.0.1:8080", version="0.1.0", clock=clock or Clock())


def lines(app: App) -> list[str]:
    """The screen, line by line, without trailing spaces."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def text(app: App) -> str:
    return "\n".join(lines(app))


def line_with(app: App, words: str) -> str:
    """The one line of the screen that has `words`."""
    found = [line for line in lines(app) if words in line]
    assert len(found) == 1, text(app)
    return found[0]


def line_at_cursor(app: App) -> str:
    return line_with(app, "▌")


async def look(pilot: Pilot, *keys: str) -> str:
    """Press `keys`, let the panel look at the log, and see."""
    await pilot.press(*keys)
    pilot.app.tick()
    await pilot.pause()
    return text(pilot.app)
