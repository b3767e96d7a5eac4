"""Marks stay with their exchanges in every list, until these are removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from exchanges import answer, digest, end, exchange, passed, small_pull
from hypothesis import given
from hypothesis import strategies as st
from screen import line_at_cursor, line_with, lines, look, shown, text
from textual.pilot import Pilot

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.traffic.marks import Marks
from brokenreg.tui.traffic.table import TrafficTable
from brokenreg.tui.traffic.transfer import Transfer

SIZE = (100, 30)
A, B, C = digest("aa"), digest("bb"), digest("cc")


def several(log: TrafficLog, count: int = 10) -> None:
    for number in range(count):
        passed(log, f"/v2/library/app{number}/tags/list")


def pull(log: TrafficLog, *parts: str, at: float = 0.0) -> None:
    for part in parts:
        passed(log, f"/v2/library/app/{part}", at=at)


def said(pilot: Pilot[int]) -> str:
    return "\n".join(each.message for each in pilot.app._notifications)


def marked(panel_lines: list[str]) -> list[str]:
    """The rows with a mark."""
    return [line for line in panel_lines[2:-1] if line[2:3] in ("◆", "◇")]


async def test_a_key_marks_a_row_and_unmarks_it() -> None:
    log = TrafficLog()
    several(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "g", "m", "j", "j", "m")
        assert [line.split()[3] for line in marked(lines(panel))] == ["library/app0", "library/app2"]
        assert line_at_cursor(panel).startswith("▌✓◆12:00:00")
        assert "◆ 2" in lines(panel)[1]
        await look(pilot, "m")
        assert not marked([*lines(panel)[:2], line_at_cursor(panel), ""])
        assert "◆ 1" in lines(panel)[1]
        await look(pilot, "U")
        assert not marked(lines(panel))
        assert "◆" not in lines(panel)[1]


@pytest.mark.slow
async def test_keys_cycle_through_marked_rows() -> None:
    log = TrafficLog()
    several(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "g", "m", "j", "j", "m", *"jjj", "m", "g", "j")
        for key, name in (("'", "app2"), ("'", "app5"), ("'", "app0"), ('"', "app5"), ('"', "app2")):
            await look(pilot, key)
            assert f"library/{name} " in line_at_cursor(panel)


async def test_a_mark_at_a_heading_covers_current_and_future_exchanges() -> None:
    log = TrafficLog()
    pull(log, "manifests/1", f"blobs/{A}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "g", "m")
        assert line_at_cursor(panel).startswith("▌▾◆")
        assert len(marked(lines(panel))) == 3
        pull(log, f"blobs/{B}")
        several(log, 1)
        await look(pilot)
        assert len(marked(lines(panel))) == 4
        assert "◆ 3" in lines(panel)[1]
        await look(pilot, "j", "m")
        assert line_with(panel, "PULL").startswith(" ▾◇"), "some of it"
        await look(pilot, "k", "m")
        assert line_with(panel, "PULL").startswith("▌▾◆")
        await look(pilot, "m")
        assert not marked(lines(panel))
        pull(log, f"blobs/{C}")
        await look(pilot)
        assert not marked(lines(panel))


async def test_collapsed_marks_are_reached_at_their_heading() -> None:
    log = TrafficLog()
    several(log, 2)
    pull(log, "manifests/1", f"blobs/{A}", f"blobs/{B}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "g", "m", "G", "m", "k", "m", "space", "g")
        assert line_with(panel, "PULL").startswith(" ▸◇")
        await look(pilot, "'")
        assert "PULL" in line_at_cursor(panel)
        await look(pilot, "'")
        assert "app0" in line_at_cursor(panel), "two that are folded are one row"


@pytest.mark.slow
async def test_marks_survive_filtering_and_grouping() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "g", "m", "j", "j", "j", "m")
        before = line_at_cursor(panel).split()[4]
        await look(pilot, "u")
        assert len(marked(lines(panel))) == 2
        await look(pilot, "/", *"ep:manifest", "enter")
        (one,) = marked(lines(panel))
        assert before in one
        await look(pilot, "/", *" status:404", "enter")
        await look(pilot, "'")
        assert said(pilot) == "the marked rows are not in this list; \\ shows all"
        panel.clear_notifications()
        await look(pilot, "\\", "u")
        assert "◆ 2" in lines(panel)[1]
        assert len(marked(lines(panel))) == 3, "and the heading of one of them"


async def test_marks_set_without_headings_stay_under_headings() -> None:
    log = TrafficLog()
    pull(log, "manifests/1", f"blobs/{A}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "g", "m", "u", "g", "m")
        (one,) = marked(lines(panel))
        assert "blobs/sha256:aa" in one
        pull(log, f"blobs/{B}")
        await look(pilot)
        await look(pilot, "G", "m", "u")
        assert "◆ 2" in lines(panel)[1], "not twice, and not again"
        assert line_with(panel, "GET manifests/1").startswith(" ✓ ")


async def test_marks_of_trimmed_exchanges_are_removed() -> None:
    log = TrafficLog(capacity=10)
    several(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "g", "m", "G", "m")
        assert "◆ 2" in lines(panel)[1]
        several(log, 3)
        await look(pilot)
        assert "◆ 1" in lines(panel)[1]
        log.forget(lambda each: each.id == 10)
        await look(pilot)
        assert "◆" not in text(panel)
        assert len(panel.query_one(TrafficTable).marks) == 0


async def test_without_marks_keys_give_a_reason() -> None:
    log = TrafficLog()
    async with shown(log, size=SIZE) as (_, pilot):
        await look(pilot)
        await look(pilot, "m")
        assert said(pilot) == "no row is selected"
        await look(pilot, "U")
        assert said(pilot) == "nothing is marked; m marks the selected row"


@pytest.mark.slow
async def test_the_marked_are_exported_as_har(tmp_path: Path) -> None:
    log = TrafficLog()
    several(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        assert "HAR (marked)" not in await look(pilot, "x")
        await look(pilot, "escape", "g", "m", "j", "j", "m", "x")
        assert "HAR (marked)" in await look(pilot, "l", "l", "l")
        await panel.workers.wait_for_complete()
        await look(pilot, "s", "end", "ctrl+u")
        panel.screen.query_one("Input").insert_text_at_cursor(str(tmp_path / "two.har"))
        await pilot.press("enter")
        await panel.workers.wait_for_complete()
    entries = json.loads((tmp_path / "two.har").read_text())["log"]["entries"]
    assert [entry["request"]["url"].split("/")[5] for entry in entries] == ["app0", "app2"]


steps = st.lists(
    st.tuples(st.sampled_from(["come", "join", "mark", "whole", "tick", "clear"]), st.integers(0, 14)),
    max_size=60,
)


@given(steps)
def test_marks_behave_like_a_set(steps: list[tuple[str, int]]) -> None:
    log, marks, plain = TrafficLog(capacity=12), Marks(), set[int]()
    transfer: Transfer | None = None
    is_whole, unseen = False, list[Exchange]()
    for what, number in steps:
        if what == "come":
            made = exchange(log, f"/v2/library/app/blobs/{A}")
            answer(log, made)
            end(log, made)
            unseen.append(made)
        elif what == "join":
            for each in unseen:
                transfer = transfer or Transfer(each)
                transfer.add(each)
                marks.joined(each, transfer)
                plain |= {each.id} if is_whole else set()
            unseen.clear()
        elif what == "mark" and number < len(log):
            one = log[log.first + number]
            its = None if one in unseen else transfer
            is_whole &= its is None or one.id not in plain
            plain ^= {one.id}
            marks.toggle(one, its)
        elif what == "whole" and transfer is not None:
            ids = {each.id for each in transfer.members}
            is_whole = not is_whole
            plain = plain | ids if is_whole else plain - ids
            marks.toggle_whole(transfer)
        elif what == "tick":
            marks.tick(log)
            plain = {each for each in plain if log.find(each) is not None}
        elif what == "clear":
            marks.clear()
            plain, is_whole = set(), False
        assert list(marks) == sorted(plain)
        assert all(each in marks for each in plain)
        if transfer is not None:
            is_any = any(each.id in plain for each in transfer.members)
            assert marks.sign(transfer) == ("◆" if is_whole else "◇" if is_any else " ")
