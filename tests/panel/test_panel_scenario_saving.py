"""Saving a scenario: the suggested name, and expectations made from what a real client did."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest
from screen import settled, text
from test_panel_faults import Bench, bench

from brokenreg.rules.rule import rule_of
from brokenreg.rules.scenario_text import load_scenario

IMAGE = "broken/random:layers-3_size-1kib"


async def ran(*command: str | Path) -> tuple[int, str]:
    """Run a command, and return its status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def copy(registry: str, to: Path) -> tuple[str, ...]:
    return (
        "skopeo", "--insecure-policy", "copy", "--src-tls-verify=false",
        f"docker://{registry}", f"dir:{to}",
    )  # fmt: skip


async def offered(it: Bench) -> str:
    """Open the dialogue, and return it once the expectations are there."""
    await it.press("2", "W")
    return await settled(it.pilot)


@pytest.mark.clients
@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
async def test_what_a_client_did_can_be_required_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with bench(tmp_path, (100, 30)) as it:
        rule = {
            "match": {"endpoint": "manifest"},
            "fault": {"type": "error", "status": 429, "retry_after": "1"},
            "times": 1,
        }
        it.book.add(rule_of(rule), "test")
        host = it.client.base_url.netloc.decode()
        status, output = await ran(*copy(f"{host}/{IMAGE}", tmp_path / "image"))
        assert status == 0, output
        screen = await offered(it)
        assert f"[ ] brokenreg run pulls {IMAGE}" in screen
        assert "[ ] rule error manifest is applied 1 time" in screen
        assert "[ ] the client requests a manifest again" in screen
        assert "[ ] 3 layers arrive completely" in screen
        assert "[ ] at most 3 requests for layers" in screen
        await it.press("tab", "ctrl+a")
        assert "tab File name  space Exclude" in text(it.pilot.app)
        await it.press("G", "space")
        assert "tab File name  space Include" in text(it.pilot.app)
        assert "[ ] at most 3 requests for layers" in text(it.pilot.app)
        await it.press("enter")
        await settled(it.pilot)
    saved = tmp_path / "scenario.yaml"
    scenario = load_scenario(saved).scenario
    assert scenario.client is not None
    assert scenario.client.image == IMAGE
    run = (sys.executable, "-m", "brokenreg", "run", "--scenario", saved, "--")
    status, output = await ran(*run, *copy("{image}", tmp_path / "again"))
    assert status == 0, output
    status, output = await ran(*run, sys.executable, "-c", "")
    assert status == 1, output
    assert "✗ the client requests a manifest again" in output


async def test_expectations_are_not_made_from_what_a_removed_rule_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with bench(tmp_path, (100, 30)) as it:
        rule = it.book.add(rule_of({"fault": "error", "times": 1}), "test")
        for size in (1, 2):
            await it.client.get(f"/v2/broken/random/manifests/layers-1_size-{size}kib")
        assert "layers-1_size-1kib" in await offered(it)
        await it.press("escape")
        it.book.remove(rule.id)
        screen = await offered(it)
        assert "layers-1_size-2kib" in screen
        assert "layers-1_size-1kib" not in screen


async def test_a_name_is_suggested_that_no_file_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with bench(tmp_path) as it:
        it.book.add(rule_of({"fault": {"type": "error"}}), "test")
        for name in ("scenario.yaml", "scenario-2.yaml", "scenario-3.yaml"):
            assert name in await offered(it)
            screen = await it.press("tab")
            assert name != "scenario.yaml" or "no pull or push in this namespace" in screen
            assert "enter Save  esc Cancel" in screen
            await it.press("enter")
            assert f"saved 1 rule to {name}" in await settled(it.pilot)
            assert load_scenario(tmp_path / name).scenario == it.book.scenario()
        it.book.name = "Layers: fail/twice"
        assert "layers-fail-twice.yaml" in await offered(it)
        await it.press(*"mine.yaml", "enter")
        await settled(it.pilot)
        assert (tmp_path / "mine.yaml").exists(), "typing replaces the suggestion"


async def test_only_ticked_expectations_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with bench(tmp_path) as it:
        rule = {"name": "flaky", "match": {"endpoint": "manifest"}, "fault": {"type": "error"}}
        it.book.add(rule_of(rule), "test")
        assert [await it.get(), await it.get()] == [500, 500]
        screen = await offered(it)
        assert "[ ] rule flaky is applied at least 2 times" in screen
        assert "[ ] the client ends with an error" in screen
        await it.press("tab", "j", "space")
        assert "[x] the client ends with an error" in text(it.pilot.app)
        await it.press("j", "space", "space", "enter")
        assert "saved 1 rule and 1 expectation to scenario.yaml" in await settled(it.pilot)
    scenario = load_scenario(tmp_path / "scenario.yaml").scenario
    assert scenario.expect == ()
    assert scenario.client is not None
    assert (scenario.client.exit, scenario.client.image) == ("failure", None)
