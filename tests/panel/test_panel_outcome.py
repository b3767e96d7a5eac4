"""What a row of the list says about the outcome, however little room there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from exchanges import answer, digest, end, exchange, passed
from screen import line_with, look, shown, text

from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.exchange_json import summary_json
from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.traffic.timeline_events import FaultsApplied, ResponseAborted
from brokenreg.tui.files.app import FileApp
from brokenreg.tui.traffic.cells import share_word
from brokenreg.tui.traffic.outcome import note

A, B = digest("aa"), digest("bb")


@pytest.mark.parametrize(
    ("done", "whole", "word"),
    [
        (547 << 10, 8 << 20, "0.5/8M"),
        ((8 << 20) - 1, 8 << 20, "7.9/8M"),
        (41 << 20, 98 << 20, "41/98M"),
        (600 << 10, 98 << 20, "0/98M"),
        (1300 << 10, 1400 << 10, "92%"),
        (7, 90, "7/90B"),
        (0, 10 << 10, "0/10K"),
        (998, 999, "99%"),
    ],
)
def test_a_part_of_a_size_is_rounded_down(done: int, whole: int, word: str) -> None:
    assert share_word(done, whole) == word


def cut(log: TrafficLog, ended: Ended, fault: str, *, by_user: bool = False) -> Exchange:
    layer = exchange(log, f"/v2/library/app/blobs/{A}")
    answer(log, layer, size=4200, of=10_000)
    layer.add(FaultsApplied((fault,)))
    if by_user:
        layer.add(ResponseAborted())
    end(log, layer, ended=ended, fault=fault)
    return layer


@pytest.mark.parametrize(
    ("ended", "fault", "by_user", "words"),
    [
        (Ended.ABORTED, "throttle", True, ["throttle · aborted", "aborted"]),
        (
            Ended.DISCONNECTED,
            "throttle",
            False,
            ["throttle · disconnected", "throttle · closed", "disconnected", "closed"],
        ),
        (Ended.ABORTED, "truncate", False, ["truncate · aborted", "truncate"]),
        (Ended.COMPLETE, "throttle", False, ["throttle"]),
    ],
)
def test_how_it_ended_is_more_important_than_the_fault(
    ended: Ended, fault: str, by_user: bool, words: list[str]
) -> None:
    layer = cut(TrafficLog(), ended, fault, by_user=by_user)
    widest = len(words[0])
    shown_words = [note(layer, width) for width in range(widest, len(words[-1]) - 1, -1)]
    assert list(dict.fromkeys(shown_words)) == words


async def test_a_digest_is_shorter_before_the_outcome_is_left_out() -> None:
    log = TrafficLog()
    passed(log, "/v2/library/app/manifests/1.2")
    cut(log, Ended.ABORTED, "latency", by_user=True)
    async with shown(log, size=(80, 24)) as (panel, pilot):
        await look(pilot)
        assert "GET blobs/aa" in line_with(panel, "latency · aborted")


@pytest.mark.parametrize("kind", ["har", "jsonl"])
async def test_what_had_not_ended_when_a_file_was_saved_has_no_duration(kind: str, tmp_path: Path) -> None:
    log = TrafficLog()
    first = exchange(log, "/v2/library/app/manifests/1.2", at=1.0)
    answer(log, first, size=512)
    end(log, first)
    layer = exchange(log, f"/v2/library/app/blobs/{A}", at=1.1)
    answer(log, layer, size=4200, of=10_000)
    held = exchange(log, f"/v2/library/app/blobs/{B}", at=1.2)
    answer(log, held, size=100, of=10_000)
    held.held_since = held.started + 1
    path = tmp_path / f"night.{kind}"
    pieces = har_pieces(log, log.bodies, "http://r") if kind == "har" else map(summary_json, log)
    path.write_text(("" if kind == "har" else "\n").join(pieces) + "\n")
    for size in ((80, 24), (200, 50)):
        app = FileApp(TrafficFile(path, TrafficLog()))
        async with app.run_test(size=size) as pilot:
            await app.workers.wait_for_complete()
            await look(pilot)
            await look(pilot, "g")
            assert "12:00:01 to 12:00:0" in text(app)
            for words in ("PULL library/app", "GET blobs/sha256:aa", "HELD"):
                row = line_with(app, words).partition("│")[0].rstrip("█▏▎▍▌▋▊▉· ")
                assert row.endswith(" -"), row
            await look(pilot, "enter")
            assert "▸ 2 not ended when the file was saved" in text(app).replace("⏸", "▸")
            await look(pilot, "escape", "G", "k", "enter")
            assert "200 OK, not ended when the file was saved" in text(app)
