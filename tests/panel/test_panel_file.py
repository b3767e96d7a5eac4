"""The panel on a file: what it shows, what it refuses, and how a file is opened over a panel."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from exchanges import small_pull
from running import registry
from screen import lines, look, said, showing, shown, text
from textual.pilot import Pilot
from textual.widgets import Input

from brokenreg.assembly.process_tuning import tuned_process
from brokenreg.concurrency import background
from brokenreg.runtime.errors import ReadOnlyError
from brokenreg.runtime.operations import Access, Operations
from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.tui.app import Panel
from brokenreg.tui.files.app import FileApp
from brokenreg.tui.files.opening import completed
from brokenreg.tui.terminal import Terminal


@pytest.fixture
def har(tmp_path: Path) -> Path:
    log = TrafficLog()
    small_pull(log)
    path = tmp_path / "night.har"
    path.write_text("".join(har_pieces(log, log.bodies, "http://127.0.0.1:8080")))
    return path


@asynccontextmanager
async def viewing(path: Path, size: tuple[int, int] = (80, 24), **more: bool) -> AsyncIterator[Pilot[int]]:
    app = FileApp(TrafficFile(path, TrafficLog(), **more))
    async with app.run_test(size=size, notifications=True) as pilot:
        if not more:
            await app.workers.wait_for_complete()
        await look(pilot)
        yield pilot


async def test_the_header_names_the_file_and_its_time(har: Path) -> None:
    async with viewing(har, (120, 40)) as pilot:
        header = lines(pilot.app)[0]
        assert header.startswith(" brokenreg view night.har  ")
        assert "exchanges  2026-01-01 12:00:01 to " in header
        assert "req/s" not in header
        assert "LIVE" not in header


@pytest.mark.parametrize("key", ["!", "i", "n", "N", "r", "0", "p"])
async def test_what_changes_something_is_refused_with_the_reason(har: Path, key: str) -> None:
    async with viewing(har) as pilot:
        await look(pilot, key)
        assert "this panel is read-only" in said(pilot.app)
        assert "Fail next" not in lines(pilot.app)[-1]
        assert "Breakpoints" not in lines(pilot.app)[-1]


async def test_the_other_tabs_say_what_they_need(har: Path) -> None:
    async with viewing(har) as pilot:
        await look(pilot, "3")
        assert "the Blobs tab needs a running registry" in said(pilot.app)


def test_operations_without_a_runtime_change_nothing() -> None:
    operations = Operations(None, Access.FULL)
    assert not operations.may_change
    with pytest.raises(ReadOnlyError):
        operations.set_breakpoints_enabled(enabled=False)


async def test_filter_export_and_copy(har: Path, tmp_path: Path) -> None:
    async with viewing(har) as pilot:
        await look(pilot, "/", *"status:404", "enter")
        assert "/ status:404" in lines(pilot.app)[1]
        await look(pilot, "G", "y")
        assert "copied: " in said(pilot.app)
        await look(pilot, "x")
        assert "curl" in text(pilot.app)
        await look(pilot, "l", "s")
        pilot.app.screen.query_one(Input).value = str(tmp_path / "one.har")
        await look(pilot, "enter")
        await pilot.app.workers.wait_for_complete()
    (entry,) = json.loads((tmp_path / "one.har").read_text())["log"]["entries"]
    assert entry["response"]["status"] == 404


async def test_what_could_not_be_read_is_in_one_line(har: Path) -> None:
    har.write_text(har.read_text().replace('"url":', '"nope":', 1)[:-400])
    async with viewing(har) as pilot:
        line = lines(pilot.app)[-2]
        assert "could not be read: entry 1 has no request.url" in " ".join(lines(pilot.app)[-3:])
        assert line


async def test_text_of_a_file_is_shown_safely(tmp_path: Path) -> None:
    evil = "\x1b[31m[bold]x[/bold]\u202e\n"
    entry = {
        "startedDateTime": "2026-01-01T12:00:00Z",
        "request": {"method": evil, "url": f"http://r/{evil}", "headers": [{"name": evil, "value": evil}]},
        "response": {"status": 200, "_error": evil, "headers": []},
    }
    path = tmp_path / f"{evil[:-1].replace('/', '')}.har"
    creator = {"name": evil, "version": evil}
    path.write_text(json.dumps({"log": {"creator": creator, "entries": [entry, {evil: 1}]}}))
    async with viewing(path, (120, 40)) as pilot:
        for keys in ((), ("enter",), ("l",), ("l",), ("l",)):
            screen = await look(pilot, *keys)
            assert not {"\x1b", "\u202e"} & set(screen)
        assert "[bold]" in screen


async def test_a_log_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    line = {"id": 1, "time": 1e9, "method": "GET", "path": "/v2/app/manifests/v1", "endpoint": "manifest"}
    path.write_text("")
    async with viewing(path, follows=True) as pilot:
        async with asyncio.timeout(10):
            while "● FOLLOWING" not in await look(pilot):
                pass
        path.write_text(json.dumps(line) + "\n")
        async with asyncio.timeout(10):
            while "app manifests/v1" not in await look(pilot):
                pass


async def test_a_file_is_opened_over_a_panel_and_closed(har: Path) -> None:
    log = TrafficLog()
    async with shown(log) as (panel, pilot):
        await look(pilot, "ctrl+o")
        panel.screen.query_one(Input).value = str(har)[:-3]
        await look(pilot, "tab")
        assert panel.screen.query_one(Input).value == str(har)
        await look(pilot, "enter")
        assert "brokenreg view night.har" in await showing(pilot, "library/app")
        await look(pilot, "n")
        assert not len(panel._runtime.rules), "nothing was changed"
        screen = await look(pilot, "escape")
        assert "● LIVE" in screen


async def test_what_cannot_be_opened_is_said_in_the_dialogue(tmp_path: Path) -> None:
    (tmp_path / "x.har").write_text("hello")
    async with shown(TrafficLog()) as (panel, pilot):
        await look(pilot, "ctrl+o")
        panel.screen.query_one(Input).value = str(tmp_path / "x.har")
        screen = await look(pilot, "enter")
        async with asyncio.timeout(30):  # a thread reads the file
            while "it is neither HAR nor a log" not in " ".join(screen.replace("│", " ").split()):
                screen = await look(pilot)


async def test_an_attached_panel_names_the_command_to_use() -> None:
    async with registry(TrafficLog()) as runtime:
        panel = Panel(runtime, terminal=Terminal(environment={"TERM": "xterm-256color"}))
        async with panel.run_test(notifications=True) as pilot:
            await look(pilot, "ctrl+o")
            assert 'this panel is attached: use "brokenreg view FILE"' in text(panel)


def test_paths_are_completed(tmp_path: Path) -> None:
    for name in ("night-1.har", "night-2.har", ".hidden"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    assert completed(f"{tmp_path}/ni") == f"{tmp_path}/night-"
    assert completed(f"{tmp_path}/night-1") == f"{tmp_path}/night-1.har"
    assert completed(f"{tmp_path}/f") == f"{tmp_path}/folder/"
    assert completed(f"{tmp_path}/x") is None
    assert completed(f"{tmp_path}/none/x") is None


async def test_a_line_of_a_log_says_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    line = {
        "id": 1, "time": 1e9, "method": "GET", "path": "/v2/app/manifests/v1", "endpoint": "manifest",
        "status": 503, "ended": "complete", "faults": ["error"], "rule": "busy", "response_bytes": 9,
    }  # fmt: skip
    path.write_text(json.dumps(line) + "\n")
    async with viewing(path, (200, 50)) as pilot:
        for key in ("enter", "l", "l"):
            assert "the log has only a line for this exchange" in await look(pilot, key)
        screen = await look(pilot, "l")
        assert 'Fault error, by "busy"' in screen
        assert "The file does not say which rules were evaluated" in screen


@pytest.mark.slow
async def test_a_large_file_does_not_block_the_loop(tmp_path: Path) -> None:
    """20 MiB are read meanwhile. On a busy machine, the loop is also late for other reasons."""
    path = tmp_path / "large.har"
    log = TrafficLog()
    small_pull(log)
    first, *entries, last = har_pieces(log, log.bodies, "http://127.0.0.1:8080")
    text = ",".join(entries[0:1] + [each.lstrip(",") for each in entries[1:]])
    with path.open("w") as file:
        file.write(first)
        for number in range(20 * 2**20 // len(text)):
            file.write(("," if number else "") + text)
        file.write(last)
    read = TrafficFile(path, TrafficLog())
    delays: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            delays.append(time.perf_counter() - before)

    interval = sys.getswitchinterval()
    try:
        async with tuned_process(), background(watch()):
            await read.read()
    finally:
        sys.setswitchinterval(interval)
    assert read.unread.line == ""
    assert read.log.end > 10_000
    late = [each for each in delays if each > 0.021]
    assert len(late) <= len(delays) // 100, sorted(late)
