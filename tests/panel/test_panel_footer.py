"""The footer follows the row under the cursor, and says what keys do now."""

from __future__ import annotations

from pathlib import Path

import pytest
from exchanges import small_pull
from screen import lines, look, shown
from textual.app import App

from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.tui.files.app import FileApp
from brokenreg.tui.preferences import Preferences


def footer(app: App[object]) -> str:
    return lines(app)[-1]


@pytest.fixture
def pulls() -> TrafficLog:
    log = TrafficLog()
    small_pull(log)
    return log


@pytest.mark.parametrize("width", [80, 160])
async def test_on_a_heading_the_footer_has_its_commands(pulls: TrafficLog, width: int) -> None:
    async with shown(pulls, size=(width, 24)) as (panel, pilot):
        await look(pilot, "f")
        await look(pilot, "g")
        assert "space Collapse  m Mark  " in footer(panel)
        assert "= Compare" not in footer(panel)
        await look(pilot, "space")
        assert "space Expand  m Mark  " in footer(panel)
        await look(pilot, "space", "m")
        assert "space Collapse  m Mark  = Compare" in footer(panel)
        await look(pilot, "j")
        assert "= Compare" in footer(panel)
        assert "space " not in footer(panel)
        await look(pilot, "U")
        assert "= Compare" not in footer(panel)
        assert "m Mark" not in footer(panel)


async def test_in_a_file_too(pulls: TrafficLog, tmp_path: Path) -> None:
    path = tmp_path / "night.har"
    path.write_text("".join(har_pieces(pulls, pulls.bodies, "http://r")))
    app = FileApp(TrafficFile(path, TrafficLog()))
    async with app.run_test(size=(80, 24)) as pilot:
        await app.workers.wait_for_complete()
        await look(pilot)
        await look(pilot, "f")
        await look(pilot, "g")
        assert "space Collapse  m Mark  " in footer(app)


async def test_of_several_keys_the_first_is_shown() -> None:
    async with shown(TrafficLog(), preferences=Preferences(keys={"panel.help": "f1,f2"})) as (panel, pilot):
        await look(pilot)
        assert "f1 Help" in footer(panel)


async def test_q_goes_back_while_details_are_open(pulls: TrafficLog) -> None:
    async with shown(pulls, size=(160, 24)) as (panel, pilot):
        assert "q Quit" in await look(pilot, "g")
        await look(pilot, "enter")
        assert "q Back" in footer(panel)
        await look(pilot, "q")
        assert "q Quit" in footer(panel)
