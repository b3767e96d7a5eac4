"""The panel as a program: how it ends, and its pictures."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from exchanges import small_pull
from screen import lines, look, panel_of
from take_screenshots import FOLDER, PICTURES, take
from textual.pilot import Pilot

from brokenreg.traffic.log import TrafficLog


@pytest.mark.parametrize("keys", [["q"], ["ctrl+c"], ["enter", "q"]])
async def test_it_quits_with_status_0(keys: list[str]) -> None:
    log = TrafficLog()
    small_pull(log)
    panel = panel_of(log)

    async def press(pilot: Pilot[int]) -> None:
        await look(pilot)
        await pilot.press(*keys)

    await asyncio.wait_for(panel.run_async(headless=True, size=(80, 24), auto_pilot=press), 10)
    assert panel.return_code == 0


async def test_a_signal_ends_it_with_the_status_that_it_is_given() -> None:
    panel = panel_of(TrafficLog())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, panel.quit, 7)

    async def terminate(pilot: Pilot[int]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    try:
        await asyncio.wait_for(panel.run_async(headless=True, auto_pilot=terminate), 10)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    assert panel.return_code == 7


async def test_it_can_be_told_to_quit_before_it_runs_and_after() -> None:
    panel = panel_of(TrafficLog())
    panel.quit()
    await asyncio.wait_for(panel.run_async(headless=True), 10)
    assert panel.return_code == 0
    panel.quit()
    panel.tick()


async def test_suspending_and_the_palette_have_no_key() -> None:
    log = TrafficLog()
    small_pull(log)
    panel = panel_of(log)
    async with panel.run_test(size=(80, 24)) as pilot:
        before = await look(pilot)
        assert await look(pilot, "ctrl+z", "ctrl+p") == before
        assert len(panel.screen_stack) == 1


async def test_without_colours_the_cursor_and_the_outcome_can_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    log = TrafficLog()
    small_pull(log)
    panel = panel_of(log)
    async with panel.run_test(size=(80, 24)) as pilot:
        await look(pilot)
        assert [line[:3] for line in lines(panel)[2:14]] == [
            *[" ✓ "] * 6, " ✗ ", " ✗ ", " ✓ ", " ✗ ", " ✓ ", "▌▸ "
        ]  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
async def test_the_pictures_are_what_the_panel_looks_like(name: str) -> None:
    drawn = await take(name)
    kept = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert drawn == kept, "run `python tests/panel/take_screenshots.py`, look at the pictures and commit them"


async def test_tasks_of_the_shared_loop_start_as_hypercorn_expects() -> None:
    """Textual would make them start at once on Python 3.12 and newer, and every request would fail."""
    async with panel_of(TrafficLog()).run_test():
        assert asyncio.get_running_loop().get_task_factory() is None
