"""Makes the pictures of the panel: `python tests/panel/take_screenshots.py` writes them to `screenshots/`.

The same picture comes out byte for byte wherever it is made: time stands still, in UTC.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from textual.app import App

from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel

sys.path.insert(0, str(Path(__file__).parent))
from exchanges import NOW, small_pull

FOLDER = Path(__file__).parents[2] / "screenshots"
PICTURES = {
    "traffic": ((80, 24), ()),
    "detail": ((80, 24), ("k", "k", "enter")),
    "wide": ((120, 30), ("k", "k")),
    "empty": ((80, 24), ()),
}


@contextmanager
def frozen():
    """UTC, colours, nothing that moves."""
    fixed = {"TZ": "UTC", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
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


def picture(app: App) -> str:
    """The screen as SVG, without what differs from one making to the next."""
    return re.sub(r"terminal-\d+", "terminal", app.export_screenshot(simplify=True)) + "\n"


async def take(name: str) -> str:
    """One of `PICTURES`, as SVG."""
    size, keys = PICTURES[name]
    with frozen():
        log = TrafficLog()
        if name != "empty":
            small_pull(log)
        panel = Panel(log, address="http://127.0.0.1:8080", version="0.1.0", clock=lambda: NOW)
        async with panel.run_test(size=size) as pilot:
            panel.tick()
            await pilot.press(*keys)
            panel.tick()
            await pilot.pause()
            return picture(panel)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in PICTURES:
        (FOLDER / f"{name}.svg").write_text(asyncio.run(take(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
