"""The filter of the list of exchanges: input, completion, errors, and switching it off and on."""

from __future__ import annotations

import copy
import gc
import itertools
import time

import pytest
from exchanges import answer, end, exchange, passed, small_pull
from screen import line_at_cursor, line_with, lines, look, shown, text
from textual import events
from textual.pilot import Pilot

from brokenreg.traffic.bodies import Body, Kept
from brokenreg.traffic.filter_keys import KEYS
from brokenreg.traffic.filters import parse_filter
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.preferences import Preferences
from brokenreg.tui.traffic.completion import advice, candidates, values_of
from brokenreg.tui.traffic.filter_memory import named_filters
from brokenreg.tui.traffic.rows import Rows
from brokenreg.tui.traffic.table import TrafficTable
from brokenreg.tui.traffic.view import View

SIZE = (80, 24)


async def write(pilot: Pilot[int], words: str, *keys: str) -> str:
    """Paste `words` into the filter, press `keys`, and see."""
    await pilot.press("slash")
    await pilot.pause()
    assert pilot.app.focused is not None
    pilot.app.focused.post_message(events.Paste(words))
    return await look(pilot, *keys)


async def test_a_filter_shows_matches_and_is_indicated() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        assert "esc Cancel" in await look(pilot, "/")
        await look(pilot, "escape")
        screen = await write(pilot, "ep:manifest -client:docker", "enter")
        assert "tools/edge" in screen
        assert "team/web" in screen
        assert "library/app" not in screen
        assert "/ ep:manifest -client:docker" in lines(panel)[1]
        assert "esc Cancel" not in screen
        passed(log, "/v2/library/app/manifests/other")
        new = exchange(log, "/v2/library/new/manifests/1", agent="skopeo/1.16")
        screen = await look(pilot)
        assert "library/new" in line_at_cursor(panel), "new ones are filtered as they come"
        assert "other" not in screen
        end(log, new)
        screen = await look(pilot, "backslash")
        assert "/ off: ep:manifest -client:docker" in screen
        assert "other" in screen
        screen = await look(pilot, "backslash")
        assert "/ ep:manifest" in screen
        assert "other" not in screen


@pytest.mark.slow
async def test_changed_exchanges_are_filtered_again() -> None:
    log = TrafficLog()
    passed(log, "/v2/library/old/manifests/1")
    waiting = exchange(log, "/v2/library/app/manifests/1")
    async with shown(log, size=SIZE) as (_, pilot):
        assert "library/app" in await write(pilot, "ended:no | status:5xx", "enter")
        answer(log, waiting, 200)
        end(log, waiting)
        screen = await look(pilot)
        assert "library/app" not in screen
        assert "No matching exchanges." in screen
        late = exchange(log, "/v2/library/late/manifests/1")
        answer(log, late, 503)
        end(log, late)
        assert "library/late" in await look(pilot)


async def test_invalid_expressions_are_reported_during_input() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        screen = await write(pilot, "colour:red")
        assert '✗ unknown key "colour"' in screen
        assert '✗ unknown key "colour"' in await look(pilot, "enter"), "it stays open"
        assert "library/app" in await look(pilot, "escape")
        assert "colour" not in text(panel)


async def test_escape_keeps_the_filter_unchanged() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await write(pilot, "status:404", "enter")
        screen = await write(pilot, " x", "escape")
        assert lines(panel)[1].endswith("/ status:404")
        assert "tools/edge" in screen
        assert "library/app" not in screen
        screen = await write(pilot, "", "ctrl+u", "enter")
        assert "library/app" in screen
        assert "/ " not in lines(panel)[1]


@pytest.mark.slow
async def test_keys_and_values_are_completed() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await write(pilot, "sta", "tab")
        assert "404" in line_with(panel, "5xx"), "what was seen is offered, and what there always is"
        await look(pilot, "4", "tab", "enter")
        assert lines(panel)[1].endswith("/ status:404")
        await look(pilot, "/", "ctrl+u")
        await look(pilot, *"repo", "colon", "l", "tab", "enter")
        assert lines(panel)[1].endswith("/ repo:library/app")


async def test_the_cursor_stays_with_its_exchange() -> None:
    log = TrafficLog()
    for number in range(100):
        passed(log, f"/v2/library/app/manifests/n{number}", status=404 if number % 3 == 0 else 200)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot, *["k"] * 3)
        assert "manifests/n96 " in line_at_cursor(panel)
        await write(pilot, "status:404", "enter")
        assert "manifests/n96 " in line_at_cursor(panel)
        await look(pilot, "k")
        assert "manifests/n93 " in line_at_cursor(panel)
        await look(pilot, "backslash")
        assert "manifests/n93 " in line_at_cursor(panel)


async def test_removed_exchanges_leave_the_list() -> None:
    log = TrafficLog()
    for number in range(10):
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=SIZE) as (_, pilot):
        await look(pilot, "k")
        log.forget(lambda each: each.id % 2 == 1)
        screen = await look(pilot)
        assert "manifests/n9 " in screen
        assert "manifests/n8 " not in screen
        log.forget(lambda each: True)
        assert "No exchanges yet" in await look(pilot)


@pytest.mark.slow
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_hundred_thousand_are_filtered_in_slices(
    is_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a busy machine, where a timer of Textual that is late from its start never calls back."""
    log = TrafficLog(100_000, memory=1 << 30)
    one = passed(log, "/v2/library/app/manifests/n")
    while len(log) < 100_000:
        another = copy.copy(one)
        another.id = log.next_id()
        log.opened(another)
    passed(log, "/v2/library/app/manifests/last", status=503)
    async with shown(log, size=SIZE) as (panel, pilot):
        table = panel.query_one(TrafficTable)
        if is_late:
            monkeypatch.setattr(TrafficTable, "set_timer", lambda *_, **__: None)
        table.show_only(parse_filter("status:5xx"))
        panel.tick()
        assert table.progress is not None
        assert table.progress < 0.5, "one slice is not the whole"
        while table.progress is not None:
            await pilot.pause()
        await look(pilot)
        assert "manifests/last" in line_at_cursor(panel)


def test_a_slice_ends_in_time() -> None:
    log = TrafficLog(100_000, memory=1 << 30)
    for number in range(1000):
        passed(log, f"/v2/library/app/manifests/n{number}", status=404 if number % 2 else 200)
    times = itertools.count()
    rows = Rows(log, View(parse_filter("status:404")), lambda: float(next(times)))
    slices = 1
    while not rows.update(5):
        slices += 1
        assert round(rows.progress * 1000) == 20 * (slices - 1)
    assert slices == 51
    assert len(rows) == 500


def test_completion_of_keys_and_values() -> None:
    log = TrafficLog()
    small_pull(log)
    values = values_of(log)
    assert candidates("", values) == []
    assert candidates("ref:ni", values) == ["ref:nightly"]
    assert candidates("header.u", values) == ["header.user-agent:"]
    assert candidates("sta", values) == ["status:"]
    assert candidates("x -sta", values) == ["x -status:"]
    assert candidates("status:40", values) == ["status:404"]
    assert candidates("a|client:sko", values) == ["a|client:skopeo"]
    assert candidates("fault:t", values) == ["fault:timeout"]
    assert candidates('client:"docker', values) == ["client:docker"]
    assert "library/app" in advice("repo:", values)
    assert advice("status:404", values).startswith("status: 404, 4xx")
    assert set(values) == set(KEYS)


def test_completion_does_not_offer_unprintable_values() -> None:
    log = TrafficLog()
    exchange(log, "/v2/", agent="evil\x1b[31m/1")
    exchange(log, "/v2/", agent='a"b/1')
    assert set(values_of(log)["client"]) == {"127.0.0.1"}


@pytest.mark.slow
async def test_incomplete_values_are_not_reported() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log) as (_, pilot):
        screen = await look(pilot, "/", *"status:2xx ep:lay")
        assert "✗" not in screen.splitlines()[-2]
        assert "endpoint: blob, connect, ping, token, manifest" in " ".join(screen.split())
        assert '✗ invalid endpoint "layx"' in await look(pilot, "x")
        assert '✗ unknown key "colour"' in await look(pilot, "ctrl+a", *"colour:red ", "end", "backspace")


async def test_filters_are_remembered() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        for words in ("status:404", "client:docker", "status:404"):
            await write(pilot, words, "enter")
            await write(pilot, "", "ctrl+u", "enter")
        assert "status:404" in (await look(pilot, "/")).splitlines()[-3], "the last one is offered"
        assert "client:docker" in (await look(pilot, "up")).splitlines()[-3]
        screen = await look(pilot, "down", "enter")
        assert lines(panel)[1].endswith("/ status:404")
        assert "library/app" not in screen
        await look(pilot, "/", *" x", "up", "down")
        assert "status:404 x" in text(panel), "what was typed is not lost"
        await look(pilot, "escape", "/", "ctrl+u", "enter")
        await look(pilot, "/", *"held", "colon", *"true", "enter")
        assert lines(panel)[1].endswith("/ held:true"), "typing replaces what is offered"
        assert "no later filters" in await look(pilot, "/", "down")


async def test_a_filter_of_the_configuration_has_a_name_from_the_start() -> None:
    log = TrafficLog()
    small_pull(log)
    filters = named_filters({"lost": "status:404"})
    async with shown(log, size=SIZE, preferences=Preferences(filters=filters)) as (panel, pilot):
        assert "@lost  status:404" in await look(pilot, "at")
        await look(pilot, "escape", "/", "ctrl+u", *"@lost", "enter")
        assert lines(panel)[1].endswith("/ status:404")


async def test_a_filter_with_a_name_is_recalled() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        assert "no named or recent filters; / sets one" in (await look(pilot, "at"))
        await write(pilot, "status:404", "ctrl+s", *"not found")
        assert 'invalid name "not found"' in text(panel)
        await look(pilot, "ctrl+u", *"lost", "enter")
        assert "the filter has the name @lost" in text(panel)
        await look(pilot, "ctrl+u", *"held", "colon", *"true", "enter")
        await look(pilot, "/", "ctrl+u", *"@los")
        assert "@lost" in text(panel).splitlines()[-2], "it is completed"
        assert "status:404" in (await look(pilot, "tab")).splitlines()[-2], "and explained"
        panel.clear_notifications()  # a notice covers the line of tabs
        screen = await look(pilot, "enter")
        assert lines(panel)[1].endswith("/ status:404")
        assert "tools/edge" in screen
        assert '✗ no filter has the name "losd": did you mean lost?' in await write(
            pilot, "", "ctrl+u", *"@losd"
        )
        assert "@lost" in (await look(pilot, "ctrl+u", "at")).splitlines()[-2], "all names"
        screen = await look(pilot, "escape", "at")
        assert "@lost  status:404" in screen
        assert "held:true" in screen
        await look(pilot, *"held", "enter")
        assert lines(panel)[1].endswith("/ held:true")
        screen = await look(pilot, "at", *"lost", "ctrl+r", "ctrl+u")
        assert "@lost" not in screen
        assert "No matching filters." in await look(pilot, "ctrl+r")


async def test_breakpoints_are_completed() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log) as (_, pilot):
        screen = await look(pilot, "i")
        assert "status:5xx ep:layer" in screen
        await look(pilot, *"repo", "colon", "t", "o", "tab")
        assert "✗" not in await look(pilot)
        assert "repo:tools/edge" in await look(pilot, "enter")
        assert "✗ body is not valid here" in await look(pilot, *"body", "colon", "x")


async def test_a_filter_searches_recorded_bodies() -> None:
    log = TrafficLog()
    for number, body in enumerate((b'{"errors":[{"code":"DENIED"}]}', b"{}")):
        one = exchange(log, f"/v2/library/app{number}/manifests/1")
        answer(log, one, 403, size=len(body))
        log.bodies.keep(one, Kept(response=Body(body, len(body))))
        end(log, one)
    going = exchange(log, "/v2/library/going/manifests/1")
    async with shown(log, size=SIZE) as (_, pilot):
        screen = await write(pilot, 'body:"code":"denied', "enter")
        assert "body" in screen
        screen = await write(pilot, "", "ctrl+u", *"body", "colon", *"denied", "enter")
        assert "library/app0" in screen
        assert "library/app1" not in screen
        assert "library/going" not in screen
        log.bodies.keep(going, Kept(response=Body(b"Denied!", 7)))
        end(log, going)
        assert "library/going" in await look(pilot)


@pytest.mark.slow
def test_searching_bodies_keeps_the_loop_free() -> None:
    log = TrafficLog(memory=4 << 30)
    body = Kept(response=Body(b"ab" * 32768, 65536))
    for number in range(10_000):
        log.bodies.keep(passed(log, f"/v2/library/app/manifests/n{number}"), body)
    passes = parse_filter("body:zz | body:abc | body:abb | body:aba", bodies=log.bodies)
    gc.disable()
    try:
        assert min(_longest_slice(Rows(log, View(passes))) for _ in range(3)) < 0.02
    finally:
        gc.enable()


def _longest_slice(rows: Rows) -> float:
    """Return the processor time in seconds of the longest slice in which bodies are searched."""
    longest = 0.0
    is_done = False
    while not is_done:
        start = time.process_time()
        is_done = rows.update(0.008)
        longest = max(longest, time.process_time() - start)
    assert len(rows) == 10_000
    return longest
