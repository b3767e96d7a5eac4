"""Each change to the rules can be undone and redone, unless the same rules were changed since."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.rules.scenario import ScenarioError
from brokenreg.rules.scenario_text import decode_scenario
from brokenreg.runtime.errors import RefusedError
from brokenreg.runtime.operations import Access, Change, Operations, RulesChange
from brokenreg.runtime.runtime import Runtime


def named(name: str, **more: Any) -> Rule:
    return rule_of({"name": name, "fault": "error", **more})


class Setting:
    """A registry with the rules a, b and c; ours are the operations whose changes are recorded."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.theirs = Operations(runtime, Access.FULL)
        self.ours = Operations(runtime, Access.FULL)
        self.changes: list[Change] = []
        self.a, self.b, self.c = (self.theirs.add_rule("", named(each), "test").id for each in "abc")
        self.ours.on_change = self.changes.append

    @property
    def last(self) -> RulesChange:
        change = self.changes[-1].rules
        assert change is not None
        return change

    def state(self) -> list[tuple[object, ...]]:
        """Everything about the rules of all namespaces, with their identity and counters."""
        books = self.runtime.rules
        rules = [
            (name, each.id, each.rule.written(), each.applied, each)
            for name in books.namespaces()
            for each in books.book(name)
        ]
        scenario = books.book("").scenario()
        return [*rules, (scenario.name, scenario.seed, scenario.expect), *books.switched_off]


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    settings = Settings(listen=["127.0.0.1:0"], control="off", data=tmp_path / "data", offline=True)
    async with Server.running(settings, Diagnostics()) as server:
        setting = Setting(server.runtime)
        next(iter(server.runtime.rules.book(""))).applied = 7
        yield setting


SCENARIO = b"{name: mine, seed: 5, rules: [{fault: latency}], expect: [{filter: 'status:200', at_least: 1}]}"


async def load(setting: Setting) -> None:
    await setting.ours.load_scenario("", lambda: decode_scenario(SCENARIO, "mine.yaml"), "mine.yaml")


CHANGES: dict[str, Callable[[Setting], Any]] = {
    "add": lambda s: s.ours.add_rule("", named("d"), "panel"),
    "add first": lambda s: s.ours.add_rule("", named("d"), "panel", first=True),
    "add in a namespace": lambda s: s.ours.add_rule("team", named("d"), "panel"),
    "override": lambda s: s.ours.add_rule("", named("d", override=True), "panel"),
    "edit": lambda s: s.ours.replace_rule("", s.a, named("A"), "panel"),
    "disable": lambda s: s.ours.set_rule_enabled("", s.a, enabled=False),
    "remove": lambda s: s.ours.remove_rule("", s.b),
    "move": lambda s: s.ours.move_rule("", s.a, 2),
    "clear": lambda s: s.ours.clear_rules(""),
    "disable all": lambda s: s.ours.switch_all_rules(),
    "load": load,
}
changes = pytest.mark.parametrize("name", CHANGES)


async def change(setting: Setting, name: str) -> None:
    done = CHANGES[name](setting)
    if name == "load":
        await done


@changes
async def test_undo_and_redo_leave_no_trace(setting: Setting, name: str) -> None:
    before = setting.state()
    await change(setting, name)
    after = setting.state()
    assert after != before
    setting.ours.restore_rules(setting.last)
    assert setting.state() == before
    setting.ours.restore_rules(setting.last.reverse)
    assert setting.state() == after
    setting.ours.restore_rules(setting.last)
    assert setting.state() == before


async def test_all_changes_can_be_undone_in_turn(setting: Setting) -> None:
    states = []
    for name in ("add", "edit", "disable", "remove", "move", "disable all", "clear", "load"):
        if name not in ("remove", "move"):
            states.append(setting.state())
            await change(setting, name)
    for one, state in zip(reversed(setting.changes), reversed(states), strict=True):
        assert one.rules is not None
        setting.ours.restore_rules(one.rules)
        assert setting.state() == state


@pytest.mark.parametrize(
    ("name", "theirs", "told"),
    [
        ("edit", lambda s: s.theirs.replace_rule("", s.a, named("A"), "API"), "A was changed since"),
        ("edit", lambda s: s.theirs.set_rule_enabled("", s.a, enabled=False), "A was changed since"),
        ("edit", lambda s: s.theirs.remove_rule("", s.a), "A was changed since"),
        ("disable", lambda s: s.theirs.set_rule_enabled("", s.a, enabled=True), "a was changed since"),
        ("add", lambda s: s.theirs.clear_rules(""), "d was changed since"),
        ("move", lambda s: s.theirs.move_rule("", s.b, 1), "the order of the rules was changed since"),
        ("remove", lambda s: s.theirs.reset(""), "the rules were reset since"),
        ("disable all", lambda s: s.theirs.switch_all_rules(), "a was changed since"),
        ("load", lambda s: s.theirs.clear_rules(""), " was changed since"),
    ],
)
async def test_a_change_by_others_to_the_same_rule_is_kept(
    setting: Setting, name: str, theirs: Callable[[Setting], Any], told: str
) -> None:
    await change(setting, name)
    theirs(setting)
    before = setting.state()
    with pytest.raises(RefusedError, match=told):
        setting.ours.restore_rules(setting.last)
    assert setting.state() == before


@changes
async def test_changes_by_others_to_other_rules_stay(setting: Setting, name: str) -> None:
    before = setting.state()
    await change(setting, name)
    added = setting.theirs.add_rule("", named("other"), "API")
    setting.ours.restore_rules(setting.last)
    if name != "add in a namespace":
        assert added in list(setting.runtime.rules.book(""))
    setting.theirs.remove_rule("", added.id)
    assert setting.state() == before


async def test_a_removed_rule_returns_to_its_place(setting: Setting) -> None:
    setting.ours.remove_rule("", setting.b)
    setting.theirs.move_rule("", setting.c, -1)
    setting.ours.restore_rules(setting.last)
    assert [each.label for each in setting.runtime.rules.book("")] == ["c", "a", "b"]


async def test_there_are_never_too_many_rules(setting: Setting) -> None:
    setting.ours.remove_rule("", setting.b)
    for _ in range(998):
        setting.theirs.add_rule("", named("x"), "API")
    with pytest.raises(RefusedError, match="more than 1000 rules"):
        setting.ours.restore_rules(setting.last)


async def test_fail_next_is_one_change(setting: Setting) -> None:
    spent = setting.theirs.add_rule("", named("spent", times=1), "fail next")
    spent.applied = 1
    before = setting.state()
    setting.ours.fail_next("", named("next", times=1), "fail next")
    assert len(setting.changes) == 1
    assert spent not in list(setting.runtime.rules.book(""))
    setting.ours.restore_rules(setting.last)
    assert setting.state() == before


async def test_a_failed_change_is_not_recorded(setting: Setting) -> None:
    with pytest.raises(Exception, match="no rule"):
        setting.ours.remove_rule("", 99)
    with pytest.raises((ScenarioError, Exception), match="fault"):
        await setting.ours.load_scenario("", lambda: decode_scenario(b"rules: [{}]", "x"), "x")
    assert not setting.changes
