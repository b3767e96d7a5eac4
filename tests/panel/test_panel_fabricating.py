"""An image that is being fabricated: the row, the detail and the pane in flight show its progress."""

from __future__ import annotations

import pytest
from exchanges import exchange
from screen import line_at_cursor, line_with, look, shown

from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import FabricationProgress, FabricationQueued, WorkProgress
from brokenreg.tui.traffic.outcome import progress

WORK = FabricationProgress(17, 127, 12)
WORDS = "fabricating layer 17 of 127, 12%"


@pytest.mark.parametrize(
    ("work", "width", "seen"),
    [
        (WORK, 40, WORDS),
        (WORK, 20, "fabricating 12%"),
        (WORK, 12, "fabricating"),
        (WORK, 6, "fabri…"),
        (FabricationQueued(3), 16, "waiting"),
    ],
)
def test_as_much_as_there_is_room_for(work: WorkProgress, width: int, seen: str) -> None:
    assert progress(work, width) == seen


async def test_the_row_and_the_detail_show_the_progress() -> None:
    log = TrafficLog()
    waiting = exchange(log, "/v2/broken/random/manifests/layers-127_size-1gib")
    async with shown(log) as (panel, pilot):
        assert "fabricating" not in await look(pilot, "g")
        waiting.progress = WORK
        waiting.revision += 1
        await look(pilot)
        assert "fabricating 12%" in line_with(panel, "GET broken/random")
        await look(pilot, "enter")
        assert WORDS in line_with(panel, "in flight for")
        waiting.progress = None
        waiting.revision += 1
        assert "fabricating" not in await look(pilot)


async def test_a_fault_in_the_row_waits_until_the_image_is_made() -> None:
    log = TrafficLog()
    waiting = exchange(log, "/v2/broken/truncate/manifests/after-1")
    waiting.faults, waiting.progress = ("truncate",), WORK
    async with shown(log, size=(160, 45)) as (panel, pilot):
        await look(pilot, "g")
        row = " ".join(line_at_cursor(panel).split())
        assert "GET broken/truncate manifests/after-1 fabricating 12%" in row
        assert line_with(panel, "··········").endswith("fabricating 12%")
