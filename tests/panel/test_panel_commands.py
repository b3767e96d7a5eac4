"""The table of commands agrees with the bindings, and with all places that show it."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from pkgutil import resolve_name

import pytest
from exchanges import small_pull
from screen import lines, look, said, shown, text
from textual.dom import DOMNode
from textual.pilot import Pilot

import brokenreg.tui
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.areas import TABS, area
from brokenreg.tui.commands import BY_ID, COMMANDS, grouped, meet
from brokenreg.tui.help import matching
from brokenreg.tui.keys import KeysError, keys_from
from brokenreg.tui.palette import PanelCommands
from brokenreg.tui.preferences import Preferences
from brokenreg.tui.tabs import TabArea


def our_classes() -> Iterator[type[DOMNode]]:
    """Every screen and widget of the panel."""
    for module in pkgutil.walk_packages(brokenreg.tui.__path__, "brokenreg.tui."):
        if not module.name.endswith("__main__"):
            for each in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(each) and issubclass(each, DOMNode) and each.__module__ == module.name:
                    yield each


def bound(each: type[DOMNode]) -> set[str]:
    """The commands that a class binds."""
    return {binding.id for binding in each.__dict__.get("BINDINGS", [])}


def test_every_row_has_its_action() -> None:
    left = set(BY_ID)
    for each in our_classes():
        for command in map(BY_ID.__getitem__, bound(each)):
            name = f"action_{command.action_name}"
            assert hasattr(each, name), f"{command.id} calls {name}, which {each.__name__} does not have"
            left.discard(command.id)
    assert not left, "nothing binds these"


def test_every_action_has_its_row() -> None:
    for each in our_classes():
        binders = [other for other in our_classes() if issubclass(other, each)]
        offered = {BY_ID[name].action_name for other in binders for name in bound(other)}
        actions = {name.removeprefix("action_") for name in vars(each) if name.startswith("action_")}
        assert actions <= offered, each.__name__


def test_ids_are_used_once_and_areas_are_known() -> None:
    assert len(BY_ID) == len(COMMANDS)
    places = {*TABS, *(command.area for command in COMMANDS)}
    assert all(area(command.area).places <= places for command in COMMANDS)
    assert [command for _, commands in grouped() for command in commands]
    assert [command.id for command in COMMANDS if command.area == "tab"] == [f"tab.{name}" for name in TABS]


@pytest.mark.parametrize("name", TABS)
def test_every_tab_has_its_area(name: str) -> None:
    assert issubclass(resolve_name(TABS[name].area), TabArea)


def test_keys_are_unique() -> None:
    for one, other in combinations(COMMANDS, 2):
        if meet(one, other):
            assert not set(one.keys.split(",")) & set(other.keys.split(",")), f"{one.id}, {other.id}"


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_the_help_has_every_command(size: tuple[int, int]) -> None:
    async with shown(TrafficLog(), size=size) as (panel, pilot):
        seen = await look(pilot, "?")
        for _ in range(12):
            seen += await look(pilot, "pagedown")
        for command in COMMANDS:
            assert command.help in seen, command.id
        assert "esc Close" in text(panel)
        await look(pilot, "q")
        assert "Commands\n" not in text(panel)
        assert panel.is_running


async def test_the_palette_finds_a_command_and_runs_it() -> None:
    async with shown(TrafficLog()) as (panel, pilot):
        await look(pilot, "ctrl+p", *"log of brokenreg")
        await panel.workers.wait_for_complete()
        assert "Tabs: Log" in await look(pilot)
        await look(pilot, "enter")
        await panel.workers.wait_for_complete()
        assert "all levels" in await look(pilot)


async def test_the_palette_finds_a_command_by_its_name_in_the_table() -> None:
    async with shown(TrafficLog()) as (panel, pilot):
        await look(pilot, "ctrl+p", *"panel.over")
        await panel.workers.wait_for_complete()
        assert "Panel: Overrides" in await look(pilot)


async def test_the_palette_has_the_command_of_that_name_first() -> None:
    async with shown(TrafficLog(), size=(80, 60)) as (_, pilot):
        for query in ("hold", "Hol"):
            found = [line.split() for line in (await palette(pilot, query)).splitlines()]
            assert next(line for line in found if line[:1] == ["Holding:"]) == ["Holding:", "Hold"]
            await look(pilot, "escape")


async def palette(pilot: Pilot[int], query: str = "") -> str:
    """Open the palette, type, and return the screen."""
    await look(pilot, "ctrl+p", *query)
    await pilot.app.workers.wait_for_complete()
    return await look(pilot)


async def chosen(pilot: Pilot[int]) -> str:
    """Run the first command of the palette, and return the screen."""
    await look(pilot, "enter")
    await pilot.app.workers.wait_for_complete()
    return await look(pilot)


async def test_the_palette_says_why_a_command_would_do_nothing() -> None:
    log = TrafficLog()
    async with shown(log, size=(80, 60)) as (panel, pilot):
        screen = await palette(pilot, "traffic.open")
        assert "enter  does nothing now: no exchange is selected" in screen
        assert "no exchange is selected" in await chosen(pilot)
        small_pull(log)
        assert "enter Open" in await look(pilot), "what became possible is in the footer"
        screen = await palette(pilot, "traffic.open")
        assert "enter  Show the exchange or group in full" in screen
        await look(pilot, "escape")
        assert len(panel.screen_stack) == 1


async def test_the_palette_runs_a_command_of_another_tab() -> None:
    async with shown(TrafficLog(), size=(80, 30)) as (_, pilot):
        assert "c  Choose a fault and add a rule  (in Faults)" in await palette(pilot, "faults.add")
        assert "Choose fault" in await chosen(pilot)
        await look(pilot, "escape")
        assert "No rules: everything works." in await look(pilot)


async def test_the_palette_has_every_command() -> None:
    async with shown(TrafficLog()) as (panel, _):
        offers = PanelCommands(panel.screen)._offers()
        assert {each.command.id for each in offers} == {*BY_ID} - {"panel.palette"}
        reasons = {each.command.id: each.reason for each in offers}
        assert reasons["form.submit"] == 'only in the dialogue "Rule form"'
        assert reasons["blobs.verify"] == "no blobs yet"
        assert [each.rank for each in offers] == sorted(each.rank for each in offers)


@pytest.mark.parametrize("text", ["ctrl+z", "^z", "Ctrl+Z"])
async def test_the_help_finds_the_command_of_a_key(text: str) -> None:
    async with shown(TrafficLog()) as (_, pilot):
        screen = await look(pilot, "?", "/", *text)
        assert screen.splitlines()[4].split()[1:3] == ["ctrl+z", "Undo"]


async def test_the_help_finds_words_and_single_keys() -> None:
    async with shown(TrafficLog()) as (_, pilot):
        screen = await look(pilot, "?", "/", "N")
        assert screen.splitlines()[4].split()[1:5] == ["N", "Fail", "next", "with…"], "the key first"
        screen = await look(pilot, "backspace", *"waterfall")
        assert "Show or hide the timing waterfall" in screen
        assert "Hide routine" not in screen
        assert "No matching commands." in await look(pilot, *"xyz")
        assert "In this view" in await look(pilot, "escape")
        assert "In this view" not in await look(pilot, "q")


@pytest.mark.parametrize(
    ("keys", "first"), [("1", "Holding"), ("2", "Faults"), ("3", "Blobs"), ("4", "Tree"), ("5", "Log")]
)
async def test_the_help_begins_with_the_current_view(keys: str, first: str) -> None:
    async with shown(TrafficLog(), size=(80, 90)) as (_, pilot):
        screen = await look(pilot, keys, "?")
        words = [line.strip("│ ") for line in screen.splitlines()]
        assert words.index("In this view") < words.index(first) < words.index("Panel")


def test_the_same_key_in_other_views_is_found_too() -> None:
    assert {"faults.save", "edit.send"} <= {each.id for each in matching("^s", {})}
    assert [each.id for each in matching("f9", {"traffic.follow": "f9"})] == ["traffic.follow"]
    assert {each.id for each in matching("?", {})} == {"panel.help", "help.close"}


async def test_configured_keys_work_and_are_shown_everywhere() -> None:
    keys = keys_from({"traffic": {"follow": "V"}, "panel.help": ["ctrl+g", "z"], "tab.log": "9"})
    assert keys == {"traffic.follow": "V", "panel.help": "ctrl+g,z", "tab.log": "9"}
    async with shown(TrafficLog(), preferences=Preferences(keys=keys)) as (_, pilot):
        screen = await look(pilot)
        assert "V Follow" in screen
        assert "9 Log" in screen
        assert "not following" not in await look(pilot, "F", "?")
        assert "not following" in await look(pilot, "V")
        assert "ctrl+g  z" in await look(pilot, "z", "/", *"panel.help")


async def test_two_commands_can_swap_their_keys() -> None:
    keys = keys_from({"tab.log": "1", "tab.traffic": "5"})
    async with shown(TrafficLog(), preferences=Preferences(keys=keys)) as (_, pilot):
        assert "all levels" in await look(pilot, "1")
        assert "all levels" not in await look(pilot, "5")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"trafic.follow": "f"}, 'unknown command "trafic.follow": did you mean traffic.follow?'),
        ({"traffic": {"fly": "f"}}, 'unknown command "traffic.fly": '),
        ({"traffic": "f"}, 'unknown command "traffic": '),
        (
            {"traffic.follow": "hyperspace"},
            'traffic.follow: unknown key "hyperspace": use, for example, f, F,',
        ),
        ({"traffic.follow": "ctrl+"}, 'traffic.follow: unknown key "ctrl+"'),
        ({"traffic.follow": ""}, 'traffic.follow: unknown key ""'),
        ({"traffic.follow": 7}, "traffic.follow: write a key in quotes, or a list"),
        ({"traffic.follow": []}, "traffic.follow: write a key in quotes, or a list"),
        ({"traffic.follow": "q"}, 'key "q" is used by both traffic.follow and panel.quit'),
        ({"traffic.follow": "j"}, 'key "j" is used by both move.down and traffic.follow'),
        ({"panel.help": "Z", "panel.quit": "Z"}, 'key "Z" is used by both panel.help and panel.quit'),
        (
            {"traffic.follow": "question_mark"},
            'key "question_mark" is used by both traffic.follow and panel.help',
        ),
    ],
)
def test_invalid_keys_are_reported_in_one_line(table: dict[str, object], told: str) -> None:
    with pytest.raises(KeysError) as caught:
        keys_from(table)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


def test_tabs_of_their_own_may_use_the_same_key() -> None:
    assert keys_from({"log.level": "enter", "log.follow": "escape"})


@pytest.mark.parametrize(
    "key", ["f", "F", "?", ",", "f2", "ctrl+f", "alt+x", "ctrl+shift+up", "pagedown", "space"]
)
def test_valid_keys(key: str) -> None:
    table = {"log.level": key}
    if key in ("ctrl+f", "F", "?", "pagedown"):
        with pytest.raises(KeysError, match="is used by both"):
            keys_from(table)
    else:
        assert "log.level" in keys_from(table)


async def test_the_footer_cuts_no_key_and_always_shows_the_help() -> None:
    log = TrafficLog()
    small_pull(log)
    titles = tuple(command.title for command in COMMANDS if command.footer)
    async with shown(log) as (panel, pilot):
        for width in (80, 60, 40, 24, 100, 160):
            await pilot.resize_terminal(width, 24)
            await look(pilot)
            keys = lines(panel)[-1]
            assert "? Help" in keys
            assert keys.endswith(titles), keys
        assert "q Quit" in keys


async def test_hints_name_the_current_keys() -> None:
    keys = keys_from({"traffic.mark": "M", "faults.add": "v", "traffic.filter-toggle": "f5"})
    async with shown(TrafficLog(), preferences=Preferences(keys=keys)) as (panel, pilot):
        await look(pilot, "U")
        assert "nothing is marked; M marks" in said(panel)
        screen = await look(pilot, "2")
        assert "  v  add a rule" in screen
        assert "  o  load a scenario file" in screen


def test_every_hint_names_a_command() -> None:
    for path in Path(brokenreg.tui.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for name in re.findall(r"\{([a-z]+\.[a-z-]+)\}", node.value):
                    assert name in BY_ID, (path.name, name)
