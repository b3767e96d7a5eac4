"""The panel as a program: how it ends, and its pictures."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from exchanges import passed, small_pull
from running import registry
from screen import Clock, lines, look, settled, shown, text
from svg_screen import difference
from take_screenshots import FILES, FOLDER, take
from textual.pilot import Pilot

from brokenreg.rules.rule import rule_of
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel


@pytest.mark.parametrize("keys", [["q"], ["ctrl+c"], ["enter", "q", "q"], ["?", "ctrl+c"], ["5", "q"], ["Q"]])
async def test_it_quits_with_status_0(keys: list[str]) -> None:
    log = TrafficLog()
    passed(log, "/v2/")

    async def press(pilot: Pilot[int]) -> None:
        await look(pilot)
        await pilot.press(*keys)

    async with registry(log) as runtime:
        panel = Panel(runtime, clock=Clock())
        await asyncio.wait_for(panel.run_async(headless=True, size=(80, 24), auto_pilot=press), 10)
        assert panel.return_code == 0


@pytest.mark.parametrize("keys", [["q", "y"], ["q", "enter"], ["ctrl+c", "ctrl+c"], ["?", "ctrl+c", "y"]])
async def test_quitting_asks_if_something_would_be_cut_off(keys: list[str]) -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log) as (panel, pilot):
        await look(pilot)
        screen = await look(pilot, *keys[:-1])
        assert "Stop the registry and quit?" in screen
        assert "1 exchange is in flight." in screen
        assert "not saved" not in screen
        await look(pilot, "n")
        assert panel.is_running
        assert "Stop the registry" not in text(panel)
        await look(pilot, "escape", *keys)
    assert panel.return_code == 0


@pytest.mark.slow
async def test_quitting_asks_if_rules_are_not_saved(tmp_path: Path) -> None:
    """Those made here: in a form, or as an override that is on. A rule that was applied once is not lost."""
    async with shown(TrafficLog()) as (panel, pilot):
        book = panel._runtime.rules.book("")
        book.add(rule_of({"fault": {"type": "error", "status": 500}}), "faults.yaml:3")
        spent = rule_of({"fault": {"type": "error", "status": 500}, "times": 1})
        book.add(spent, "panel, fail next").applied = 1
        await look(pilot, "2", "c", *"reset", "enter")
        assert "The rule in the form is not saved." in await look(pilot, "ctrl+c")
        await look(pilot, "escape", "enter")
        assert "1 rule added or edited here is not saved." in await look(pilot, "q")
        await look(pilot, "n", "!", "space", "escape")
        assert "2 rules added or edited here are not saved." in await look(pilot, "q")
        await look(pilot, "n", "W", *str(tmp_path / "saved.yaml"), "enter")
        await settled(pilot)
        assert "saved 4 rules to" in text(panel).replace("\n", " ")
        await look(pilot, "q")
    assert panel.return_code == 0


async def test_quitting_asks_if_rules_can_be_enabled_again() -> None:
    async with shown(TrafficLog()) as (_, pilot):
        await look(pilot, "!", "space", "escape")
        assert "1 rule added or edited here is not saved." in await look(pilot, "0", "q")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_panel_with_its_status(number: signal.Signals) -> None:
    async def send(pilot: Pilot[int]) -> None:
        os.kill(os.getpid(), number)

    async with registry(TrafficLog()) as runtime:
        panel = Panel(runtime)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(number, panel.quit, 7)
        try:
            await asyncio.wait_for(panel.run_async(headless=True, auto_pilot=send), 10)
        finally:
            loop.remove_signal_handler(number)
        assert panel.return_code == 7


async def test_the_panel_can_be_ended_before_and_after_it_runs() -> None:
    async with registry(TrafficLog()) as runtime:
        panel = Panel(runtime)
        panel.quit()
        await asyncio.wait_for(panel.run_async(headless=True), 10)
        assert panel.return_code == 0
        panel.quit()
        panel.tick()


async def test_an_internal_error_ends_the_panel_with_status_1_and_one_line(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Textual would show the values of all variables, secrets among them."""

    async def fail(pilot: Pilot[int]) -> None:
        pilot.app.call_later(_fail)
        await pilot.pause()

    async with registry(TrafficLog()) as runtime:
        panel = Panel(runtime)
        await asyncio.wait_for(panel.run_async(headless=True, auto_pilot=fail), 10)
        assert panel.return_code == 1
        diagnostics = runtime.settings.data / "diagnostics.log"
        said = " ".join(capsys.readouterr().err.split())
        assert said == f"brokenreg: the panel failed; see {diagnostics}"
        assert "an error of ours" in caplog.text


def _fail() -> None:
    raise RuntimeError("an error of ours")


async def test_ctrl_z_does_not_suspend() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=(80, 24)) as (panel, pilot):
        before = (await look(pilot)).splitlines()
        after = (await look(pilot, "ctrl+z")).splitlines()
        changed = [line for line, old in zip(after, before, strict=True) if line != old]
        assert "nothing to undo" in " ".join(changed)
        assert all("▌" in line for line in changed), "there is a notice, and nothing else"
        assert len(panel.screen_stack) == 1


async def test_the_cursor_and_outcomes_are_visible_without_colours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=(80, 24)) as (panel, pilot):
        await look(pilot)
        assert [line[:3] for line in lines(panel)[3:16]] == [
            " ✓ ", " ▾ ", *[" ✓ "] * 5, " ✗ ", " ✗ ", " ✓ ", " ✗ ", " ✓ ", "▌▸ "
        ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
async def test_the_pictures_are_current(file: str) -> None:
    differs = difference((FOLDER / file).read_text(encoding="utf-8"), await take(file))
    if differs:
        pytest.fail(f"run `make screenshots`, look at the pictures, commit them:\n{differs}", pytrace=False)


async def test_a_panel_that_reads_the_log_in_slices_follows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a busy machine. The first slices come before the list knows its size."""
    monkeypatch.setattr("brokenreg.tui.traffic.table._SLICE", -1.0)
    file = "traffic-160x45.svg"
    assert not difference((FOLDER / file).read_text(encoding="utf-8"), await take(file))


async def test_tasks_of_the_shared_loop_start_as_hypercorn_expects() -> None:
    """Textual would make them start at once on Python 3.12 and newer, and every request would fail."""
    async with shown(TrafficLog()):
        assert asyncio.get_running_loop().get_task_factory() is None
