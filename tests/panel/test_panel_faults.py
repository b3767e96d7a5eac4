"""Faults with keys: rules and their forms, overrides, rules from exchanges, disabling all, scenario files."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from screen import Clock, line_with, look, said, settled
from textual.pilot import Pilot

from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.rules.rule import rule_of
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.scenario import Scenario
from brokenreg.rules.scenario_text import load_scenario, write_scenario
from brokenreg.tui.app import Panel
from brokenreg.tui.faults.fields import fields_of, rule_from, texts_of
from brokenreg.tui.faults.overrides import usual
from brokenreg.tui.listing import Listing
from brokenreg.tui.saving import save

MANIFEST = "/v2/broken/random/manifests/layers-1_size-1kib"


def flat(screen: str) -> str:
    """What is said on a screen, without the frames and the ends of lines."""
    return " ".join(re.sub("[│▌]", " ", screen).split())


class Bench:
    """A real registry, a panel on it, and a client for it."""

    def __init__(self, server: Server, pilot: Pilot[int], client: httpx.AsyncClient) -> None:
        self.books = server.runtime.rules
        self.pilot = pilot
        self.client = client

    @property
    def book(self) -> RuleBook:
        return self.books.book("")

    async def press(self, *keys: str) -> str:
        await look(self.pilot, *keys)
        return await look(self.pilot)

    async def typed(self, text: str) -> str:
        return await self.press(*text)

    async def get(self, path: str = MANIFEST) -> int:
        status = (await self.client.get(path)).status_code
        await look(self.pilot)
        return status

    async def settled(self) -> str:
        return await settled(self.pilot)


@asynccontextmanager
async def bench(folder: Path, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Bench]:
    settings = Settings(
        listen=["127.0.0.1:0"], control=None, data=folder / "data", fabricate_limit="1GiB", offline=True
    )
    async with Server.running(settings, Diagnostics()) as server:
        panel = Panel(server.runtime, clock=Clock())
        async with (
            panel.run_test(size=size, notifications=True) as pilot,
            httpx.AsyncClient(
                base_url=server.registry_urls[0], headers={"user-agent": "crane/0.20 (x)"}
            ) as client,
        ):
            yield Bench(server, pilot, client)


async def test_only_the_next_request_like_this_fails(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        assert await it.get() == 200
        screen = await it.press("n")
        assert "FAULT 503×1 armed" in screen
        assert "the next similar request fails with error" in said(it.pilot.app)
        assert await it.get("/v2/broken/random/manifests/layers-2_size-1kib") == 200
        assert (await it.client.get(MANIFEST, headers={"user-agent": "skopeo/1"})).status_code == 200
        assert await it.get() == 503
        assert await it.get() == 200
        assert "armed" not in await it.press()
        await it.press("n")
        await it.press("n")
        assert len(it.book) == 2, "a rule that was applied makes room"


async def test_a_rule_for_the_next_request_is_evaluated_first(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.book.add(rule_of({"fault": {"type": "error", "status": 418}}), "test")
        assert await it.get() == 418
        await it.press("n")
        assert [await it.get(), await it.get()] == [503, 418]


@pytest.mark.slow
async def test_the_next_request_may_use_another_name_of_the_manifest(tmp_path: Path) -> None:
    """docker asks HEAD of the tag and GET of the digest; whichever is chosen, whichever comes next fails."""
    async with bench(tmp_path) as it:
        head = await it.client.head(MANIFEST)
        by_digest = MANIFEST.replace("layers-1_size-1kib", head.headers["docker-content-digest"])
        assert await it.get(by_digest) == 200
        for keys in (("G", "n"), ("k", "n")):
            screen = await it.press(*keys)
            assert "sha256:" in screen
            assert (await it.client.get(by_digest)).status_code == 503
            await it.press(*keys)
            assert (await it.client.head(MANIFEST)).status_code == 503
            await it.press("u")


@pytest.mark.slow
async def test_impossible_failures_are_not_announced(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.get()
        await it.press("N")
        await it.typed("truncate")
        problem = "truncate would have no effect on such a response: the body has"
        assert problem in flat(await it.press("enter")), "its example says 64 KiB"
        assert problem in flat(await it.press("enter")), "and not taken"
        assert problem not in flat(await it.press("end", *["backspace"] * 8, *"100"))
        assert "FAULT truncate×1 armed" in await it.press("enter")
        with pytest.raises(httpx.TransportError):
            await it.get()
        assert "no effect" not in await it.press("n"), "100 bytes are remembered"
        assert "FAULT truncate×1 armed" in await it.press()
        it.book.clear()
        assert (await it.client.get("/v2/")).status_code == 200
        it.pilot.app.clear_notifications()
        screen = flat(await it.press("G", "n"))
        assert problem in screen
        assert "N chooses another fault" in screen
        assert not len(it.book)


async def test_why_does_not_count_faults_without_effect(tmp_path: Path) -> None:
    async with bench(tmp_path, (220, 40)) as it:
        it.book.add(
            rule_of({"fault": {"type": "truncate"}, "match": {"endpoint": "any"}, "times": 1}), "test"
        )
        await it.get()
        screen = flat(await it.press("enter", "h"))
        assert "Rule matched, but its fault had no effect" in screen
        assert "outcome no effect, so not counted: match 1, applied 0 of at most 1" in screen
        assert "total matched 1, applied 0" in screen
        assert "strike 1" not in screen


async def test_requests_without_a_target_cannot_be_made_to_fail(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.get("/nothing[bold]")
        assert "no rule can match this request" in flat(await it.press("n"))
        assert not len(it.book)


@pytest.mark.slow
async def test_another_fault_can_be_chosen_for_the_next_request(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.get()
        await it.press("N")
        screen = await it.typed("too many")
        assert "rate-limit" in screen
        assert "truncate" not in screen
        await it.press(*["backspace"] * 8)
        await it.typed("error")
        screen = await it.press("enter")
        assert "broken/random" not in screen or "status" in screen
        await it.press("end", "backspace", "backspace", "backspace")
        screen = await it.typed("42")
        assert "fault.status:" in screen, "judged as it is typed"
        assert "fault.status:" in await it.press("enter"), "and not taken"
        assert "fault.status:" not in await it.typed("9")
        assert "FAULT 429×1 armed" in await it.press("enter")
        assert [await it.get(), await it.get()] == [429, 200]
        await it.press("n")
        assert await it.get() == 429, "the last fault is remembered"


@pytest.mark.slow
async def test_an_override_is_applied_to_every_request_until_it_is_disabled(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.press("!")
        screen = await it.press("space")
        assert "ON" in line_with(it.pilot.app, "● error status=404")
        assert "FAULT 404 armed" in screen or "404" in screen
        assert "FAULT 404 armed" in await it.press("escape")
        assert await it.get("/v2/") == 404
        await it.press("!", "e")
        assert line_with(it.pilot.app, " endpoint ").split()[2] == "any"
        await it.press("end", "backspace")
        await it.typed("9")
        await it.press("enter", "escape")
        assert await it.get("/v2/") == 409
        assert "armed" not in await it.press("!", "enter", "escape")
        assert await it.get("/v2/") == 200
        await it.press("!", "enter", "escape")
        assert await it.get("/v2/") == 409, "its parameters stay"


async def test_0_disables_all_and_enables_them_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.book.add(rule_of({"fault": {"type": "error", "status": 418}}), "test")
        it.book.add(rule_of({"fault": {"type": "error"}, "enabled": False}), "test")
        it.book.add(rule_of({"fault": {"type": "error", "status": 409}, "override": True}), "test")
        screen = await it.press("0")
        assert "2 RULES DISABLED" in screen
        assert [await it.get(), await it.get("/v2/")] == [200, 200]
        assert "2 FAULTS armed" in await it.press("0")
        assert [await it.get(), await it.get("/v2/")] == [418, 409]
        assert [each.rule.enabled for each in it.book] == [True, False, True]


async def test_0_enables_the_rules_that_0_disabled(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.book.add(rule_of({"fault": {"type": "error", "status": 418}}), "test")
        assert "1 RULE DISABLED" in await it.press("0")
        it.book.add(rule_of({"fault": {"type": "error", "status": 409}}), "test")
        screen = await it.press()
        assert "FAULT 409 armed" in screen
        assert "1 RULE DISABLED" in screen
        assert "1 RULE DISABLED" in await it.press("0")
        assert "FAULT 409 armed" in await it.press("0")
        assert [each.rule.enabled for each in it.book] == [False, True]


@pytest.mark.slow
async def test_rules_are_listed_with_counters_switched_moved_and_removed(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        assert "No rules" in await it.press("2")
        for name, status in (("first", 418), ("second [b]", 429)):
            rule = {"name": name, "fault": {"type": "error", "status": status}, "times": 5}
            it.book.add(rule_of(rule), "test")
        it.book.add(rule_of({"name": "over", "fault": {"type": "error"}, "override": True}), "test")
        await it.get()
        screen = await it.press()
        assert line_with(it.pilot.app, "first").endswith("1/1")
        assert screen.index("second [b]") < screen.index("Override  ") < screen.index(" over ")
        await it.press("J")
        assert [each.rule.name for each in it.book] == ["second [b]", "first", "over"]
        assert "▌● first" in await it.press()
        assert await it.get() == 429
        await it.press("K", "space")
        assert [each.rule.name for each in it.book] == ["first", "second [b]", "over"]
        assert "▌○ first" in await it.press()
        assert await it.get() == 429
        await it.press("space")
        assert await it.get() == 418
        assert "Delete rule first?" in await it.press("d")
        await it.press("n")
        assert len(it.book) == 3
        await it.press("d", "y")
        assert [each.rule.name for each in it.book] == ["second [b]", "over"]


@pytest.mark.slow
async def test_a_rule_is_created_and_changed_in_a_form(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.press("2", "c")
        await it.typed("trunc")
        screen = await it.press("enter")
        assert "after: how much of the body to send" in screen
        await it.typed("64 elephants")
        assert 'fault.after: invalid size "64 elephants": use bytes, such as 1024' in flat(await it.press())
        await it.press("escape")
        assert not len(it.book)
        await it.press("c")
        await it.typed("trunc")
        await it.press("enter")
        await it.typed("64KiB")
        assert "fin, rst or close-notify, by default fin" in flat(await it.press("tab"))
        await it.typed("rs")
        await it.press("right", "enter")
        (made,) = it.book
        assert made.rule == rule_of({"fault": {"type": "truncate", "after": 65536, "end": "rst"}})
        await it.press("enter", "end", "backspace", "down", "down", "down")
        await it.typed("config")
        await it.press("enter")
        (changed,) = it.book
        assert changed.rule.fault[0].parameters()["after"] == 6553
        assert changed.rule.match.endpoint == "config"


async def test_a_form_shows_what_each_field_accepts_and_its_default(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.press("2", "c")
        await it.typed("truncate")
        await it.press("enter")
        assert line_with(it.pilot.app, " end ").split("│")[1].split() == [
            "end",
            "fin",
            "fin,",
            "rst",
            "or",
            "close-notify",
        ]
        said = "(a size such as 64KiB or a share such as 50%, by default 64KiB)"
        assert said in flat(await it.press())
        await it.press(*["down"] * 14)
        assert "unlimited" in line_with(it.pilot.app, "  times ")


async def test_a_form_completes_what_was_seen(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.get()
        await it.press("2", "c", *"latency", "enter", *["down"] * 6)
        assert "Seen: broken/random" in await it.press()
        await it.press("b", "right", "down")
        await it.press("l", "right", "down", "down", "c", "right", "down", "down", *"accept", "right")
        await it.typed(": x, user")
        await it.press("right")
        await it.typed(": y")
        await it.press("enter")
        (made,) = it.book
        assert made.rule.match.model_dump(exclude_none=True) == {
            "repository": "broken/random",
            "reference": "layers-1_size-1kib",
            "client": "crane*",
            "header": {"accept": "x", "user-agent": "y"},
        }


@pytest.mark.slow
async def test_a_reset_while_a_dialogue_is_open_loses_nothing_that_comes_after(tmp_path: Path) -> None:
    scenario = tmp_path / "teapot.yaml"
    scenario.write_text("rules:\n- fault: {type: error, status: 418}\n")
    async with bench(tmp_path, (160, 45)) as it:
        await it.press("2", "o")
        await it.typed(str(scenario))
        it.books.reset("")
        await it.press("enter")
        assert "loaded 1 rule from" in await it.settled()
        assert await it.get() == 418
        await it.press("!")
        it.books.reset("")
        await it.press("space", "escape")
        assert await it.get("/v2/") == 404
        it.book.clear()
        it.book.add(rule_of({"fault": {"type": "error", "status": 418}}), "test")
        await it.press("home", "enter")
        it.books.reset("")
        await it.press("enter")
        assert 'nothing was changed: no rule "' in await it.settled()


@pytest.mark.slow
async def test_a_scenario_is_loaded_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    good, bad, saved = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "saved.yaml"
    good.write_text("rules:\n- name: teapot\n  fault: {type: error, status: 418}\n")
    bad.write_text("rules:\n- fault: {type: truncate, after: much}\n")
    async with bench(tmp_path, (160, 45)) as it:
        it.book.add(rule_of({"name": "there", "fault": {"type": "error"}}), "test")
        await it.press("2", "o")
        await it.typed(bad.name)
        await it.press("enter")
        assert 'bad.yaml:2: rules[0].fault.after: invalid size "much"' in flat(await it.settled())
        assert [each.rule.name for each in it.book] == ["there"]
        await it.press("ctrl+u")
        await it.typed(good.name)
        await it.press("enter")
        assert "teapot" in await it.settled()
        assert await it.get() == 418
        await it.press("W")
        await it.typed(saved.name)
        await it.press("enter")
        await it.settled()
        assert load_scenario(saved).scenario == it.book.scenario()
        saved.write_text("mine")
        await it.press("W")
        await it.typed(saved.name)
        await it.press("enter")
        assert "Overwrite" in await it.settled()
        await it.press("n")
        assert saved.read_text() == "mine"
        await it.press("enter")
        await it.settled()
        await it.press("y")
        await it.settled()
        assert load_scenario(saved).scenario == it.book.scenario()
        assert sorted(each.name for each in tmp_path.iterdir()) == [
            "bad.yaml",
            "data",
            "good.yaml",
            "saved.yaml",
        ]


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_form_parses_the_rule_that_it_shows(name: str) -> None:
    match = {} if CATALOGUE[name].default_endpoint == "connect" else {"header": {"x-a": "b*", "x-c": "*"}}
    rule = rule_of({"fault": usual(name), "match": match, "times": 2, "name": "x"})
    texts = dict(texts_of(rule))
    fields = {field: texts.get(field.id, "") for field in fields_of(CATALOGUE[name])}
    assert rule_from(CATALOGUE[name], fields, enabled=True, override=False) == rule


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_field_of_a_form_says_anything_twice(name: str) -> None:
    for field in fields_of(CATALOGUE[name]):
        assert field.help.count("by default") <= 1, field.help
        assert len(re.findall(r"[0-9,]+ to [0-9,]+", field.help)) <= 1, field.help
        assert "default required" not in field.help, field.help
        for example in ("64KiB", "50%", "1m30s", "glob on"):
            assert field.help.count(example) <= 1 or field.default == example, field.help


@pytest.mark.slow
async def test_every_field_of_a_form_is_visible_and_explained(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        await it.press("2", "c")
        await it.typed("challenge")
        await it.press("enter")
        for field in fields_of(CATALOGUE["challenge"]):
            screen = await it.press()
            assert f"  {field.name} " in screen
            assert f"{field.name}: {field.help[:40]}" in flat(screen)
            await it.press("down")


@given(
    st.lists(st.sampled_from(sorted(CATALOGUE)), max_size=4),
    st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()),
    st.integers(0, 5),
)
def test_a_saved_scenario_is_loaded_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], name: str, skip: int
) -> None:
    rules = tuple(rule_of({"fault": usual(each), "name": name, "skip": skip}) for each in names)
    scenario = Scenario(name=name, seed=skip, rules=rules)
    path = tmp_path_factory.mktemp("saved") / "scenario.yaml"
    save(str(path), write_scenario(scenario), overwrite=False)
    assert load_scenario(path).scenario == scenario
    with pytest.raises(FileExistsError):
        save(str(path), write_scenario(scenario), overwrite=False)


@pytest.mark.slow
async def test_clicks_choose_rules_and_faults_and_a_second_one_opens(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        for name in ("first", "second"):
            it.book.add(rule_of({"name": name, "fault": "error"}), "test")
        await it.press("2")
        await it.pilot.click(Listing, offset=(20, 2))
        await it.press()
        assert line_with(it.pilot.app, "second").startswith("▌")
        await it.pilot.click(Listing, offset=(20, 0), times=2)
        await it.press()
        assert line_with(it.pilot.app, "first").startswith("▌"), "a heading takes no cursor"
        await it.pilot.click(Listing, offset=(20, 2), times=2)
        assert "Edit rule: error" in await it.press()
        await it.press("escape", "c")
        await it.pilot.click(Listing, offset=(20, 1), times=2)
        screen = await it.press()
        assert f"Add rule: {list(CATALOGUE)[1]}" in screen
        assert "Choose fault" not in screen
