"""A file shows the screens that were live, except for the header and for keys that change something."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from exchanges import DOCKER
from screen import lines, look
from serving import Serving, serving
from textual.pilot import Pilot

from brokenreg.gate.passage import Resume
from brokenreg.rules.rule import rule_of
from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.traffic_source import RecordedTraffic, TrafficSource
from brokenreg.traffic.exchange_json import summary_json
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.tui.files.app import FileApp
from brokenreg.tui.traffic.export import Source
from brokenreg.tui.traffic.view import everything

SIZES = ((80, 24), (120, 40), (200, 50))
PANES = 4

RULES = (
    {"name": "busy once", "fault": {"type": "error", "status": 503}, "match": {"endpoint": "manifest"},
     "times": 1},
    {"name": "cut the layer", "fault": {"type": "truncate", "after": "64KiB"}, "match": {"endpoint": "layer"},
     "times": 1},
    {"name": "elsewhere", "fault": "redirect", "match": {"endpoint": "config"}, "times": 1},
    {"name": "never", "fault": "reset", "match": {"client": "containerd/*"}},
)  # fmt: skip


async def pull(client: httpx.AsyncClient, shown: Serving) -> None:
    """Pull as clients do that repeat what fails: a 503, a layer that is cut, one that is held, a redirect."""
    manifests = "/v2/broken/random/manifests/layers-2_size-200000"
    assert (await client.get(manifests)).status_code == 503
    manifest = (await client.get(manifests)).json()
    blobs = "/v2/broken/random/blobs/"
    await client.get(blobs + manifest["config"]["digest"], follow_redirects=True)
    first, second = (each["digest"] for each in manifest["layers"])
    with pytest.raises(httpx.HTTPError):
        await client.get(blobs + first)
    await client.get(blobs + first)
    await client.get("/v2/UPPER/manifests/x")
    await client.get("/v2/missing/app/manifests/v1")
    hold = shown.runtime.gate.breakpoints.add(f"reference:{second}")
    holder = await shown.client()
    await holder.ask(blobs + second, f"user-agent: {DOCKER}")
    held = await shown.until(lambda each: each.held_since is not None)
    shown.runtime.gate.breakpoints.remove(hold.id)
    # Not by a key: the panel would show it as a command for a while, which a file cannot.
    Operations(shown.runtime, Access.FULL).carry_out(held.id, Resume())
    await holder.head()
    await shown.until(lambda each: each.ended)


async def push(client: httpx.AsyncClient) -> None:
    """Push an image without layers."""
    config = b"{}"
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    await client.head(f"/v2/team/app/blobs/{digest}")
    started = await client.post("/v2/team/app/blobs/uploads/")
    place = started.headers["location"]
    await client.put(place, params={"digest": digest}, content=config)
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2},
        "layers": [],
    }
    headers = {"content-type": kind}
    await client.put("/v2/team/app/manifests/1.0", content=json.dumps(manifest), headers=headers)


async def traffic(shown: Serving) -> None:
    book = shown.runtime.rules.book("")
    for line, rule in enumerate(RULES, 1):
        book.add(rule_of(rule), f"faults.yaml:{line}")
    url = shown.runtime.registry_urls[0]
    async with httpx.AsyncClient(base_url=url, headers={"user-agent": DOCKER}) as client:
        await client.get("/v2/")
        await pull(client, shown)
        await push(client)
    stray = await shown.client()
    stray.writer.write(b"\x16\x03\x01\x02\x00\x01\x00")  # TLS on the plain port
    await shown.until(lambda each: each.method == "" and each.ended)


async def har_of(source: TrafficSource) -> str:
    log = source.log
    exported = Source(source, log[log.first], everything, [])
    return "".join([piece async for piece in exported.har_of_all()])


@asynccontextmanager
async def viewing(path: Path, size: tuple[int, int]) -> AsyncIterator[Pilot[int]]:
    app = FileApp(TrafficFile(path, TrafficLog()))
    async with app.run_test(size=size, notifications=True) as pilot:
        await app.workers.wait_for_complete()
        await look(pilot)
        yield pilot


def body_of(pilot: Pilot[int]) -> str:
    """Return the screen without the header and the line of keys."""
    return "\n".join(lines(pilot.app)[1:-1])


def detail_of(screen: str) -> str:
    """Return what is at the right of the border, or everything if there is none, as one line."""
    return " ".join(word for line in screen.split("\n") for word in line.split("│", 1)[-1].split())


async def press(pilot: Pilot[int], *keys: str) -> str:
    """Press keys, and return the screen without notices."""
    await look(pilot, *keys)
    if len(pilot.app._notifications):
        pilot.app.clear_notifications()
        await look(pilot)
    return body_of(pilot)


async def screens(pilot: Pilot[int], rows: int) -> list[str]:
    """Return the list, and then each pane of each row."""
    seen = [await press(pilot, "escape", "u", "u", "g")]
    for row in range(rows):
        seen.append(await press(pilot, *(["j"] if row else []), "enter"))
        if " Summary " not in seen[-1]:
            seen += [await press(pilot, "l") for _ in range(PANES - 1)]
            await press(pilot, "l")
        await press(pilot, "escape")
    return [*seen, await press(pilot, "G")]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_har_shows_the_screens_that_were_live(size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "exchanges.har"
    async with serving(size) as shown:
        await traffic(shown)
        path.write_text(await har_of(shown.runtime))
        rows = len(shown.runtime.log) + 4  # with headings
        live = await screens(shown.pilot, rows)
        before = [each.summary() for each in shown.runtime.log]
    assert any("busy once" in each and "outcome" in each for each in live), "the pane Why is among them"
    assert any("held at the headers" in detail_of(each) for each in live)
    async with viewing(path, size) as pilot:
        app = pilot.app
        assert isinstance(app, FileApp)
        assert app.file.unread.line == ""
        assert [each.summary() for each in app.file.log] == before
        viewed = await screens(pilot, rows)
    assert len(viewed) == len(live)
    for one, other in zip(viewed, live, strict=True):
        assert one == other


@pytest.mark.parametrize("size", SIZES)
async def test_a_log_shows_the_list_that_was_live(size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "exchanges.jsonl"
    async with serving(size) as shown:
        await traffic(shown)
        text = "\n".join(map(summary_json, shown.runtime.log)) + "\n"
        path.write_text('{"event":"ready"}\n' + text)
        await look(shown.pilot, "u", "g")
        live = body_of(shown.pilot)
        before = [each.summary() for each in shown.runtime.log]
    async with viewing(path, size) as pilot:
        app = pilot.app
        assert isinstance(app, FileApp)
        assert [each.summary() for each in app.file.log] == before
        await look(pilot, "u", "g")
        width = size[0] if size[0] < 120 else size[0] * 2 // 3 - 1  # the detail is on the right
        assert listed(body_of(pilot), width) == listed(live, width)


def listed(screen: str, width: int) -> list[str]:
    """Return the lines of a list, without what a log does not have.

    It does not have the reasons of connections, and it has times in whole microseconds.
    """
    lines = [line[:width] for line in screen.split("\n") if " 400     0B " not in line]
    return [re.sub(r"\d\.\d ", "#.# ", line) for line in lines]


async def test_what_was_exported_from_a_file_is_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "exchanges.har"
    async with serving() as shown:
        await traffic(shown)
        first = await har_of(shown.runtime)
    path.write_text(first)
    file = TrafficFile(path, TrafficLog())
    await file.read()
    assert json.loads(await har_of(RecordedTraffic.of(file.log))) == json.loads(first)
