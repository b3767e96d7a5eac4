"""Notices cover nothing that is held or in flight, and disappear with the screen that they belong to."""

from __future__ import annotations

import pytest
from exchanges import NOW, small_pull
from screen import lines, look, said, shown
from scripted_pull import half_way

from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel

LONG = "the next similar request fails with error status=503: " + "repository=library/app " * 9
"""Four lines of 80 columns."""


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 45)])
async def test_a_notice_leaves_visible_what_is_held_and_in_flight(size: tuple[int, int]) -> None:
    async with half_way() as runtime:
        panel = Panel(runtime, clock=lambda: NOW)
        async with panel.run_test(size=size, notifications=True) as pilot:
            await look(pilot, "k")
            before = lines(panel)
            assert sum("⏸" in line for line in before) > 2
            panel.notify("one line")
            await look(pilot)
            assert said(panel) == "one line"
            assert lines(panel)[0] == before[0]
            assert lines(panel)[3:] == before[3:]


async def test_the_list_makes_room_for_a_long_notice_which_wraps_at_words() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log) as (panel, pilot):
        await look(pilot)
        panel.notify(LONG)
        await look(pilot)
        assert said(panel) == LONG.strip()
        rows = [line for line in lines(panel) if "repository=" in line]
        assert len(rows) == 4
        assert all(set(row.split()) <= {*LONG.split(), "▌"} for row in rows), "whole words"
        assert "GET /v2/ " in lines(panel)[5], "the first row of the list"


async def test_a_notice_disappears_with_its_tab_and_its_screen() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log) as (panel, pilot):
        await look(pilot, "y")
        assert said(panel).startswith("copied: ")
        await look(pilot, "2")
        assert not said(panel)
        await look(pilot, "1", "y", "?")
        assert not said(panel)
        await look(pilot, "f9")
        assert 'no command has the key "f9"' in said(panel)
        await look(pilot, "escape")
        assert not said(panel)


async def test_a_notice_replaces_the_previous_one() -> None:
    async with shown(TrafficLog()) as (panel, pilot):
        await look(pilot, "m")
        assert said(panel) == "no row is selected"
        await look(pilot, "U")
        assert said(panel) == "nothing is marked; m marks the selected row"
        assert "nothing is marked" in lines(panel)[1], "where the previous one was"


async def test_of_many_notices_only_the_newest_is_shown() -> None:
    """If you paste into the panel, the list stays visible."""
    log = TrafficLog()
    small_pull(log)
    async with shown(log) as (panel, pilot):
        await look(pilot)
        before = lines(panel)
        for number in range(10):
            panel.notify(f"notice {number}")
        await look(pilot)
        assert "notice 9" in lines(panel)[1]
        assert lines(panel)[3:] == before[3:]
