"""Makes the pictures of the panel: `python tests/panel/take_screenshots.py` writes them to `screenshots/`.

The same screen is on a picture wherever it is made: time stands still, in UTC. Pictures whose screen is as
before are left as they are.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.app import App
from textual.widgets import Input
from textual.worker import Worker

from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.preferences import Preferences

sys.path.insert(0, str(Path(__file__).parent))
from exchanges import NOW
from running import registry
from scenes import applied, armed, nothing, pushed_and_cached, ruled, some_blobs, some_log_lines, some_traffic
from scripted_pull import compared, half_way, retried
from svg_screen import difference

FOLDER = Path(__file__).parents[2] / "screenshots"
SIZES = ((80, 24), (160, 45))


@dataclass(frozen=True, slots=True)
class Picture:
    """`scene` is what has happened, `keys` what somebody pressed then, on the narrow screen `narrow` besides.

    `pull` is a real one that is under way meanwhile, on a registry that serves.
    """

    name: str
    scene: Callable[[Runtime], Awaitable[None]] = nothing
    keys: tuple[str, ...] = ()
    narrow: tuple[str, ...] = ()
    theme: str | None = None
    pull: Callable[[], AbstractAsyncContextManager[Runtime]] | None = None


OPEN_TAGS = ("4", "j", "l", "j", "j", "l", "l", "l", "l")
"""Opens an index, and one of its images."""

PICTURES = (
    Picture("traffic", armed),
    Picture("empty", nothing),
    Picture("detail", some_traffic, ("k", "k", "enter")),
    Picture("why", applied, ("enter", "h")),
    Picture("pull", pull=half_way, keys=("g", "f", "m", "enter")),
    Picture("waterfall", pull=retried, narrow=("w",)),
    Picture("compare", pull=compared, keys=("f", "g", "m", "space", "j", "=", "n")),
    Picture("held", pull=half_way, keys=("k",)),
    Picture("breakpoint", pull=half_way, keys=("enter", "l", "l")),
    Picture("edit", pull=half_way, keys=("e", "delete", "delete", "delete", *"503")),
    Picture("breakpoints", pull=half_way, keys=("i", *"status:5xx", "enter", *"repo:librar")),
    Picture("filter", some_traffic, ("/", *"status:2xx ep:lay")),
    Picture("curl", some_traffic, ("k", "x")),
    Picture("har", some_traffic, ("k", "x", "l")),
    Picture("choice", some_traffic, ("N", *"body")),
    Picture("light", some_traffic, theme="light"),
    Picture("ansi", armed, theme="ansi"),
    Picture("faults", ruled, ("2",)),
    Picture("overrides", ruled, ("!", "space")),
    Picture("form", ruled, ("2", "enter")),
    Picture("blobs", some_blobs, ("3",)),
    Picture("layer", some_blobs, ("3", *"/team", "enter", "enter")),
    Picture("tags", pushed_and_cached, (*OPEN_TAGS, "k")),
    Picture("manifest", pushed_and_cached, (*OPEN_TAGS, "k", "enter")),
    Picture("retag", pushed_and_cached, (*OPEN_TAGS, "k", "R", *"stable")),
    Picture("delete", pushed_and_cached, (*OPEN_TAGS, "k", "d")),
    Picture("log", some_log_lines, ("5",)),
    Picture("help", some_traffic, ("?",)),
    Picture("commands", some_traffic, ("n", "!", "space", "escape", "0", "ctrl+z", "L", "g")),
    Picture("palette", some_traffic, ("ctrl+p", *"lo")),
)
FILES = {
    f"{picture.name}-{width}x{height}.svg": (picture, (width, height))
    for picture in PICTURES
    for width, height in SIZES
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
        async with picture.pull() if picture.pull else registry(TrafficLog()) as runtime:
            await picture.scene(runtime)
            panel = Panel(runtime, Preferences(theme=picture.theme), lambda: NOW)
            async with panel.run_test(size=size) as pilot:
                panel.tick()
                for key in (*picture.keys, *(picture.narrow if size == SIZES[0] else ())):
                    await pilot.press(key)
                    panel.tick()
                    await still(panel)
                    panel.tick()
                await still(panel)
                panel.tick()
                await pilot.pause()
                before, drawn = "", svg(panel)
                # On a busy machine, layout and footer need several refreshes. A tick begins to read a blob.
                while drawn != before or working(panel):
                    await still(panel)
                    panel.tick()
                    await pilot.pause(0.02)
                    before, drawn = drawn, svg(panel)
                return drawn


async def still(panel: Panel) -> None:
    """Wait until what works in the background (the palette's search) is done, and no cursor blinks."""
    await asyncio.gather(*(work.wait() for work in working(panel)))
    for field in panel.screen.query(Input):
        field.cursor_blink = False


def working(panel: Panel) -> list[Worker[Any]]:
    """Return what works in the background. What waits for an answer in a dialogue goes on."""
    return [work for work in panel.workers if work.group != "asking" and not work.is_finished]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.svg"):
        if old.name not in FILES:
            old.unlink()
    for file in FILES:
        path, drawn = FOLDER / file, asyncio.run(take(file))
        if not path.exists() or difference(path.read_text(encoding="utf-8"), drawn):
            path.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
