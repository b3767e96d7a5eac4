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
from brokenreg.tui.commands import COMMANDS, TABS, area
from brokenreg.tui.disabled_reasons import disabled_reasons
from brokenreg.tui.keys import key_name

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
async def test_every_key_of_a_tab_does_something_or_says_why_not(tab: str, scene: Scene) -> None:
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
                assert why[0] in told, command.id


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
        (nothing, ("enter",), "there is no exchange under the cursor"),
        (nothing, ("\\",), "there is no filter; / sets one"),
        (nothing, ("escape",), "this is the list already"),
        (nothing, ("0",), "no rule is enabled, and this key has disabled none"),
        (nothing, ("2", "enter"), "there is no rule here; c adds one, o loads a scenario file"),
        (nothing, ("3", "v"), "there is no blob here"),
        (nothing, ("4", "R"), "there is nothing here"),
        (nothing, ("4", "/", *"x", "enter", "R"), "there is nothing here; escape shows all names"),
        (nothing, ("i", "ctrl+r"), "there are no breakpoints; type one, and enter adds it"),
        (repository, ("g", "j", "n"), "this is a heading, not an exchange; j and k move, space folds"),
        (repository, ("enter", "enter"), "it is shown in full already; escape goes back to the list"),
        (repository, ("l",), "no exchange is shown in full; enter shows it"),
        (repository, ("2", "enter"), "it has several faults, and the form has one"),
        (repository, ("2", "K"), "it is evaluated first already"),
        (repository, ("2", "j", "J"), "it is evaluated last already"),
        (repository, ("3", "enter", "enter"), "it is open already; escape goes back to the list"),
        (
            repository,
            ("4", "y"),
            "a tag, a manifest or an index can be pulled; right and j lead to them",
        ),
        (repository, ("4", "h"), "it is closed already, and below nothing"),
        (repository, ("4", "j", "j", "l", "l", "R"), "cached tags are the upstream's"),
    ],
)
async def test_what_is_said(scene: Scene, keys: tuple[str, ...], told: str) -> None:
    async with registry(TrafficLog()) as runtime:
        await scene(runtime)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await look(pilot)
            assert told in await after(pilot, *keys)


async def test_it_is_said_once_however_often_a_key_is_pressed() -> None:
    async with shown(TrafficLog()) as (_, pilot):
        assert (await after(pilot, "n", "n", "n")).count("under the cursor") == 1


async def test_over_a_dialogue_the_panel_says_nothing() -> None:
    async with shown(TrafficLog()) as (_, pilot):
        assert not await after(pilot, "?", "0", "n", "\\")
        assert not await after(pilot, "escape", "/", "escape"), "escape left the filter, and did no more"
