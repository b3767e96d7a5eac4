"""The order of rows when exchanges arrive, end, are trimmed, filtered or collapsed."""

from __future__ import annotations

import pytest
from exchanges import NOON, answer, digest, end, exchange, passed, small_pull
from hypothesis import given, settings
from hypothesis import strategies as st
from screen import Clock, line_at_cursor, line_with, lines, look, shown, text

from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.filters import parse_filter
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.upstream_events import Cache
from brokenreg.tui.traffic.cells import progress_bar, span_bar
from brokenreg.tui.traffic.heights import Heights
from brokenreg.tui.traffic.rows import Row, Rows
from brokenreg.tui.traffic.transfer import Transfer
from brokenreg.tui.traffic.view import View

SIZE = (80, 24)
A, B = digest("aa"), digest("bb")


def all_rows(rows: Rows) -> list[Row]:
    return [rows.row_at(line) for line in range(len(rows))]


happenings = st.lists(
    st.tuples(
        st.sampled_from(["come", "end", "look", "toggle"]),
        st.sampled_from(["app/manifests/1", f"app/blobs/{A}", f"web/blobs/{B}", "web/tags/list"]),
        st.integers(0, 30),
    ),
    max_size=120,
)


@settings(deadline=None)
@given(happenings, st.booleans(), st.sampled_from(["", "status:404", "ended:no", "-repo:web"]))
def test_every_line_has_its_row(happenings: list[tuple[str, str, int]], is_grouped: bool, words: str) -> None:
    log = TrafficLog(capacity=25)
    passes = parse_filter(words)
    view = View(passes, is_grouped)
    rows = Rows(log, view)
    for what, path, number in happenings:
        if what == "come":
            exchange(log, f"/v2/{path}", at=number)
        elif what == "end" and number < len(log) and (one := log[log.first + number]).ended is None:
            answer(log, one, 404 if number % 2 else 200)
            end(log, one)
        elif what == "look":
            rows.update(9)
        elif what == "toggle" and number < len(rows) and isinstance(one := rows.row_at(number), Transfer):
            rows.toggle(one)
    rows.update(9)
    shown = all_rows(rows)
    assert [rows.line_of(row) for row in shown] == [*range(len(shown))]
    assert all(map(rows.has, shown))
    wanted = {each for each in log if passes(each)}
    hidden = {
        each for row in shown if isinstance(row, Transfer) and rows.is_collapsed(row) for each in row.members
    }
    assert {row for row in shown if isinstance(row, Exchange)} == wanted - hidden
    headings = [row for row in shown if isinstance(row, Transfer)]
    assert len(set(headings)) == len(headings)
    for row in headings:
        if not rows.is_collapsed(row):
            place = rows.line_of(row)
            members = [each for each in row.members if passes(each)]
            assert shown[place + 1 : place + 1 + len(members)] == members
    if not is_grouped:
        assert shown == [each for each in log if passes(each)]


@given(st.lists(st.one_of(st.integers(0, 5), st.none()), max_size=900), st.integers(0, 8000))
def test_heights_are_what_a_list_says(steps: list[int | None], seed: int) -> None:
    heights, plain = Heights(), list[int]()
    first = 0
    for number, step in enumerate(steps * 2):
        if step is None and first < len(plain):
            plain[first] = 0
            first += 1
            heights.trim()
        elif step is not None:
            heights.append(step)
            plain.append(step)
            changed = first + (seed + number) % (len(plain) - first)
            heights[changed] = plain[changed] = (step + 1) % 4
    assert heights.total == sum(plain)
    line = seed % (heights.total + 1)
    if line < heights.total:
        item, place = heights.item_at(line)
        assert sum(plain[:item]) + place == line
        assert place < plain[item]
        assert heights.line_of(item) == line - place


def retried(log: TrafficLog) -> None:
    """A pull whose layer fails once."""
    for what, status, at in (
        ("manifests/1.2", 200, 0.0),
        (f"blobs/{A}", 503, 0.1),
        (f"blobs/{A}", 200, 0.2),
        (f"blobs/{B}", 200, 0.3),
    ):
        one = exchange(log, f"/v2/library/app/{what}", at=at)
        answer(log, one, status, size=1024)
        end(log, one, after=0.05)
    one.cache = Cache.MISS


async def test_a_pull_has_a_heading_and_space_folds_it() -> None:
    log = TrafficLog()
    retried(log)
    passed(log, "/v2/")
    async with shown(log, size=SIZE) as (panel, pilot):
        screen = await look(pilot, "g")
        assert "▾ 12:00:00 docker/27  PULL library/app:1.2" in line_at_cursor(panel)
        assert "2/2 blobs   ✓   2.0K    350" in line_at_cursor(panel)
        assert "GET blobs/sha256:aa" in screen
        screen = await look(pilot, "space")
        assert "▸ 12:00:00 docker/27  PULL library/app:1.2" in line_at_cursor(panel)
        assert "GET blobs" not in screen
        assert "GET /v2/" in screen
        screen = await look(pilot, "space", "j", "j", "space")
        assert "PULL library/app:1.2" in line_at_cursor(panel), "folded from one of its exchanges"
        assert "GET blobs" not in screen


async def test_a_retry_is_marked() -> None:
    log = TrafficLog()
    retried(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        assert line_with(panel, "503").startswith(" ✗ ")
        assert line_with(panel, "retry 1").startswith(" ↻ ")


async def test_headings_can_be_switched() -> None:
    log = TrafficLog()
    retried(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        assert "PULL" in await look(pilot)
        screen = await look(pilot, "u")
        assert "PULL" not in screen
        assert "GET library/app manifests/1.2" in screen
        assert "PULL" in await look(pilot, "u")
        await look(pilot, "g")
        assert "n Fail next" not in text(panel), "a heading is no request"
        assert "n Fail next" in await look(pilot, "j")


async def test_the_waterfall_shows_when_each_was() -> None:
    log = TrafficLog()
    retried(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        assert "ms Waterfall" not in await look(pilot)
        assert "ms Waterfall" in await look(pilot, "w")
        first, last = line_with(panel, "GET manifests"), line_with(panel, "sha256:bb")
        assert "·" not in first
        assert first.endswith(" 50 █▎")
        assert last.endswith(" 50 ·······█▎")
        assert "ms Waterfall" not in await look(pilot, "w")
        await pilot.resize_terminal(110, 24)
        assert "ms Waterfall" not in await look(pilot), "as it was asked for"
        await look(pilot, "w")
        assert "miss" in text(panel)


@pytest.mark.slow
async def test_the_waterfall_is_there_from_100_columns_on() -> None:
    """Also where details take a third of the screen."""
    log = TrafficLog()
    retried(log)
    for width in (99, 100, 119, 120, 149, 150):
        async with shown(log, size=(width, 24)) as (panel, pilot):
            assert ("ms Waterfall" in await look(pilot)) == (width >= 100), width
            assert "GET blobs/sha256:bb" in text(panel)


@pytest.mark.slow
async def test_the_number_of_newer_exchanges_excludes_headings() -> None:
    log = TrafficLog()
    for place in range(5):
        for seed in ("aa", "bb"):
            passed(log, f"/v2/library/app-{place}/blobs/{digest(seed)}", at=place)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot, "g")
        assert "○ 10 newer" in text(panel), "of 10: the cursor is on a heading"
        assert "○ 9 newer" in await look(pilot, "j")
        assert "○ 8 newer" in await look(pilot, "j")
        assert "○ 8 newer" in await look(pilot, "j")
        assert "○ 6 newer" in await look(pilot, "space"), "those that a heading hides are with it"
        assert "○ 6 newer" in await look(pilot, "j")
        await look(pilot, "u")
        passed(log, "/v2/")
        assert "○ 11 newer" not in await look(pilot, "g")
        assert "○ 10 newer" in text(panel)


async def test_columns_stay_aligned_when_the_waterfall_appears() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        for keys in ((), ("w",), ("w",)):
            await look(pilot, *keys)
            column = lines(panel)[2].index(" Status ") + 4
            assert line_with(panel, "GET /v2/ ")[column : column + 3] == "200"


async def test_exchanges_in_flight_show_their_progress() -> None:
    log, clock = TrafficLog(), Clock(NOON + 3)
    small = exchange(log, f"/v2/library/app/blobs/{A}", at=0.0)
    answer(log, small, size=4200, of=10_000)
    other = exchange(log, f"/v2/library/app/blobs/{B}", at=1.0)
    async with shown(log, clock, size=SIZE) as (panel, pilot):
        await look(pilot)
        assert "██▌···42%" in line_with(panel, "sha256:aa")
        assert "0/2 blobs   …  4/10K   3000" in line_with(panel, "PULL")
        small.held_since = NOON + 2
        log.held(small)
        await look(pilot)
        assert line_with(panel, "HELD").startswith(" ⏸ ")
        assert " ⏸ " in line_with(panel, "PULL")
        small.held_since = None
        end(log, small, ended=Ended.DISCONNECTED)
        end(log, other)
        await look(pilot)
        assert " ✗ " in line_with(panel, "PULL")


async def test_a_filter_keeps_the_headings_of_matches() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await pilot.press("slash", *"ref", "colon", "asterisk", *"9f2c", "asterisk", "enter")
        await look(pilot)
        assert "PULL library/app:1.2" in text(panel)
        assert text(panel).count("GET") == 1


def test_bars() -> None:
    assert span_bar(0, 10, (0, 10), 4) == "████"
    assert span_bar(5, 10, (0, 10), 4) == "··██"
    assert span_bar(10, 10, (0, 10), 4) == "···▏"
    assert span_bar(0, 0, (0, 0), 4) == "▏   "
    assert progress_bar(42, 100) == "██▌···42%"
    assert progress_bar(0, 0) == "█████100%"


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e9), st.integers(8, 30))
def test_a_bar_fits(start: float, end: float, first: float, last: float, width: int) -> None:
    assert len(span_bar(start, end, (first, last), width)) == width
    assert len(progress_bar(int(start), int(end))) == 9
