"""Export, replay and copy, by keys."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from exchanges import NOW, answer, digest, end, exchange, passed, small_pull
from hypothesis import given
from hypothesis import strategies as st
from screen import look, shown, text
from textual.pilot import Pilot

from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.rules.scenario_text import load_scenario
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.saving import save, save_pieces
from brokenreg.tui.traffic.export import MOST_COPIED

SIZE = (100, 40)


async def until_done(pilot: Pilot[int]) -> str:
    """The screen once nothing works in the background."""
    await pilot.app.workers.wait_for_complete()
    return await look(pilot)


def said(pilot: Pilot[int]) -> str:
    """What the panel said in passing, line by line; on the screen it is folded."""
    return "\n".join(each.message for each in pilot.app._notifications)


async def named(pilot: Pilot[int], name: str | Path) -> str:
    """Write a name in place of the one that is offered, and press enter."""
    await pilot.press("end", "ctrl+u")
    pilot.app.screen.query_one("Input").insert_text_at_cursor(str(name))
    await pilot.press("enter")
    return await until_done(pilot)


@pytest.mark.slow
async def test_formats_are_cycled() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "g", "j", "j", "x")
        screen = await until_done(pilot)
        assert "Export exchange 2" in screen
        assert "curl --globoff --path-as-is --head" in screen
        await look(pilot, "l")
        assert '"startedDateTime":"2026-01-01T12:00:01.020Z"' in (await until_done(pilot)).replace("\n", "")
        await look(pilot, "l")
        assert "only the beginning is shown" in await until_done(pilot)
        await look(pilot, "right")
        assert "client: docker/*" in await until_done(pilot)
        await look(pilot, "left", "h", "h")
        assert "--head" in await until_done(pilot)
        assert "Export exchange" not in await look(pilot, "escape")
        assert panel.clipboard == ""


async def test_a_copy_goes_to_the_clipboard() -> None:
    log = TrafficLog()
    passed(log, "/v2/library/app/manifests/1.2")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "x")
        await until_done(pilot)
        assert "Export exchange" not in await look(pilot, "y")
        assert said(pilot) == "copied as curl"
        assert panel.clipboard.startswith("curl --globoff")
        await look(pilot, "y")
        assert panel.clipboard == "1.2"


async def test_too_much_text_for_the_clipboard_is_reported() -> None:
    log = TrafficLog()
    for number in range(100):
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "x")
        await look(pilot, "l", "l")
        await until_done(pilot)
        assert "y Copy" not in await look(pilot, "y")
        assert "too long for a clipboard (more than 64 KiB); s saves it to a file" in said(pilot)
        assert panel.clipboard == ""
        assert MOST_COPIED < 100 * 1000


@pytest.mark.slow
async def test_filtered_exchanges_are_exported(tmp_path: Path) -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (_, pilot):
        await look(pilot)
        await look(pilot, "/", *"status:404", "enter")
        await look(pilot, "x")
        await look(pilot, "l", "l")
        await until_done(pilot)
        await look(pilot, "s")
        await named(pilot, tmp_path / "all.har")
        assert said(pilot) == f"saved to {tmp_path / 'all.har'}"
    entries = json.loads((tmp_path / "all.har").read_text())["log"]["entries"]
    assert [entry["response"]["status"] for entry in entries] == [404]


async def test_a_rule_is_saved_and_the_loader_reads_it(tmp_path: Path) -> None:
    log = TrafficLog()
    passed(log, "/v2/library/app/manifests/1.2")
    async with shown(log, size=SIZE) as (_, pilot):
        await look(pilot)
        await look(pilot, "x")
        await look(pilot, "h")
        await until_done(pilot)
        screen = await look(pilot, "s")
        assert "exchange-1.yaml" in screen, screen
        await named(pilot, tmp_path / "rule.yaml")
    (rule,) = load_scenario(tmp_path / "rule.yaml").scenario.rules
    assert (rule.match.repository, rule.match.reference, rule.match.client) == (
        "library/app",
        "1.2",
        "docker/*",
    )


@pytest.mark.slow
async def test_an_existing_file_is_overwritten_only_after_confirmation(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    log = TrafficLog()
    passed(log, "/v2/")
    async with shown(log, size=SIZE) as (_, pilot):
        await look(pilot)
        await look(pilot, "x")
        await until_done(pilot)
        await look(pilot, "s")
        assert "the file exists; enter again overwrites it" in await named(pilot, there)
        assert there.read_text() == "mine"
        assert "enter saves the export to this file" in await look(pilot, "escape", "s")
        assert "enter Save  esc Cancel" in text(pilot.app)
        assert "Export exchange" in text(pilot.app)
        await named(pilot, there)
        assert there.read_text() == "mine"
        await look(pilot, "enter")
        await until_done(pilot)
        assert "saved to" in said(pilot)
    assert there.read_text().startswith("curl ")
    assert [each.name for each in tmp_path.iterdir()] == ["there"]


@pytest.mark.slow
async def test_write_errors_are_reported_in_one_line(tmp_path: Path) -> None:
    log = TrafficLog()
    passed(log, "/v2/")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "x")
        await until_done(pilot)
        await look(pilot, "s")
        assert "No such file or directory" in await named(pilot, tmp_path / "none" / "file")
        assert "irectory" in await named(pilot, tmp_path)
        assert "home directory: ~nobody-here/x" in await named(pilot, "~nobody-here/x")
        assert "type a file name" in await named(pilot, " ")
        assert panel.is_running
    assert not list(tmp_path.iterdir())


@given(st.text(max_size=200))
def test_a_saved_file_is_complete_and_readable(
    tmp_path_factory: pytest.TempPathFactory, content: str
) -> None:
    path = tmp_path_factory.mktemp("saved") / "file"
    save(str(path), content, overwrite=False)
    assert path.read_bytes() == content.encode("utf-8", "backslashreplace")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with pytest.raises(FileExistsError):
        save(str(path), "", overwrite=False)


async def test_a_stopped_export_leaves_no_file(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def pieces() -> AsyncIterator[str]:
        yield "x" * (1 << 21)
        begun.set()
        await asyncio.Event().wait()

    saving = asyncio.create_task(save_pieces(str(tmp_path / "all.har"), pieces(), overwrite=False))
    await begun.wait()
    assert not (tmp_path / "all.har").exists()
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) == 1 << 21, "it does not wait in memory"
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert not list(tmp_path.iterdir())


async def test_the_digest_is_copied() -> None:
    log = TrafficLog()
    passed(log, f"/v2/library/app/blobs/{digest('abc')}")
    told = exchange(log, "/v2/library/app/manifests/1.2")
    answer(log, told)
    told.response_headers = (*told.response_headers, ("docker-content-digest", digest("def")))
    end(log, told)
    passed(log, "/v2/_catalog")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        copied = []
        for key in ("g", "j", "j"):
            await look(pilot, key, "y")
            assert f"copied: {panel.clipboard}" in said(pilot)
            copied.append(panel.clipboard)
        assert copied == [digest("abc"), digest("def"), "/v2/_catalog"]


async def test_a_request_is_sent_again_through_the_listener(tmp_path: Path) -> None:
    settings = Settings(
        listen=["127.0.0.1:0"], control=None, data=tmp_path / "data", fabricate_limit="1GiB", offline=True
    )
    async with Server.running(settings, Diagnostics()) as server:
        async with httpx.AsyncClient(base_url=server.registry_urls[0]) as http:
            secret = {"authorization": "Basic c2VjcmV0", "user-agent": "docker/28"}
            await http.get("/v2/broken/error/manifests/418", headers=secret)
            await http.patch("/v2/a/blobs/uploads/x", content=b"123")
        panel = Panel(server.runtime, clock=lambda: NOW)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await look(pilot)
            await look(pilot, "g", "r")
            screen = await until_done(pilot)
            assert said(pilot) == "replay of exchange 1: 418, without authorization"
            assert "↻ replay" in screen
            again = server.log[server.log.end - 1]
            assert (again.replay_of, again.status, again.user_agent) == (1, 418, "docker/28")
            assert "Replay    of exchange 1" in await look(pilot, "G", "k", "enter")
            await look(pilot, "escape", "G", "r")
            await until_done(pilot)
            assert "replay of exchange 2: its body was not recorded" in said(pilot)
            assert server.log.end == 3
