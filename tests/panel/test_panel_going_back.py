"""`q` and escape go back; `q` quits at the top; `Q`, or ctrl+c twice, quits immediately."""

from __future__ import annotations

import asyncio

import pytest
from exchanges import passed, small_pull
from running import registry
from screen import Clock, lines, look, said, shown, text
from textual.pilot import Pilot
from textual.widgets import Input

from brokenreg.rules.rule import rule_of
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.theme import THEMES


@pytest.mark.parametrize("key", ["q", "escape"])
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("enter",), "Headers│"),
        (("?",), "Commands and keys"),
        (("!",), "Overrides: apply faults"),
        (("x",), "Export exchange"),
        (("L",), "what you did"),
        (("2", "d"), "Delete"),
    ],
)
@pytest.mark.parametrize("size", [(80, 24), (80, 40)])
async def test_q_and_escape_go_back(
    key: str, keys: tuple[str, ...], words: str, size: tuple[int, int]
) -> None:
    log = TrafficLog()
    small_pull(log)
    async with registry(log) as runtime:
        runtime.rules.book("").add(rule_of({"name": "one", "fault": "error"}), "test")
        panel = Panel(runtime, clock=Clock())
        async with panel.run_test(size=size, notifications=True) as pilot:
            before = await look(pilot, *[each for each in keys if each.isdigit()])
            opened = await look(pilot, *[each for each in keys if not each.isdigit()])
            assert "Headers" in opened if keys == ("enter",) else words in opened
            assert await look(pilot, key) == before
            assert panel.is_running
            assert not said(panel)


async def test_q_from_a_focused_pane_goes_to_the_list() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=(160, 45)) as (panel, pilot):
        await look(pilot, "enter")
        await look(pilot, "q")
        assert panel.is_running
        await look(pilot, "tab")
        await look(pilot, "q")
        assert panel.is_running, "the pane had the focus"


async def test_a_text_field_gets_the_letter_q() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log) as (panel, pilot):
        await look(pilot, "/", "q", "Q")
        assert panel.focused is not None
        assert isinstance(panel.focused, Input)
        assert panel.focused.value == "qQ"
        await look(pilot, "escape", "x", "s", "q")
        assert isinstance(panel.focused, Input)
        assert panel.focused.value.endswith("q")
        assert panel.is_running


async def ended(log: TrafficLog, *keys: str) -> int | None:
    """Return the exit status of a panel after these keys, or None if it is still running."""

    async def press(pilot: Pilot[int]) -> None:
        await look(pilot)
        await pilot.press(*keys)
        await pilot.pause()
        status.append(pilot.app.return_code)
        pilot.app.exit()

    status: list[int | None] = []
    async with registry(log) as runtime:
        runtime.rules.book("").add(rule_of({"fault": "error"}), "panel")  # unsaved work
        panel = Panel(runtime, clock=Clock())
        await asyncio.wait_for(panel.run_async(headless=True, size=(80, 24), auto_pilot=press), 10)
    return status[0]


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        (("q",), None),
        (("q", "q"), None),
        (("q", "y"), 0),
        (("Q",), 0),
        (("?", "Q"), 0),
        (("!", "Q"), 0),
        (("q", "Q"), 0),
        (("/", "Q"), None),
        (("ctrl+c",), None),
        (("ctrl+c", "ctrl+c"), 0),
        (("/", "ctrl+c", "ctrl+c"), 0),
    ],
)
async def test_what_quits_with_unsaved_work(keys: tuple[str, ...], status: int | None) -> None:
    log = TrafficLog()
    passed(log, "/v2/")
    assert await ended(log, *keys) == status


async def test_the_footer_begins_with_what_matters() -> None:
    log = TrafficLog()
    small_pull(log)
    for width in (80, 120):
        async with shown(log, size=(width, 30)) as (panel, pilot):
            await look(pilot, "G")
            assert lines(panel)[-1].split()[:5] == ["i", "Breakpoints", "n", "Fail", "next"]


def test_keys_failures_and_what_is_held_have_three_colours() -> None:
    for theme in THEMES:
        colours = {theme.accent, theme.error, theme.warning}
        assert len(colours) == 3, theme.name
        assert theme.variables["footer-key-foreground"] == theme.accent


async def test_the_colour_of_the_keys_is_only_for_keys() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log) as (panel, pilot):
        await look(pilot)
        accent = panel.theme_variables["accent"].lower()
        found = {
            segment.text.strip()
            for strip in panel.screen._compositor.render_strips()
            for segment in strip
            if segment.style and segment.style.color and segment.style.color.name.lower() == accent
        }
        assert found == {"i", "n", "enter", "F", "/", "x", "?"}, text(panel)
