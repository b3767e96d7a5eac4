"""Makes the pictures of the panel: `python tests/panel/take_screenshots.py` writes them to `screenshots/`.

The same picture comes out byte for byte wherever it is made: time stands still, in UTC.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from textual.app import App
from textual.widgets import Input

from brokenreg.controlled import Controlled
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.preferences import Preferences

sys.path.insert(0, str(Path(__file__).parent))
from exchanges import NOW
from running import registry
from scenes import armed, nothing, pushed_and_cached, ruled, some_blobs, some_log_lines, some_traffic, struck

FOLDER = Path(__file__).parents[2] / "screenshots"
SIZES = ((80, 24), (160, 45))


@dataclass(frozen=True, slots=True)
class Picture:
    """`scene` is what has happened, `keys` what somebody pressed then."""

    name: str
    scene: Callable[[Controlled], Awaitable[None]]
    keys: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = SIZES
    theme: str | None = None


OPEN_TAGS = ("4", "j", "l", "j", "j", "l", "l", "l", "l")
"""Opens an index, and one of its images."""

PICTURES = (
    Picture("traffic", armed),
    Picture("empty", nothing, sizes=(SIZES[0],)),
    Picture("detail", some_traffic, ("k", "k", "enter")),
    Picture("why", struck, ("enter", "h")),
    Picture("light", some_traffic, sizes=(SIZES[0],), theme="light"),
    Picture("ansi", armed, sizes=(SIZES[0],), theme="ansi"),
    Picture("faults", ruled, ("2",)),
    Picture("overrides", ruled, ("!", "space"), sizes=(SIZES[0],)),
    Picture("form", ruled, ("2", "enter"), sizes=(SIZES[0],)),
    Picture("blobs", some_blobs, ("3",)),
    Picture("layer", some_blobs, ("3", *"/team", "enter", "enter")),
    Picture("tags", pushed_and_cached, (*OPEN_TAGS, "k")),
    Picture("manifest", pushed_and_cached, (*OPEN_TAGS, "k", "enter")),
    Picture("log", some_log_lines, ("5",)),
    Picture("help", some_traffic, ("?",)),
    Picture("palette", some_traffic, ("ctrl+p", *"lo"), sizes=(SIZES[0],)),
)
FILES = {
    f"{picture.name}-{width}x{height}.svg": (picture, (width, height))
    for picture in PICTURES
    for width, height in picture.sizes
}


@contextmanager
def frozen() -> Iterator[None]:
    """UTC, colours, nothing that moves."""
    fixed = {"TZ": "UTC", "TERM": "xterm-256color", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"}
    before = dict(os.environ)
    os.environ.update(fixed)
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_DEBUG", "TEXTUAL"):
        os.environ.pop(name, None)
    time.tzset()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        time.tzset()


def svg(app: App) -> str:
    """The screen as SVG, without what differs from one making to the next."""
    return re.sub(r"terminal-\d+", "terminal", app.export_screenshot(simplify=True)) + "\n"


async def take(file: str) -> str:
    """One of `FILES`, as SVG."""
    picture, size = FILES[file]
    with frozen():
        async with registry(TrafficLog()) as controlled:
            await picture.scene(controlled)
            panel = Panel(controlled, Preferences(theme=picture.theme), lambda: NOW)
            async with panel.run_test(size=size) as pilot:
                panel.tick()
                for key in picture.keys:
                    await pilot.press(key)
                    panel.tick()
                    await still(panel)
                    panel.tick()
                await still(panel)
                panel.tick()
                await pilot.pause()
                await pilot.pause()  # the footer is made anew after the next refresh
                return svg(panel)


async def still(panel: Panel) -> None:
    """Wait until what works in the background (the palette's search) is done, and no cursor blinks."""
    await panel.workers.wait_for_complete()
    for field in panel.screen.query(Input):
        field.cursor_blink = False


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.svg"):
        old.unlink()
    for file in FILES:
        (FOLDER / file).write_text(asyncio.run(take(file)), encoding="utf-8")


if __name__ == "__main__":
    main()
