"""List and detail side by side, and the border between them, moved by keys and with the mouse."""

from __future__ import annotations

import pytest
from exchanges import small_pull
from running import registry
from scenes import pushed_and_cached, ruled, some_blobs, some_log_lines, some_traffic
from screen import lines, look, said, settled, shown

from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel


def border(screen: list[str]) -> int:
    """Return the column of the border between list and detail."""
    return screen[4].index("│")


def edge(screen: list[str]) -> int:
    """Return the line of the border between list and detail."""
    return next(number for number, line in enumerate(screen) if line.startswith("───"))


SCENES = {
    "1": (some_traffic, (), "Response 42.8 MiB of 98 MiB"),
    "2": (ruled, (), "how much of the body to send"),
    "3": (some_blobs, ("j", "j"), "usr/sbin/nginx"),
    "4": (pushed_and_cached, ("j", "l", "l"), '"schemaVersion": 2,'),
    "5": (some_log_lines, (), "2026-01-01 12:01:03 ERROR"),
}
"""By key of the tab: what has happened, keys, and what the detail shows then."""


@pytest.mark.parametrize("tab", SCENES)
@pytest.mark.parametrize("width", [120, 200])
async def test_every_tab_shows_list_and_detail_side_by_side(tab: str, width: int) -> None:
    scene, keys, shown = SCENES[tab]
    async with registry(TrafficLog()) as runtime:
        await scene(runtime)
        panel = Panel(runtime)
        async with panel.run_test(size=(width, 30)) as pilot:
            await settled(pilot, tab, *keys)
            for _ in range(6):  # until the cursor has rested
                await settled(pilot)
            screen = lines(panel)
            column = border(screen)
            assert 40 <= column <= width - 30
            assert shown in " ".join(" ".join(line[column + 1 :].split()) for line in screen)
            await pilot.resize_terminal(119, 30)
            assert shown not in await settled(pilot), "only the list"


async def test_keys_move_the_border_which_each_tab_remembers() -> None:
    log = TrafficLog()
    small_pull(log)
    async with registry(log) as runtime:
        await some_blobs(runtime)
        panel = Panel(runtime)
        async with panel.run_test(size=(160, 45), notifications=True) as pilot:
            await look(pilot)
            traffic = border(lines(panel))
            await look(pilot, "<", "<")
            assert border(lines(panel)) == traffic - 16
            await settled(pilot, "3")
            blobs = border(lines(panel))
            await look(pilot, ">")
            assert border(lines(panel)) == blobs + 8
            await look(pilot, "1")
            assert border(lines(panel)) == traffic - 16
            for _ in range(30):
                await pilot.press("<")
            await look(pilot)
            assert border(lines(panel)) == 40, "the list can still be read"
            for _ in range(30):
                await pilot.press(">")
            await look(pilot)
            assert border(lines(panel)) == 130, "and so can the detail"


async def test_the_mouse_moves_the_border() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=(160, 45)) as (panel, pilot):
        await look(pilot)
        at = border(lines(panel))
        await pilot.mouse_down(offset=(at, 10))
        await pilot.hover(offset=(70, 12))
        await pilot.mouse_up(offset=(70, 12))
        await look(pilot)
        assert border(lines(panel)) == 70
        await pilot.hover(offset=(100, 12))
        await look(pilot)
        assert border(lines(panel)) == 70, "the button is up"


async def test_on_a_narrow_screen_the_border_moves_up_and_down() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log) as (panel, pilot):
        await look(pilot, "<")
        assert said(panel) == "no details are open"
        await look(pilot, "enter")
        before = edge(lines(panel))
        await look(pilot, ">", ">")
        assert edge(lines(panel)) == before + 2
        await pilot.mouse_down(offset=(5, before + 2))
        await pilot.hover(offset=(5, 8))
        await pilot.mouse_up(offset=(5, 8))
        await look(pilot)
        assert edge(lines(panel)) == 8
        await pilot.resize_terminal(140, 30)
        await look(pilot)
        assert 80 < border(lines(panel)) < 100, "side by side, with a share of its own"
