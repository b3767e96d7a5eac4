"""A client that waits for a large fabricated image: the exchange shows the progress; it may disconnect."""

from __future__ import annotations

import asyncio

import httpx

from tests.server import Brokenreg


async def test_the_exchange_has_the_progress_and_ends_when_the_client_disconnects(
    own_registry: Brokenreg,
) -> None:
    path = "/v2/broken/random/manifests/layers-100_size-1gib"
    async with (
        httpx.AsyncClient(base_url=own_registry.control) as control,
        httpx.AsyncClient(base_url=own_registry.url, timeout=30) as client,
        asyncio.timeout(20),
    ):

        async def exchange() -> dict[str, object]:
            found = (await control.get("/v1/exchanges/1")).json()
            return found if "timeline" in found else {"progress": None, "ended": None}

        pull = asyncio.create_task(client.get(path))
        while (waiting := await exchange())["progress"] is None:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        assert str(waiting["progress"]).startswith("fabricating layer 1 of 100, ")
        assert waiting["status"] is None
        _, started, *_ = waiting["timeline"]  # type: ignore[misc]
        assert started["text"].startswith("fabricating 100 layers of 1 GiB, about ")
        assert started["kind"] == "fabrication-started"
        assert (started["data"]["layers"], started["data"]["layer_size"]) == (100, 1024**3)
        pull.cancel()
        await asyncio.gather(pull, return_exceptions=True)
        while (ended := await exchange())["ended"] is None:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        assert (ended["ended"], ended["progress"]) == ("disconnected", None)
        small = await client.get("/v2/broken/random/manifests/layers-1_size-1")
        assert small.status_code == 200
