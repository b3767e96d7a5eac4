"""A key that would do nothing now is not in the footer, and says why when it is pressed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from exchanges import small_pull
from running import registry
from scenes import nothing, pushed_and_cached, ruled, some_blobs, some_traffic
from screen import look, said, shown
from textual.pilot import Pilot

from brokenreg.rules.rule import rule_of
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.areas import TABS, area
from brokenreg.tui.commands import COMMANDS
from brokenreg.tui.disabled_reasons import disabled_reasons
from brokenreg.tui.keys import key_name
from brokenreg.tui.preferences import Preferences

Scene = Callable[[Runtime], Awaitable[None]]

SIZE = (100, 60)
EVERYWHERE = {"move", "tab", "panel"}


async def after(pilot: Pilot[int], *keys: str) -> str:
    """What the notices say after these keys, once all that was looked for has been found."""
    for key in keys:
        await pilot.press(key)
        pilot.app.tick()
        await pilot.app.workers.wait_for_complete()
    await look(pilot)
    return said(pilot.app)


def offered(panel: Panel) -> set[str | None]:
    return {active.binding.id for active in panel.screen.active_bindings.values()}


@pytest.mark.slow
@pytest.mark.parametrize("scene", [nothing, some_traffic, ruled, some_blobs, pushed_and_cached])
@pytest.mark.parametrize("tab", TABS)
async def test_every_key_of_a_tab_has_an_effect_or_a_reason(tab: str, scene: Scene) -> None:
    async with registry(TrafficLog()) as runtime:
        await scene(runtime)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await after(pilot, TABS[tab].key)
            here = [
                each for each in COMMANDS if tab in area(each.area).places and each.area not in EVERYWHERE
            ]
            for command in [each for each in here if each.id not in offered(panel)]:
                key = command.keys.partition(",")[0]
                told = await after(pilot, key)
                assert panel.focused is not None
                why = [*disabled_reasons(panel.focused, key_name(key), {})]
                assert len(why) == 1, (command.id, why)
                assert (why[0] in told) is (key != "escape"), command.id


async def repository(runtime: Runtime) -> None:
    """What was pushed, of two rules one with two faults, and a pull."""
    await pushed_and_cached(runtime)
    small_pull(runtime.log)
    book = runtime.rules.book("")
    book.add(rule_of({"fault": ["throttle", "truncate"]}), "test")
    book.add(rule_of({"fault": "error", "enabled": False}), "test")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scene", "keys", "told"),
    [
        (nothing, ("enter",), "no exchange is selected"),
        (nothing, ("\\",), "no filter is set; / sets one"),
        (nothing, ("0",), "no rules are armed"),
        (nothing, ("2", "enter"), "no rules yet; c adds one, o loads a scenario file"),
        (nothing, ("3", "v"), "no blobs yet"),
        (nothing, ("4", "R"), "no repositories yet"),
        (nothing, ("4", "/", *"x", "enter", "R"), "no matching names or tags; escape shows all names"),
        (nothing, ("i", "ctrl+r"), "no breakpoints; type a filter and press enter to add one"),
        (repository, ("g", "j", "n"), "select an exchange, not a heading; j and k move the cursor"),
        (repository, ("enter", "enter"), "already open; escape goes back to the list"),
        (repository, ("l",), "no exchange is open; enter opens the selected one"),
        (repository, ("2", "enter"), "the rule has several faults; edit it in a scenario file"),
        (repository, ("2", "K"), "the rule is already first"),
        (repository, ("2", "j", "J"), "the rule is already last"),
        (repository, ("3", "enter", "enter"), "already open; escape goes back to the list"),
        (
            repository,
            ("4", "y"),
            "select a tag, manifest or index; space expands a repository",
        ),
        (repository, ("4", "h"), "nothing to collapse"),
        (repository, ("4", "j", "j", "l", "l", "R"), "cached tags belong to the upstream"),
    ],
)
async def test_disabled_reasons(scene: Scene, keys: tuple[str, ...], told: str) -> None:
    async with registry(TrafficLog()) as runtime:
        await scene(runtime)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await look(pilot)
            assert told in await after(pilot, *keys)


@pytest.mark.parametrize(
    "keys",
    [
        ("?",),
        ("L",),
        ("!",),
        ("i",),
        ("/", "o", "k", "enter", "at"),
        ("ctrl+o",),
        ("S",),
        ("2", "c"),
        ("2", "W"),
        ("4", "i"),
        ("4", "g", "l", "j", "enter"),
        ("1", "g", "x"),
    ],
)
async def test_a_dialogue_that_is_closing_can_still_give_its_reasons(keys: tuple[str, ...]) -> None:
    """While Textual removes a dialogue, its footer asks for the keys once more, with the content gone."""
    async with registry(TrafficLog()) as runtime:
        await repository(runtime)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await after(pilot, *keys)
            dialogue = panel.screen
            assert dialogue.is_modal
            await dialogue.query("*").remove()
            assert offered(panel), "escape at least"


async def test_a_reason_is_shown_once() -> None:
    async with shown(TrafficLog()) as (_, pilot):
        assert (await after(pilot, "n", "n", "n")).count("no exchange is selected") == 1


@pytest.mark.parametrize(("key", "name"), [("f7", "f7"), ("Z", "Z"), ("b", "b"), ("colon", ":")])
@pytest.mark.parametrize("tab", TABS)
async def test_a_key_without_a_command_names_the_key_of_the_help(tab: str, key: str, name: str) -> None:
    keys = {"panel.help": "f1"}
    async with shown(TrafficLog()) as (_, pilot):
        reason = await after(pilot, TABS[tab].key, key)
        assert f'no command has the key "{name}" here: ? shows all keys' in reason
    async with shown(TrafficLog(), preferences=Preferences(keys=keys)) as (_, pilot):
        reason = await after(pilot, TABS[tab].key, key)
        assert f'no command has the key "{name}" here: f1 shows all keys' in reason


@pytest.mark.parametrize("tab", TABS)
async def test_escape_is_silent_where_nothing_is_open(tab: str) -> None:
    async with shown(TrafficLog()) as (_, pilot):
        assert not await after(pilot, TABS[tab].key, "escape")


async def test_over_a_dialogue_commands_of_the_panel_are_unknown() -> None:
    async with shown(TrafficLog()) as (_, pilot):
        await after(pilot, "?")
        for key in ("0", "n", "\\"):
            assert (
                await after(pilot, key) == f'no command has the key "{key}" here: the footer shows the keys'
            )
    async with shown(TrafficLog()) as (_, pilot):
        assert not await after(pilot, "/", "escape"), "escape left the filter, and did no more"
        assert 'no command has the key "f9" here: the footer shows the keys' in await after(pilot, "/", "f9")
