"""The Log tab: it shows the server's log lines, which never appear elsewhere on the screen."""

from __future__ import annotations

import logging

import pytest
from running import registry
from screen import line_with, lines, look, rested

from brokenreg.diagnostics import Diagnostics
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.text import fold

SIZE = (80, 24)


def say(diagnostics: Diagnostics, level: int, text: str, at: float = 0.0) -> None:
    record = logging.LogRecord("brokenreg.test", level, "", 0, text, None, None)
    record.created = at
    diagnostics.handle(record)


async def test_lines_are_filtered_by_level_and_escaped() -> None:
    async with registry(TrafficLog()) as runtime:
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            assert "No log lines at this level." in await look(pilot, "5")
            say(runtime.diagnostics, logging.INFO, "a [bold]name[/bold] with \x1b[31m in it", 3)
            say(runtime.diagnostics, logging.WARNING, "no room", 4)
            say(runtime.diagnostics, logging.ERROR, "failed\nTraceback\n  OSError", 65)
            await look(pilot)
            assert line_with(panel, "[bold]").startswith(
                " 00:00:03 INFO   a [bold]name[/bold] with \\x1b[31m"
            )
            assert line_with(panel, "no room").startswith(" 00:00:04 WARN ")
            assert line_with(panel, "failed").startswith(" 00:01:05 ERROR")
            assert line_with(panel, "OSError").startswith("▌" + " " * 18 + "OSError")
            screen = await look(pilot, "l")
            assert "warnings and errors" in screen
            assert "[bold]" not in screen
            assert "no room" in screen
            screen = await look(pilot, "l")
            assert "errors only" in screen
            assert "no room" not in screen
            assert "failed" in screen
            assert "[bold]" in await look(pilot, "l")


async def test_the_list_follows_only_at_its_end() -> None:
    async with registry(TrafficLog()) as runtime:
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            for number in range(60):
                say(runtime.diagnostics, logging.INFO, f"line {number}.")
            screen = await look(pilot, "5")
            assert "line 59." in screen
            assert "● LIVE" in screen
            say(runtime.diagnostics, logging.INFO, "line 60.")
            assert "line 60." in await look(pilot)
            assert "○ more below" in await look(pilot, "k", "k")
            say(runtime.diagnostics, logging.INFO, "line 61.")
            assert "line 61." not in await look(pilot)
            assert "line 60." in lines(panel)[-2]
            assert "line 61." in await look(pilot, "G")
            assert "line 0." in await look(pilot, "g")
            assert "○ not following" in await look(pilot, "G", "F")
            say(runtime.diagnostics, logging.INFO, "line 62.")
            assert "line 62." not in await look(pilot)
            assert "line 62." in await look(pilot, "F")


async def test_long_lines_are_wrapped_at_spaces_and_again_after_a_resize() -> None:
    async with registry(TrafficLog()) as runtime:
        say(runtime.diagnostics, logging.INFO, "word " * 20 + "end")
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE) as pilot:
            await look(pilot, "5")
            assert "end" not in line_with(panel, "INFO")
            assert line_with(panel, "end").startswith("▌" + " " * 16 + "word")
            await pilot.resize_terminal(100, 24)
            await look(pilot)
            assert line_with(panel, "end").startswith("▌" + " " * 16 + "word word word word end")
            await pilot.resize_terminal(140, 24)
            await rested(pilot)
            assert line_with(panel, "INFO   word").split("│")[0].rstrip().endswith("…")
            assert line_with(panel, " end").endswith("│   end"), "in full at the right"


@pytest.mark.parametrize(
    ("text", "width", "rows"),
    [
        ("", 5, [""]),
        ("abcde", 5, ["abcde"]),
        ("abcdefg", 5, ["abcde", "fg"]),
        ("abcd efg", 5, ["abcd", "efg"]),
        ("abcde fg", 5, ["abcde", "fg"]),
        ("a bcdefg", 5, ["a bcd", "efg"]),
        ("日本語", 5, ["日本", "語"]),
        ("go to here", 7, ["go to", "here"]),
        ("GET /v2/team/app/blobs", 16, ["GET /v2/team/", "app/blobs"]),
        ("a,sha256:0123456789", 12, ["a,sha256:012", "3456789"]),
    ],
)
def test_folding(text: str, width: int, rows: list[str]) -> None:
    assert fold(text, width) == rows


def test_diagnostics_keep_the_newest_and_never_fail() -> None:
    diagnostics = Diagnostics(capacity=2)
    for text in ("one", "two", "three"):
        say(diagnostics, logging.WARNING, text)
    assert [line.text for line in diagnostics.lines()] == ["two", "three"]
    diagnostics.handle(logging.LogRecord("x", logging.ERROR, "", 0, "%d", ("no number",), None))
    assert diagnostics.lines()[-1].text == "a record of x cannot be formatted"
    say(diagnostics, logging.ERROR, "x" * 100_000)
    assert len(diagnostics.lines()[-1].text) < 20_000
    assert diagnostics.version == 5
