"""A replica that stops waits for clients that push to its upload sessions through other replicas."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from brokenreg.assembly import stopping
from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from tests.fleet.fleets import KEY, Fleet
from tests.fleet.test_upload_forwarding import digest_of


async def until_refused(client: httpx.AsyncClient) -> None:
    """Wait until no more connections are accepted."""
    while True:
        try:
            await client.get("/healthz", headers={"connection": "close"})
        except httpx.ConnectError:
            return


async def test_a_push_through_another_replica_is_completed(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "LEAD", 0.0)
    monkeypatch.setattr(stopping, "_BETWEEN_REQUESTS", 3600.0)
    second = await asyncio.to_thread(fleet.thread, "b")
    settings = Settings(
        listen=["127.0.0.1:0"], control="off", data=tmp_path / "a", offline=True, stop_timeout="1h",
        database=fleet.url, fleet_key=KEY, blobs="file:",
    )  # fmt: skip
    leaving = asyncio.Event()
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        async with Server.running(settings, Diagnostics()) as server:
            url.set_result(server.registry_urls[0])
            await leaving.wait()

    running = asyncio.create_task(run())
    async with (
        httpx.AsyncClient(base_url=await url, timeout=30) as first,
        httpx.AsyncClient(base_url=second.url, timeout=30) as other,
    ):
        started = await first.post("/v2/team/app/blobs/uploads/")
        leaving.set()
        await until_refused(first)
        path = started.headers["location"]
        for part in (b"one ", b"two"):
            patched = await other.patch(path, content=part)
            assert patched.status_code == 202, patched.text
        put = await other.put(path, params={"digest": digest_of(b"one two")})
        assert put.status_code == 201, put.text
        await asyncio.wait_for(running, 30)
        assert (await other.patch(path, content=b"x")).status_code == 404
