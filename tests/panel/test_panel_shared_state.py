"""Dialogues show what others change meanwhile: another panel, or the control API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from running import registry
from screen import look, said, settled
from textual.pilot import Pilot

from brokenreg.rules.rule import rule_of
from brokenreg.runtime.operations import Access, Operations
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel


@asynccontextmanager
async def shared(
    size: tuple[int, int] = (80, 24), access: Access = Access.FULL
) -> AsyncIterator[tuple[Pilot[int], Operations]]:
    """The keyboard of a panel, and the operations of another user."""
    async with registry(TrafficLog()) as runtime:
        panel = Panel(runtime, operations=Operations(runtime, access))
        async with panel.run_test(size=size, notifications=True) as pilot:
            await look(pilot)
            yield pilot, Operations(runtime, Access.FULL)


async def until(pilot: Pilot[int], words: str, *, is_there: bool = True) -> str:
    async with asyncio.timeout(10):
        while (words in (screen := await look(pilot))) is not is_there:
            await pilot.pause(0.05)
    return screen


async def test_breakpoints_of_others_appear() -> None:
    async with shared() as (pilot, others):
        assert "No breakpoints." in await look(pilot, "i")
        added = others.add_breakpoint("status:5xx")
        assert "status:5xx" in await until(pilot, "1 breakpoint, enabled")
        others.set_breakpoints_enabled(enabled=False)
        await until(pilot, "1 breakpoint, DISABLED")
        others.remove_breakpoint(added.id)
        await until(pilot, "No breakpoints.")


async def test_a_form_says_that_its_rule_was_changed_or_removed() -> None:
    async with shared() as (pilot, others):
        rule = others.add_rule("", rule_of({"fault": "reset"}), "test")
        await look(pilot, "2")
        assert "elsewhere" not in await settled(pilot, "enter")
        others.set_rule_enabled("", rule.id, enabled=False)
        await until(pilot, "This rule was changed elsewhere: saving replaces the change.")
        others.set_rule_enabled("", rule.id, enabled=True)
        await until(pilot, "elsewhere", is_there=False)
        others.remove_rule("", rule.id)
        await until(pilot, "This rule was removed elsewhere: it cannot be saved.")
        await look(pilot, "enter")
        assert "nothing was changed: " in said(pilot.app)


async def test_overrides_of_others_appear() -> None:
    async with shared() as (pilot, others):
        await look(pilot, "!", "g")
        others.add_rule("", rule_of({"fault": {"type": "error", "status": 503}, "override": True}), "test")
        await until(pilot, "● error status=503")


@pytest.mark.parametrize("dialogue", ["!", "L"])
async def test_changes_are_undone_in_dialogues_that_show_them(dialogue: str) -> None:
    async with shared((100, 24)) as (pilot, _):
        await settled(pilot, "!", "space", "escape", dialogue)
        command = "rules add error status=404 --override"
        await settled(pilot, "ctrl+z")
        assert f"undone: {command}" in said(pilot.app)
        await until(pilot, "○ error" if dialogue == "!" else f"# undone: brokenreg {command}")
        await settled(pilot, "ctrl+y")
        assert f"redone: {command}" in said(pilot.app)
        await until(pilot, "● error status=404" if dialogue == "!" else f"▌brokenreg {command}")
        await settled(pilot, "ctrl+z")
        await settled(pilot, "ctrl+z")
        assert "nothing to undo" in said(pilot.app)


async def test_other_dialogues_say_that_the_key_has_no_command() -> None:
    async with shared() as (pilot, _):
        await settled(pilot, "i", "ctrl+z")
        assert 'no command has the key "ctrl+z" here' in said(pilot.app)


async def test_a_read_only_panel_offers_no_key_that_is_refused() -> None:
    async with shared(access=Access.READ) as (pilot, _):
        screen = await look(pilot, "2")
        assert "No rules: everything works." in screen
        assert "add a rule" not in screen
        assert "make the next request fail" not in screen
