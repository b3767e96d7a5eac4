"""A panel with read access shows everything and changes nothing, whatever keys are pressed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from screen import look, said, text
from serving import PATIENCE
from textual.pilot import Pilot
from textual.screen import Screen

from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.rules.rule import rule_of
from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange_json import summary_json
from brokenreg.traffic.log import ExchangeEvent, TrafficLog
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.tui import disabled_reasons
from brokenreg.tui.app import Panel
from brokenreg.tui.areas import TABS, area
from brokenreg.tui.commands import BY_ID, COMMANDS, Command
from brokenreg.tui.dialogues import Confirmation
from brokenreg.tui.disabled_reasons import READ_ONLY
from brokenreg.tui.faults.form import RuleForm
from brokenreg.tui.faults.seen import seen_in
from brokenreg.tui.files.opening import OpenedFile
from brokenreg.tui.files.view import FileView
from brokenreg.tui.holding.edit import EditScreen
from brokenreg.tui.preferences import Preferences
from brokenreg.tui.terminal import Terminal

SIZE = (130, 50)

KEYS: dict[str, tuple[str, ...]] = {
    **{name: (tab.key,) for name, tab in TABS.items()},
    "tags": ("4", "g", "l", "j"),
    "faults": ("2", "g", "j"),
    "help": ("?",),
    "commands": ("L",),
    "overrides": ("!",),
    "filter": ("1", "/"),
    "breakpoints": ("1", "i"),
    "export": ("1", "x"),
    "naming": ("1", "x", "s"),
    "compare": ("1", "U", "g", "m", "j", "="),
    "document": ("4", "g", "l", "j", "enter"),
    "choose": ("4", "i"),
    "file": ("2", "W"),
    "ask": ("1", "S"),
    "open": ("1", "ctrl+o"),
}
"""The keys that lead to a tab or dialogue, from the panel without a dialogue."""


def saved(runtime: Runtime) -> TrafficFile:
    """Save the log in the current folder, and return the open file."""
    path = Path("exchanges.jsonl")
    path.write_text("".join(f"{summary_json(each)}\n" for each in runtime.log))
    return TrafficFile(path, TrafficLog())


SCREENS: dict[str, Callable[[Runtime, Operations], Screen[Any]]] = {
    "confirm": lambda runtime, operations: Confirmation("Delete it?", ()),
    "form": lambda runtime, operations: RuleForm(CATALOGUE["error"], seen=seen_in(runtime.log)),
    "edit": lambda runtime, operations: EditScreen(
        runtime, operations, next(iter(runtime.gate.held.values())).exchange
    ),
    "opened": lambda runtime, operations: OpenedFile(FileView(saved(runtime), Preferences())),
}
"""Dialogues that no key of a panel with read access opens."""

QUIT = {"panel.quit", "panel.quit-now", "panel.interrupt"}


EVERYWHERE = {"panel", "tab", "move"}


def commands_in(place: str) -> list[Command]:
    """Return the commands of a tab or dialogue. Those of all tabs are run in the first one."""
    here = [each for each in COMMANDS if place in area(each.area).places and each.id not in QUIT]
    return [each for each in here if place == "traffic" or each.area not in EVERYWHERE]


def state(runtime: Runtime) -> dict[str, Any]:
    """Return what users can change: rules, breakpoints, responses in flight, the log and the content."""
    index = runtime.store.index
    return {
        "rules": [
            (name, each.id, each.rule, each.source, each.matched, each.applied)
            for name in runtime.rules.namespaces()
            for each in runtime.rules.book(name)
        ],
        "breakpoints": ([*runtime.gate.breakpoints], runtime.gate.breakpoints.are_on),
        "held": [*runtime.gate.held],
        "log": [(each.id, each.status, each.held_by, each.edited, each.ended) for each in runtime.log],
        "content": {
            key: (dict(each.tags), sorted(each.manifests), sorted(each.links))
            for key, each in index.repositories.items()
        },
        "files": sorted(path.name for path in (runtime.settings.data / "blobs").rglob("*") if path.is_file()),
    }


@asynccontextmanager
async def changeable(folder: Path) -> AsyncIterator[Runtime]:
    """A registry with an image, two rules, a breakpoint, an exchange that has ended, and a held one."""
    settings = Settings(listen=["127.0.0.1:0"], control=None, data=folder / "data", offline=True)
    async with Server.running(settings, Diagnostics()) as server, asyncio.TaskGroup() as group:
        runtime = server.runtime
        async with httpx.AsyncClient(base_url=runtime.status().registry[0], timeout=None) as http:
            (await http.put("/v2/team/web/manifests/v1", content=b"{}")).raise_for_status()
            held = asyncio.Event()
            unsubscribe = runtime.log.subscribe(lambda *_: held.set(), ExchangeEvent.HELD)
            operations = Operations(runtime, Access.FULL)
            operations.add_breakpoint("endpoint:manifest status:200")
            for fault in ("error", "truncate"):
                rule = rule_of({"fault": fault, "match": {"repository": "other"}})
                operations.add_rule("", rule, "test")
            waiting = group.create_task(http.get("/v2/team/web/manifests/v1"))
            async with asyncio.timeout(PATIENCE):
                await held.wait()
            unsubscribe()
            try:
                yield runtime
            finally:
                waiting.cancel()


async def go_to(place: str, panel: Panel, pilot: Pilot[int], runtime: Runtime) -> None:
    """Close all dialogues, and open the tab or dialogue."""
    while len(panel.screen_stack) > 1:
        panel.pop_screen()
    await pilot.pause()
    if panel.focused is not None:
        await pilot.press("escape")
    if place in SCREENS:
        panel.push_screen(SCREENS[place](runtime, Operations(runtime, Access.READ)))
    else:
        await pilot.press(*KEYS[place])
    await settled(panel, pilot)


async def settled(panel: Panel, pilot: Pilot[int]) -> None:
    """Wait for what keys have begun. What waits for an answer in a dialogue goes on."""
    async with asyncio.timeout(PATIENCE):
        await pilot.pause()
        if begun := [each for each in panel.workers if each.group != "asking"]:
            await panel.workers.wait_for_complete(begun)
        await pilot.pause()


def test_every_command_has_a_place_here() -> None:
    places = {*KEYS, *SCREENS}
    assert not [each.id for each in COMMANDS if area(each.area).places.isdisjoint(places)]


@pytest.mark.slow
@pytest.mark.parametrize("place", [*KEYS, *SCREENS])
async def test_no_command_changes_anything_with_read_access(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with changeable(tmp_path) as runtime:
        before = state(runtime)
        panel = Panel(runtime, operations=Operations(runtime, Access.READ))
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            for command in commands_in(place):
                await go_to(place, panel, pilot, runtime)
                await pilot.press(command.keys.partition(",")[0])
                await settled(panel, pilot)
                assert state(runtime) == before, command.id
                assert panel.is_running, command.id


@pytest.mark.slow
@pytest.mark.parametrize("place", [*KEYS, *SCREENS])
async def test_operations_refuse_what_the_table_does_not_mark(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that opens a dialogue is confirmed there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(disabled_reasons, "may_change", lambda node: True)
    async with changeable(tmp_path) as runtime:
        before = state(runtime)
        panel = Panel(runtime, operations=Operations(runtime, Access.READ))
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            for command in [each for each in commands_in(place) if each.changes]:
                await go_to(place, panel, pilot, runtime)
                depth = len(panel.screen_stack)
                await pilot.press(command.keys.partition(",")[0])
                await settled(panel, pilot)
                if len(panel.screen_stack) > depth:
                    await pilot.press("x", "enter", "enter", "y")
                    await settled(panel, pilot)
                assert state(runtime) == before, command.id
                assert panel.is_running, command.id


@pytest.mark.slow
@pytest.mark.parametrize("place", [*KEYS, *SCREENS])
async def test_commands_that_are_not_marked_change_nothing(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even with full access."""
    monkeypatch.chdir(tmp_path)
    async with changeable(tmp_path) as runtime:
        before = state(runtime)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            for command in [each for each in commands_in(place) if not each.changes]:
                await go_to(place, panel, pilot, runtime)
                await pilot.press(command.keys.partition(",")[0])
                await settled(panel, pilot)
                assert state(runtime) == before, command.id


@pytest.mark.parametrize(
    "command", ["faults.switch", "breakpoints.remove", "holding.resume", "overrides.switch"]
)
async def test_with_full_access_the_same_keys_change_something(command: str, tmp_path: Path) -> None:
    place = {"holding": "traffic"}.get(BY_ID[command].area, BY_ID[command].area)
    async with changeable(tmp_path) as runtime:
        before = state(runtime)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await go_to(place, panel, pilot, runtime)
            await pilot.press(BY_ID[command].keys.partition(",")[0])
            await settled(panel, pilot)
            assert state(runtime) != before


@pytest.mark.parametrize(
    ("place", "command"),
    [
        ("faults", "faults.switch"),
        ("traffic", "holding.resume"),
        ("tags", "tags.delete"),
        ("blobs", "blobs.corrupt"),
    ],
)
async def test_a_command_says_why_it_is_not_available(place: str, command: str, tmp_path: Path) -> None:
    async with changeable(tmp_path) as runtime:
        panel = Panel(runtime, operations=Operations(runtime, Access.READ))
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await go_to(place, panel, pilot, runtime)
            assert READ_ONLY == "this panel is read-only"
            assert " READ-ONLY " in text(panel).splitlines()[0]
            key, title = BY_ID[command].keys.partition(",")[0], BY_ID[command].title
            assert f"{key} {title}" not in text(panel).splitlines()[-1]
            await look(pilot, key)
            assert READ_ONLY in said(panel)


async def test_an_operation_that_is_called_nevertheless_gives_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disabled_reasons, "may_change", lambda node: True)
    async with changeable(tmp_path) as runtime:
        panel = Panel(runtime, operations=Operations(runtime, Access.READ))
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await go_to("faults", panel, pilot, runtime)
            await look(pilot, "space")
            assert "nothing was changed: your access is read-only" in said(panel)
            assert panel.is_running


async def test_two_panels_with_different_access_in_one_loop(tmp_path: Path) -> None:
    """Each has its own tab; a rule that one disables is disabled in the other, which can only look."""
    async with changeable(tmp_path) as runtime:
        full, read = Panel(runtime), Panel(runtime, operations=Operations(runtime, Access.READ))
        async with full.run_test(size=SIZE) as writer:
            await look(writer, "2")
            reading = asyncio.create_task(_look_at_rules(read))
            assert "read-only" in await reading
            await look(writer, "0")
            assert "2 RULES DISABLED" in text(full)
            assert "error" in text(full)
            assert full.is_running
            other = Panel(runtime)
            assert "2 RULES DISABLED" in await asyncio.create_task(_look_at_rules(other))
            assert "RULES DISABLED" not in await look(writer)


async def _look_at_rules(panel: Panel) -> str:
    """Look at the Faults tab, press the key that disables all rules, and return both screens."""
    async with panel.run_test(size=SIZE, notifications=True) as pilot:
        before = await look(pilot, "2")
        return before + await look(pilot, "0")


@pytest.mark.parametrize(
    ("environment", "is_colourless", "colours"),
    [
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, False, "truecolor"),
        ({"TERM": "xterm-256color"}, False, "256"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, True, "256"),
    ],
)
@pytest.mark.parametrize("server", [{"NO_COLOR": "1"}, {"COLORTERM": "truecolor"}], ids=["plain", "colours"])
async def test_an_attached_terminal_decides_its_colours(
    environment: dict[str, str],
    is_colourless: bool,
    colours: str,
    server: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The environment of the server does not."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    async with changeable(tmp_path) as runtime:
        panel = Panel(runtime, terminal=Terminal(environment=environment))
        assert (panel.no_color, panel.console.color_system) == (is_colourless, colours)
        async with panel.run_test(size=SIZE):
            assert panel.theme == ("ansi" if is_colourless else "dark")
