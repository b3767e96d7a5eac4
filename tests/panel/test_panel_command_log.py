"""What a key did is shown as a command; `L` lists the commands; ctrl+z and ctrl+y undo and redo."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from exchanges import small_pull
from running import registry
from screen import Clock, lines, look, said, settled, shown, text
from textual.pilot import Pilot

from brokenreg.rules.rule import rule_of
from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.command_log.command_log import CommandLog, script
from brokenreg.tui.command_log.line import SHOWN_FOR


def labels(runtime: Runtime) -> list[str]:
    return [each.label for each in runtime.rules.book("")]


def add(runtime: Runtime, *names: str) -> None:
    """Add rules as another user does."""
    for name in names:
        Operations(runtime, Access.FULL).add_rule("", rule_of({"name": name, "fault": "error"}), "API")


def copied(panel: Panel) -> str:
    return panel.clipboard


async def test_a_key_shows_its_command_for_a_while() -> None:
    clock = Clock()
    async with registry(TrafficLog()) as runtime:
        add(runtime, "one", "two")
        panel = Panel(runtime, clock=clock)
        async with panel.run_test(size=(80, 24), notifications=True) as pilot:
            before = (await look(pilot, "2")).splitlines()
            assert not any("$ brokenreg" in line for line in before)
            after = (await look(pilot, "space")).splitlines()
            assert after[-2] == " $ brokenreg rules disable 1"
            assert after[1] == before[1], "no notice covers the screen"
            assert after[-1] == before[-1], "the footer stays"
            clock.now += SHOWN_FOR - 1
            assert "$ brokenreg rules disable 1" in await look(pilot)
            assert "$ brokenreg rules move 1 --down 1" in await look(pilot, "J")
            clock.now += SHOWN_FOR
            assert "$ brokenreg" not in await look(pilot)


async def test_a_dialogue_shows_its_commands_only() -> None:
    async with shown(TrafficLog()) as (_, pilot):
        assert "$ brokenreg" not in await look(pilot, "!")
        assert "$ brokenreg rules add error status=404 --override" in await look(pilot, "space")
        await look(pilot, "escape")
        assert "$ brokenreg rules add error status=404 --override" in await look(pilot)
        assert "$ brokenreg" not in await look(pilot, "!"), "that was done before"


async def test_the_list_is_copied_and_saved_as_a_script(tmp_path: Path) -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=(120, 30)) as (panel, pilot):
        assert "No commands yet" in await look(pilot, "L")
        assert "y Copy" not in lines(panel)[-1]
        assert "no commands yet" in await pressed(pilot, "y")
        await look(pilot, "escape", "n", "!", "space", "escape", "0", "ctrl+z")
        screen = await look(pilot, "L")
        first, second, last = (line.strip("│ ▌") for line in screen.splitlines()[1:4])
        assert first.startswith(
            "brokenreg rules add error status=503 --endpoint layer --repository library/app"
        )
        assert second == "brokenreg rules add error status=404 --override"
        assert last.startswith("# undone: brokenreg rules disable ")
        assert "--times 1 --first" in " ".join((await settled(pilot, "g")).replace("│", "").split()), (
            "a long one is shown below"
        )
        await look(pilot, "y")
        command = shlex.split(copied(panel))
        assert command[:5] == ["brokenreg", "rules", "add", "error", "status=503"]
        assert command[-3:] == ["--times", "1", "--first"]
        await look(pilot, "Y")
        script = copied(panel).splitlines()
        assert script[:2] == ["#!/bin/sh", "set -e"]
        assert next(line for line in script if line.startswith("brokenreg")) == shlex.join(command)
        assert script[-1].startswith("# undone: brokenreg rules disable ")
        path = tmp_path / "commands.sh"
        await settled(pilot, "s", *str(path), "enter")
        assert path.read_text() == copied(panel)
        assert "saved 3 commands" in said(panel)
        assert "what you did" not in await look(pilot, "q")
        assert panel.is_running


async def pressed(pilot: Pilot[int], *keys: str) -> str:
    await look(pilot, *keys)
    return said(pilot.app)


async def test_rules_are_undone_and_redone_key_by_key() -> None:
    async with registry(TrafficLog()) as runtime:
        add(runtime, "one", "two", "three")
        panel = Panel(runtime)
        async with panel.run_test(size=(100, 24), notifications=True) as pilot:
            await look(pilot, "2", "J", "space", "d", "y", "!", "space", "escape", "0")
            assert labels(runtime) == ["two", "three", "rule 4"]
            assert not runtime.rules.has_armed
            assert "undone: rules disable" in await pressed(pilot, "ctrl+z")
            assert runtime.rules.has_armed
            assert "ctrl+y redoes it" in said(panel)
            await look(pilot, "ctrl+z")
            assert labels(runtime) == ["two", "three"]
            await look(pilot, "ctrl+z", "ctrl+z", "ctrl+z")
            assert labels(runtime) == ["one", "two", "three"]
            assert "nothing to undo" in await pressed(pilot, "ctrl+z")
            await look(pilot, "ctrl+y")
            assert labels(runtime) == ["two", "one", "three"]
            await look(pilot, *["ctrl+y"] * 4)
            assert labels(runtime) == ["two", "three", "rule 4"]
            assert "nothing to redo" in await pressed(pilot, "ctrl+y")


async def test_a_rule_that_somebody_else_changed_is_not_overwritten() -> None:
    async with registry(TrafficLog()) as runtime:
        add(runtime, "one", "two")
        panel, other = Panel(runtime), Operations(runtime, Access.FULL)
        async with panel.run_test(size=(100, 24), notifications=True) as pilot:
            await look(pilot, "2", "space", "j", "space")
            two = list(runtime.rules.book(""))[1]
            other.replace_rule("", two.id, rule_of({"name": "theirs", "fault": "latency"}), "API")
            assert "cannot undo rules disable 2: two was changed since" in await pressed(pilot, "ctrl+z")
            assert [each.rule.enabled for each in runtime.rules.book("")] == [False, True]
            assert "undone: rules disable 1" in await pressed(pilot, "ctrl+z")
            assert labels(runtime) == ["one", "theirs"]


async def test_a_command_that_was_undone_is_one_comment() -> None:
    async with registry(TrafficLog()) as runtime:
        operations = Operations(runtime, Access.FULL)
        log = CommandLog(operations, lambda: 0.0)
        hostile = {"type": "error", "message": "a\necho harm\r\necho harm"}
        operations.add_rule("", rule_of({"fault": hostile}), "panel")
        log.undo()
        code = script(log, "http://127.0.0.1:1").partition("BROKENREG_URL=http://127.0.0.1:1\n")[2]
        assert all(line.startswith("#") for line in code.splitlines() if line)
        log.redo()
        done = subprocess.run(
            ["sh", "-c", f"brokenreg() {{ printf '%s|' \"$@\"; }}\n{script(log, None)}"],
            capture_output=True, check=True, timeout=10,
        )  # fmt: skip
        assert done.stdout.decode() == f"rules|add|error|message={hostile['message']}|"


async def test_undo_is_for_this_panel_alone() -> None:
    async with registry(TrafficLog()) as runtime:
        add(runtime, "one")
        panel, other = Panel(runtime), Panel(runtime)
        async with other.run_test(size=(80, 24)) as their:
            await look(their, "2", "space")
        async with panel.run_test(size=(80, 24), notifications=True) as pilot:
            assert "nothing to undo: only changes to the rules in this panel can be undone" in await pressed(
                pilot, "ctrl+z"
            )
            assert "No commands yet" in await look(pilot, "L")


async def test_a_text_field_keeps_ctrl_z() -> None:
    async with registry(TrafficLog()) as runtime:
        add(runtime, "one")
        panel = Panel(runtime)
        async with panel.run_test(size=(80, 24), notifications=True) as pilot:
            await look(pilot, "2", "space", "1", "/", "ctrl+z")
            assert not runtime.rules.has_armed
            assert "leave the text field first" in said(panel)


@pytest.mark.parametrize("key", ["ctrl+z", "ctrl+y"])
async def test_with_read_access_nothing_is_undone(key: str) -> None:
    async with registry(TrafficLog()) as runtime:
        panel = Panel(runtime, operations=Operations(runtime, Access.READ))
        async with panel.run_test(size=(80, 24), notifications=True) as pilot:
            assert "this panel is read-only" in await pressed(pilot, key)
            assert "this panel is read-only" not in text(panel).splitlines()[-1]
