"""Many exchanges at the same time: keys are handled immediately, and the cursor stays where it is."""

from __future__ import annotations

import asyncio

import pytest
from exchanges import passed
from screen import line_at_cursor, look, shown, text
from textual.pilot import Pilot

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.traffic.table import TrafficTable

WIDE = (160, 45)


def pour(log: TrafficLog, count: int) -> None:
    for _ in range(count):
        passed(log, f"/v2/library/app/manifests/n{log.end}")


async def test_changes_by_keys_are_shown_immediately(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("brokenreg.tui.app.TICK", 3600)
    async with shown(TrafficLog()) as (panel, pilot):
        await pilot.press("F")
        await pilot.pause()
        assert "○ not following" in text(panel)
        await pilot.press("F")
        await pilot.pause()
        assert "● LIVE" in text(panel)


async def test_earlier_exchanges_are_followed_from_the_start() -> None:
    log = TrafficLog()
    pour(log, 300)
    async with shown(log, size=WIDE) as (panel, pilot):
        for last in ("n299 ", "n599 "):
            await until(pilot, log, last)
            assert last in line_at_cursor(panel)
            assert "● LIVE" in text(panel)
            pour(log, 300)


async def until(pilot: Pilot[int], log: TrafficLog, words: str) -> None:
    """Look until it is all taken in."""
    for _ in range(100):
        log.version += 1
        if words in await look(pilot):
            return
    pytest.fail(text(pilot.app))


@pytest.mark.slow
@pytest.mark.parametrize(("key", "by"), [("k", -1), ("enter", 0)])
async def test_a_key_between_two_slices_counts(monkeypatch: pytest.MonkeyPatch, key: str, by: int) -> None:
    monkeypatch.setattr("brokenreg.tui.app.TICK", 3600)
    log = TrafficLog()
    pour(log, 40)
    async with shown(log, size=WIDE) as (panel, pilot):
        await look(pilot)
        monkeypatch.setattr("brokenreg.tui.traffic.table._SLICE", 0.0)
        monkeypatch.setattr("brokenreg.tui.traffic.table._PAUSE", 3600)  # slices come when they are told to
        pour(log, 400)
        await look(pilot)
        table = panel.query_one(TrafficTable)
        assert isinstance(table.cursor, Exchange)
        position = table.cursor.id - 1 + by
        assert position < 400, "it is not all taken in yet"
        table._go_on()  # a slice that is not shown
        await pilot.press(key)
        await until(pilot, log, f"○ {439 - position} newer")
        assert f"manifests/n{position} " in line_at_cursor(panel)


@pytest.mark.usefixtures("pulses")
async def test_many_exchanges_are_shown_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.tui.app.TICK", 0.02)
    log = TrafficLog()
    async with shown(log, size=WIDE) as (panel, pilot):
        for _ in range(20):
            pour(log, 50)
            await pilot.pause(0.01)
        async with asyncio.timeout(10):
            while "n999 " not in text(panel):
                await pilot.pause(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (160, 60)])
async def test_a_change_of_size_between_two_slices_is_followed(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr("brokenreg.tui.app.TICK", 3600)
    log = TrafficLog()
    pour(log, 100)
    async with shown(log, size=WIDE) as (panel, pilot):
        await until(pilot, log, "n99 ")
        monkeypatch.setattr("brokenreg.tui.traffic.table._SLICE", 0.0)
        monkeypatch.setattr("brokenreg.tui.traffic.table._PAUSE", 3600)
        pour(log, 400)
        await look(pilot)
        panel.query_one(TrafficTable)._go_on()  # a slice that is not shown
        await pilot.resize_terminal(*size)
        await until(pilot, log, "n499 ")
        assert "n499 " in line_at_cursor(panel)
        assert "● LIVE" in text(panel)
