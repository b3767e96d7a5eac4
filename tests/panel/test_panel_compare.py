"""Two marked pulls, pushes or exchanges are shown side by side, with what differs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from exchanges import DOCKER, LAYER, MANIFEST, NOW, answer, digest, end, exchange
from hostile import HOSTILE, LATIN, rows
from screen import Clock, line_at_cursor, line_with, lines, look, said, settled, shown
from scripted_pull import compared
from serving import PATIENCE
from textual.app import App
from textual.pilot import Pilot

from brokenreg.rules.explanations import explain
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.runtime.operations import Access, Operations
from brokenreg.traffic.bodies import Body, Kept
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.tui.app import Panel
from brokenreg.tui.files.app import FileApp
from brokenreg.tui.saving import LocalFiles
from brokenreg.tui.terminal import OWN_TERMINAL

SIZES = ((80, 24), (200, 50))
CONFIG, A, B, C = map(digest, ("dd", "aa", "bb", "cc"))
SECOND_HEADING = ("f", "g", "m", "space", "j")
"""Keys that mark the first pull and go to the heading of the second one."""


def pulled(
    log: TrafficLog, name: str, *layers: str, at: float, agent: str = DOCKER, method: str = "GET"
) -> list[Exchange]:
    """Add a pull, or with the method PUT a push, of which nothing failed."""
    document = json.dumps(
        {"config": {"digest": CONFIG}, "layers": [{"digest": each, "size": 2048} for each in layers]}
    ).encode()
    found = []
    for part in ("manifests/1.2", *(f"blobs/{each}" for each in (CONFIG, *layers) if method == "GET")):
        each = exchange(log, f"/v2/{name}/{part}", method=method, at=at, agent=agent)
        is_manifest = part.startswith("manifests")
        answer(log, each, 200 if method == "GET" else 201, size=len(document) if is_manifest else 2048,
               kind=MANIFEST if is_manifest else LAYER)  # fmt: skip
        end(log, each)
        if is_manifest:
            body = Body(document, len(document))
            log.bodies.keep(each, Kept(None, body) if method == "GET" else Kept(body, None))
        found.append(each)
    return found


def recovered(log: TrafficLog, at: float) -> list[Exchange]:
    """Add a pull whose second layer was cut, and then requested again."""
    pull = pulled(log, "broken/with/truncate/library/app", A, B, C, at=at)
    cut = pull[3]
    cut.response_bytes, cut.ended, cut.faults = 1024, Ended.ABORTED, ("truncate",)
    again = exchange(log, cut.path, at=at + 2, headers=(("range", "bytes=1024-"),))
    answer(log, again, 206, size=1024, kind=LAYER)
    end(log, again)
    return [*pull, again]


def two_pulls() -> TrafficLog:
    log = TrafficLog()
    pulled(log, "library/app", A, B, C, at=0)
    recovered(log, at=30)
    return log


def signs(app: App[object]) -> list[str]:
    """Return the rows of the comparison, without notes: sign and both requests, with single spaces."""
    found = []
    for line in lines(app):
        inner = line[1:-1] if line.startswith("│") else ""
        if inner[1:2] in ("=", "≠", "◀", "▶") and inner[2:3] == " ":
            found.append(" ".join(inner.lstrip("▌ ").split()))
    return found


@pytest.mark.parametrize("size", SIZES)
async def test_a_pull_that_recovered_from_a_cut_layer_beside_a_healthy_one(size: tuple[int, int]) -> None:
    """The pulls are real: each request went to a registry that serves, and a rule cut the layer."""
    async with compared() as runtime:
        panel = Panel(runtime, clock=lambda: NOW)
        async with panel.run_test(size=size, notifications=True) as pilot:
            await look(pilot)
            seen = await settled(pilot, *SECOND_HEADING, "=")
            assert "Compare two pulls" in seen
            found = signs(panel)
            subjects = ["HEAD manifest", "GET manifest", "GET config", "GET layer 1", "GET layer 2"]
            for line, subject in zip(found[:5], subjects, strict=True):
                left, right = line[2:].split("│")
                assert left.startswith(subject), seen
                assert right.startswith(subject), seen
            assert [line[0] for line in found] == ["=", "=", "=", "=", "≠", "▶", "="]
            cut, again, third = found[4:]
            assert cut.split("│")[0].endswith(" 200 4.0M 453")
            assert cut.split("│")[1].endswith(" 200 1.0M 203")
            assert again.startswith("▶ not requested │↻ GET layer 2")
            assert again.endswith(" 206 3.0M 438")
            assert third.split("│")[1].startswith("GET layer 3")
            words = " ".join(seen.replace("│", " ").split())
            assert "outcome complete ≠ aborted · bytes 4 MiB ≠ 1 MiB · fault none ≠ truncate" in words
            assert "attempts 1 ≠ 2 · timing 453 ms ≠ 203 ms" in words
            assert "events none ≠ faults applied, cut" in words
            assert "right only · attempt 2, 1,172 ms after the one before" in words
            assert (
                "2 of 7 requests differ: right only, outcome, bytes, fault, attempts, timing, events" in words
            )
            assert all(len(line) <= size[0] for line in lines(panel))


async def test_keys_lead_from_difference_to_difference_and_hide_what_is_equal() -> None:
    async with shown(two_pulls()) as (panel, pilot):
        await look(pilot)
        await settled(pilot, *SECOND_HEADING, "=")
        assert "▌= GET manifest" in lines(panel)[5]
        assert "▌≠ GET layer 2" in await settled(pilot, "n")
        assert "▌▶ not requested" in await settled(pilot, "n")
        await settled(pilot, "n")
        assert said(panel) == "no later row differs"
        assert "▌≠ GET layer 2" in await settled(pilot, "N")
        hidden = await settled(pilot, "f")
        assert [line[0] for line in signs(panel)] == ["≠", "▶"]
        assert "equal hidden · 2 of 6 requests differ" in hidden
        await settled(pilot, "f")
        assert len(signs(panel)) == 6


async def test_the_sides_can_be_swapped() -> None:
    async with shown(two_pulls()) as (panel, pilot):
        await look(pilot)
        before = await settled(pilot, *SECOND_HEADING, "=", "n", "n")
        assert before.splitlines()[1].startswith("│   PULL library/app:1.2 ")
        after = await settled(pilot, "s")
        assert after.splitlines()[1].endswith("│PULL library/app:1.2                  │")
        assert [line[0] for line in signs(panel)] == ["=", "=", "=", "≠", "◀", "="]
        assert "▌◀ ↻ GET layer 2" in after
        assert "bytes 1 KiB ≠ 2 KiB" in after
        assert await settled(pilot, "s") == before


async def test_both_exchanges_of_a_row_in_full() -> None:
    log = two_pulls()
    log[3].response_headers += (("date", "today"), ("etag", '"1"'))
    log[8].response_headers += (("date", "tomorrow"), ("etag", '"2"'))
    async with shown(log, size=(120, 50)) as (panel, pilot):
        await look(pilot)
        seen = await settled(pilot, *SECOND_HEADING, "=", "n", "enter")
        found = [" ".join(line.strip("│").split()) for line in lines(panel)]
        assert "GET layer 2, row 4 of 6" in found
        first, rest = found.index("Summary: what differs"), found.index("Summary: the rest")
        assert first < found.index("≠ bytes 2 KiB (2,048 B) │ 1 KiB (1,024 B)") < rest
        assert first < found.index('≠ etag "1" │ "2"') < rest
        assert rest < found.index("~ date today │ tomorrow")
        assert rest < found.index("= status 200")
        assert any(line.startswith("= headers 2.0 ms headers sent") for line in found)
        only = await settled(pilot, "f")
        assert "≠ bytes" in only
        assert "~ date" not in only
        assert "= status" not in only
        await settled(pilot, "f", "n")
        assert "GET layer 2, attempt 2, 1,996 ms after the one before, row 5 of 6" in await look(pilot)
        await settled(pilot, "escape")
        assert "▌▶ not requested" in "\n".join(lines(panel))
        assert seen != await settled(pilot, "q")
        assert "Compare two pulls" not in "\n".join(lines(panel))


async def test_two_exchanges_are_shown_in_full_immediately() -> None:
    log = TrafficLog()
    for status, document in ((200, {"name": "a", "tags": ["1", "2"]}), (200, {"name": "a", "tags": ["1"]})):
        each = exchange(log, "/v2/library/app/tags/list", at=status, agent=f"client/{len(log)}")
        body = json.dumps(document).encode()
        answer(log, each, status, size=len(body))
        end(log, each)
        log.bodies.keep(each, Kept(None, Body(body, len(body))))
    async with shown(log) as (panel, pilot):
        await look(pilot)
        seen = await settled(pilot, "g", "m", "j", "m", "=")
        assert "Compare two exchanges" in seen
        assert '◀ tags[1] "2" │ —' in " ".join(seen.split())
        assert "GET tags" in seen
        await settled(pilot, "n")
        assert "there are no rows: what differs is at the top" in said(panel)
        assert "Compare two" not in await settled(pilot, "escape")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (("g", "="), "nothing to compare: mark two pulls, pushes or exchanges with m"),
        (("g", "m", "="), "only one is marked: mark another with m, or move the cursor to it"),
        (("g", "j", "m", "="), "only one is marked"),
        (
            ("g", "j", "m", "j", "m", "j", "m", "="),
            "more than two are marked: m removes a mark, U all marks",
        ),
        (("g", "m", "G", "="), "cannot compare a pull with an exchange: mark two pulls, or two exchanges"),
        (("g", "m", "G", "k", "k", "="), "cannot compare a pull with a push: mark two pulls, or two pushes"),
    ],
)  # fmt: skip
async def test_a_line_says_what_to_mark(keys: tuple[str, ...], reason: str) -> None:
    log = TrafficLog()
    pulled(log, "library/app", A, at=0)
    pulled(log, "team/web", A, at=10, method="PUT")
    pulled(log, "team/web", A, at=10, method="PUT")
    exchange(log, "/v2/_catalog", at=20)
    async with shown(log, size=(120, 30)) as (panel, pilot):
        await look(pilot)
        seen = await settled(pilot, *keys)
        assert reason in said(panel), seen
        assert "Compare two" not in seen


async def test_one_marked_pull_is_compared_with_the_one_at_the_cursor() -> None:
    async with shown(two_pulls()) as (_, pilot):
        await look(pilot)
        assert "Compare two pulls" in await settled(pilot, "g", "m", "G", "=")


async def test_a_pull_of_one_request_can_be_compared_with_a_longer_one() -> None:
    log = TrafficLog()
    pulled(log, "library/app", A, at=0)
    failed = exchange(log, "/v2/broken/error/manifests/503", at=10)
    answer(log, failed, 503, size=10)
    end(log, failed)
    async with shown(log) as (panel, pilot):
        await look(pilot)
        await settled(pilot, "g", "m", "G", "=")
        assert [line[0] for line in signs(panel)] == ["≠", "◀", "◀"]


async def test_pushes_are_compared() -> None:
    log = TrafficLog()
    for at, name in ((0, "team/web"), (30, "team/api")):
        each = exchange(log, f"/v2/{name}/blobs/uploads/", method="POST", at=at)
        answer(log, each, 202 if at else 500)
        end(log, each)
        pulled(log, name, A, at=at, method="PUT")
    async with shown(log) as (panel, pilot):
        await look(pilot)
        assert "Compare two pushes" in await settled(pilot, *SECOND_HEADING, "=")
        assert [line[:10] for line in signs(panel)] == ["≠ POST upl", "= PUT mani"]


async def test_the_comparison_follows_exchanges_in_flight() -> None:
    log = TrafficLog()
    pulled(log, "library/app", A, at=0)
    pull = pulled(log, "library/other", A, at=30)
    going = exchange(log, f"/v2/library/other/blobs/{B}", at=31)
    async with shown(log) as (panel, pilot):
        await look(pilot)
        assert "▶ not requested" in await settled(pilot, *SECOND_HEADING, "=")
        assert signs(panel)[-1].endswith("… 0B 44000")
        assert " ms " not in lines(panel)[2].rpartition("│")[0].rpartition("│")[2]
        answer(log, going, 200, size=2048, kind=LAYER)
        end(log, going)
        pull[2].status = 404
        async with asyncio.timeout(PATIENCE):
            while "status 200 ≠ 404" not in await settled(pilot):
                await pilot.pause(0.1)
        assert signs(panel)[-1].endswith("200 2.0K 4.0")
        assert " ms " in lines(panel)[2].rpartition("│")[0].rpartition("│")[2]


async def test_requests_that_have_left_the_log_are_counted() -> None:
    log = TrafficLog(capacity=10)
    pulled(log, "library/app", A, B, C, at=0)
    recovered(log, at=30)
    assert len(log) == 10
    async with shown(log, size=(200, 50)) as (_, pilot):
        await look(pilot)
        exchange(log, "/v2/", at=40)
        seen = await settled(pilot, "g", "m", "space", "j", "=")
        assert "docker/27, 3 of 4 requests, " in seen


async def test_a_comparison_is_exported_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with shown(two_pulls(), size=(100, 30)) as (panel, pilot):
        await look(pilot)
        await settled(pilot, *SECOND_HEADING, "=")
        assert "Export comparison" in await settled(pilot, "x")
        await settled(pilot, "y")
        assert "    bytes: 2 KiB ≠ 1 KiB\n" in panel.clipboard
        assert "▶ GET layer 2, attempt 2, 1,996 ms after the one before, right only\n" in panel.clipboard
        await settled(pilot, "n", "enter", "x", "s", "enter")
        assert "saved to comparison.txt" in said(panel)
    text = (tmp_path / "comparison.txt").read_text()
    assert text.startswith("left:  PULL library/app:1.2: exchange 4\n")
    assert "≠ fault: none ≠ truncate\n" in text


async def test_a_panel_that_may_not_save_says_so() -> None:
    class NoFiles(LocalFiles):
        saving_problem = "this terminal cannot save files"

    async with compared() as runtime:
        terminal = replace(OWN_TERMINAL, files=NoFiles())
        panel = Panel(runtime, clock=lambda: NOW, terminal=terminal)
        async with panel.run_test(size=(80, 24), notifications=True) as pilot:
            await look(pilot)
            await settled(pilot, *SECOND_HEADING, "=", "x", "s")
            assert said(panel) == "this terminal cannot save files"


async def test_a_panel_that_may_only_look_compares() -> None:
    async with compared() as runtime:
        panel = Panel(runtime, clock=lambda: NOW, operations=Operations(runtime, Access.READ))
        async with panel.run_test(size=(80, 24)) as pilot:
            await look(pilot)
            assert "Compare two pulls" in await settled(pilot, *SECOND_HEADING, "=")


@asynccontextmanager
async def viewed(log: TrafficLog, folder: Path) -> AsyncIterator[tuple[FileApp, Pilot[int]]]:
    """Yield the panel of `brokenreg view` with an export of the log as HAR."""
    explained = partial(explain, books=RuleBooks(1, lambda target: ()))
    path = folder / "night.har"
    path.write_text("".join(har_pieces(list(log), log.bodies, "http://127.0.0.1:8080", explained)))
    file = TrafficFile(path, TrafficLog())
    app = FileApp(file)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.3)
        yield app, pilot


async def test_pulls_in_a_file_are_compared_as_those_that_were_live(tmp_path: Path) -> None:
    log = two_pulls()
    async with shown(log) as (panel, pilot):
        await look(pilot)
        live = (await settled(pilot, *SECOND_HEADING, "="), signs(panel))
    async with viewed(log, tmp_path) as (app, pilot):
        await look(pilot)
        assert (await settled(pilot, *SECOND_HEADING, "="), signs(app)) == live


async def test_what_clients_send_is_made_safe() -> None:
    log = TrafficLog()
    for at in (0, 30):
        for each in pulled(log, "library/app", A, at=at, agent=HOSTILE):
            each.request_headers += ((LATIN, HOSTILE), (f"x{at}", LATIN))
            each.faults = (HOSTILE,) if at else ()
            body = json.dumps({HOSTILE: at, "detail": [HOSTILE]}).encode()
            log.bodies.keep(each, Kept(Body(HOSTILE.encode(), at), Body(body, len(body))))
    for size in SIZES:
        async with shown(log, size=size) as (panel, pilot):
            await look(pilot)
            await settled(pilot, *SECOND_HEADING, "=")
            rows(panel)
            await settled(pilot, "enter")
            for _ in range(4):
                rows(panel)
                await settled(pilot, "pagedown")
            await settled(pilot, "x")
            rows(panel)


async def test_the_largest_pulls_are_compared_without_blocking() -> None:
    log = TrafficLog()
    layers = [digest(f"{number:04x}") for number in range(498)]
    first = pulled(log, "library/app", *layers, at=0)
    second = pulled(log, "library/other", *layers[-2::-1], at=30)
    for number, each in enumerate([*first, *second]):
        each.started += number  # one after another: requests in flight at the same time have no order
    async with shown(log, clock=Clock()) as (_, pilot):
        await settled(pilot)
        seen = await settled(pilot, "f", "g", "m", "G", "=")
        assert "498 of 500 requests differ: left only, bytes, order ×496, " in seen
        assert "order #3 ≠ #499" in seen
        seen = await settled(pilot, "G")
        assert "▌◀ GET layer 498" in seen
        assert "│     left only " in seen  # what differs in the last row is in view, too


async def test_a_size_change_arranges_everything_again() -> None:
    async with shown(two_pulls()) as (panel, pilot):
        await look(pilot)
        await settled(pilot, *SECOND_HEADING, "=", "n")
        await pilot.resize_terminal(160, 45)
        seen = await settled(pilot)
        assert f"GET layer 2 {B.removeprefix('sha256:')[:30]}" in seen
        await settled(pilot, "enter")
        await pilot.resize_terminal(80, 24)
        seen = await settled(pilot)
        assert all(len(line) == 80 for line in lines(panel)[:22])
        await settled(pilot, "escape", "escape")
        assert "library/app:1.2" in line_at_cursor(panel)


@pytest.mark.parametrize(("columns", "before"), [(90, "12:00:30 docker/27 "), (80, "12:00:30 "), (50, "")])
async def test_facts_of_a_side_are_complete_or_left_out(columns: int, before: str) -> None:
    async with shown(two_pulls(), size=(columns, 24)) as (panel, pilot):
        await look(pilot)
        await settled(pilot, *SECOND_HEADING, "=")
        facts = next(line for line in lines(panel) if line.count(" req ") == 2).strip("│ ").split("│")
        assert facts[1].strip() == f"{before}6 req 2,004 ms 8.4K"


async def test_the_full_view_shows_the_order_that_the_list_shows() -> None:
    log = TrafficLog()
    pulled(log, "library/app", A, B, at=0)
    pulled(log, "library/app", B, A, at=30)
    for number, each in enumerate(log):
        each.started += number / 10  # one after another: requests in flight at the same time have no order
    async with shown(log, size=(120, 40)) as (panel, pilot):
        await look(pilot)
        assert "order #3 ≠ #4" in await settled(pilot, *SECOND_HEADING, "=", "n")
        await settled(pilot, "enter")
        assert " ".join(line_with(panel, "≠ order").split()) == "│≠ order #3 │ #4 │"


async def test_two_names_that_differ_only_at_the_beginning_look_different() -> None:
    log = TrafficLog()
    image = "broken/random/library/application-server"
    for at, name in enumerate((image, f"broken/with/truncate_after-300kib/{image}")):
        pulled(log, name, A, B, at=NOW - 60 + 30 * at)
    async with shown(log) as (panel, pilot):
        await look(pilot)
        await settled(pilot, *SECOND_HEADING, "=")
        left, right = next(line for line in lines(panel) if line.count("PULL ") == 2).split("PULL ")[1:]
        assert left[:12] == "broken/rando"
        assert right[:12] == "broken/with/"
