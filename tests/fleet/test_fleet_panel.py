"""The panel shows the traffic of another replica, or of all, and holds what is in flight there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual.pilot import Pilot

from brokenreg.assembly.server import Server
from brokenreg.config.databases import passwords_in
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.app import Panel
from tests.fleet.fleets import KEY, Fleet, name_of
from tests.process import BrokenregProcess
from tests.server import Brokenreg

PATH = "v2/broken/random/manifests/layers-1_size-10"


class Shown:
    """A replica of this process with a panel on it."""

    def __init__(self, runtime: Runtime, pilot: Pilot[int]) -> None:
        assert runtime.replicas is not None
        self.name = runtime.replicas.own
        self.url = runtime.status().registry[0]
        self.pilot = pilot

    @property
    def screen(self) -> str:
        strips = self.pilot.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def wait_for(self, *texts: str, gone: str = "") -> str:
        """The screen, once it has all texts."""
        try:
            async with asyncio.timeout(30):
                while not all(each in self.screen for each in texts) or (gone and gone in self.screen):
                    await self.pilot.pause(0.02)
        except TimeoutError:
            raise AssertionError(f"no {texts} in\n{self.screen}") from None
        return self.screen

    async def choose(self, name: str) -> None:
        """Show a replica, or `all`."""
        await self.press("asterisk")
        await self.wait_for("Show replica", name)
        await self.press(*name[:3], "enter")

    async def post(self, at: Brokenreg, path: str, document: object = None) -> Any:
        async with httpx.AsyncClient() as http:
            response = await http.post(f"{at.control}{path}", json=document)
        assert response.status_code in (200, 201), response.text
        return response.json()

    async def get(self, url: str, path: str = PATH) -> int:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{url}/{path}", timeout=30)).status_code


@asynccontextmanager
async def panel_on(fleet: Fleet, folder: Path, access: Access = Access.FULL) -> AsyncIterator[Shown]:
    settings = Settings(
        listen=["127.0.0.1:0"],
        control=None,
        data=folder,
        offline=True,
        database=fleet.url,
        fleet_key=KEY,
        blobs="file:",
    )
    async with Server.running(settings, Diagnostics()) as server:
        panel = Panel(server.runtime, operations=Operations(server.runtime, access))
        async with panel.run_test(size=(160, 45), notifications=True) as pilot:
            yield Shown(server.runtime, pilot)


@pytest.fixture(scope="module")
def process(shared_fleet: Fleet) -> BrokenregProcess:
    """Another replica, for all tests of this module."""
    return shared_fleet.process("b")


@pytest.fixture
def other(process: BrokenregProcess) -> BrokenregProcess:
    """The other replica, with an empty log and without rules."""
    assert httpx.post(f"{process.control}/v1/reset", params={"namespace": "*"}).status_code == 204
    return process


async def test_all_replicas_and_back(shared_fleet: Fleet, other: Brokenreg, tmp_path: Path) -> None:
    async with panel_on(shared_fleet, tmp_path / "a") as shown:
        screen = await shown.wait_for(f"replica {shown.name}")
        for url in (other.url, shown.url):
            assert await shown.get(url, "v2/") == 200
        await shown.choose("all")
        await shown.wait_for(
            "ALL 2 REPLICAS", "2 exchanges", f"{name_of(other)[:4]} python", f"{shown.name[:4]} python"
        )
        assert await shown.get(other.url, "v2/team/app/manifests/there") == 404
        assert await shown.get(shown.url, "v2/team/app/manifests/here") == 404
        await shown.wait_for("manifests/there", "here", "4 exchanges")
        await shown.choose(shown.name)
        screen = await shown.wait_for(f"replica {shown.name}", "2 exchanges", gone="manifests/there")
        assert "REPLICAS" not in screen


async def test_the_detail_comes_from_the_other_replica(
    shared_fleet: Fleet, other: Brokenreg, tmp_path: Path
) -> None:
    async with panel_on(shared_fleet, tmp_path / "a") as shown:
        await shown.get(other.url, "v2/team/app/manifests/there")
        await shown.choose(name_of(other))
        await shown.wait_for(f"REPLICA {name_of(other)}", "manifests/there")
        await shown.wait_for(f"Replica   {name_of(other)}", "Request headers", "user-agent: python")
        await shown.press("enter", "l")
        await shown.wait_for("MANIFEST_UNKNOWN")
        await shown.press("r")
        await shown.wait_for(f"replica {name_of(other)} has the request; replay it in its panel")


async def test_held_responses_of_another_replica(
    shared_fleet: Fleet, other: Brokenreg, tmp_path: Path
) -> None:
    async with panel_on(shared_fleet, tmp_path / "a") as shown:
        await shown.post(other, "/v1/rules", {"fault": {"type": "hold"}})
        await shown.choose("all")
        await shown.wait_for("ALL 2 REPLICAS")
        for key, status in (("a", 200), ("X", 0)):
            response = asyncio.create_task(shown.get(other.url))
            await shown.wait_for("1 HELD", f"#{name_of(other)}/", "HELD")
            await shown.press("e")
            await shown.wait_for(f"replica {name_of(other)} has the headers; edit them in its panel")
            await shown.press(key)
            if status:
                assert await response == status
            else:
                error = (await asyncio.gather(response, return_exceptions=True))[0]
                assert isinstance(error, httpx.TransportError)
            await shown.wait_for(gone="1 HELD")
        await shown.press("L")
        await shown.wait_for("brokenreg resume ", f"--replica {name_of(other)}", "brokenreg abort ")


async def test_a_read_only_panel_changes_nothing_at_another_replica(
    shared_fleet: Fleet, other: Brokenreg, tmp_path: Path
) -> None:
    async with panel_on(shared_fleet, tmp_path / "a", Access.READ) as shown:
        await shown.post(other, "/v1/rules", {"fault": {"type": "hold"}})
        await shown.choose("all")
        response = asyncio.create_task(shown.get(other.url))
        await shown.wait_for("1 HELD", "READ-ONLY")
        await shown.press("a")
        await shown.wait_for("this panel is read-only")
        assert (await shown.post(other, "/v1/resume"))["exchanges"] != []
        assert await response == 200


async def test_a_lost_replica_is_reported(fleet: Fleet, tmp_path: Path) -> None:
    other = fleet.process("b")
    async with panel_on(fleet, tmp_path / "a") as shown:
        await shown.choose("all")
        await shown.wait_for("ALL 2 REPLICAS")
        other.process.kill()
        await shown.wait_for("ALL 1 REPLICA", "1 REPLICA LOST")


async def test_where_the_index_is(shared_fleet: Fleet, tmp_path: Path) -> None:
    (password,) = passwords_in(shared_fleet.url)
    async with panel_on(shared_fleet, tmp_path / "a") as shown:
        await shown.press("4")
        screen = await shown.wait_for("index in postgresql://***@127.0.0.1:")
        assert password not in screen


async def test_many_exchanges_at_all_replicas(shared_fleet: Fleet, other: Brokenreg, tmp_path: Path) -> None:

    def pull(at: str) -> None:
        with httpx.Client(base_url=at) as http:
            for _ in range(100):
                http.get("/v2/team/app/manifests/many")

    async with panel_on(shared_fleet, tmp_path / "a") as shown:
        await shown.choose("all")
        await shown.wait_for("ALL 2 REPLICAS")
        with ThreadPoolExecutor(4) as threads:
            urls = [shown.url, other.url] * 2
            await asyncio.gather(*(asyncio.wrap_future(threads.submit(pull, each)) for each in urls))
        await shown.wait_for("400 exchanges", "0 in flight")


async def test_without_a_fleet_there_is_nothing_to_choose(tmp_path: Path) -> None:
    settings = Settings(listen=["127.0.0.1:0"], control=None, data=tmp_path, offline=True)
    async with Server.running(settings, Diagnostics()) as server:
        panel = Panel(server.runtime)
        async with panel.run_test(size=(100, 30), notifications=True) as pilot:
            await pilot.press("asterisk")
            await pilot.pause()
            assert any("not in a fleet" in each.message for each in panel._notifications)
