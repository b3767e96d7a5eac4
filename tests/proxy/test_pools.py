"""Connection pools: one for each upstream; the least recently used is closed, but never one in use."""

from __future__ import annotations

import asyncio
import gc

import pytest

from brokenreg.proxy.errors import UpstreamBusyError
from brokenreg.proxy.routes import Route
from tests.proxy.asked import OK, Listening, asking, get

KEPT = 128
"""Upstreams to which connections are kept at once."""


async def test_connections_to_unused_upstreams_are_closed() -> None:
    names = [f"upstream{number}" for number in range(KEPT + 2)]
    async with Listening.at() as server, asking(dict.fromkeys(names, server.url)) as client:
        gc.disable()  # which would close some sooner or later
        try:
            for name in names[:KEPT]:
                await get(client, name)
            await get(client, names[0])  # so that the second is that not used for longest
            assert server.open == len(server.connections) == KEPT
            for name in names[KEPT:]:
                await get(client, name)
            async with asyncio.timeout(5):
                await server.connections[1].wait()
                await server.connections[2].wait()
            assert server.open == KEPT
            assert not server.connections[0].is_set()
        finally:
            gc.enable()


@pytest.mark.slow
async def test_used_connections_stay_open_and_are_limited() -> None:
    names = [f"upstream{number}" for number in range(KEPT + 1)]
    async with Listening.at() as server, asking(dict.fromkeys(names, server.url)) as client:
        going_on, reading = asyncio.Event(), asyncio.Semaphore(0)

        async def read_slowly(name: str) -> bytes:
            async with client.request(Route(name, "a/b"), "GET", "tags/list", add_event=print) as response:
                reading.release()
                await going_on.wait()
                return await response.read(100)

        async with asyncio.TaskGroup() as tasks, asyncio.timeout(20):
            readers = [tasks.create_task(read_slowly(name)) for name in names[:KEPT]]
            for _ in readers:
                await reading.acquire()
            with pytest.raises(UpstreamBusyError, match="try again") as refused:
                await get(client, names[-1])
            assert refused.value.status == 503
            assert int(refused.value.headers["retry-after"]) > 0
            assert await get(client, names[0]) == b"{}"
            going_on.set()
        assert [reader.result() for reader in readers] == [b"{}"] * KEPT
        assert await get(client, names[-1]) == b"{}"


async def test_a_connection_is_used_again() -> None:
    async with Listening.at() as server, asking({"upstream": server.url}) as client:
        for _ in range(3):
            assert await get(client, "upstream") == b"{}"
        assert (len(server.connections), len(server.requests)) == (1, 3)


async def test_no_cookie_is_kept() -> None:
    """A cookie from one pull is not sent with another."""
    answer = OK.replace(b"\r\n", b"\r\nSet-Cookie: who=somebody; Path=/\r\n", 1)
    async with Listening.at(answer) as server, asking({"upstream": server.url}) as client:
        for _ in range(2):
            assert await get(client, "upstream") == b"{}"
        assert len(server.requests) == 2
        assert not any(b"somebody" in request for request in server.requests)
