"""Connecting to a host with several addresses, some of which do not respond."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from brokenreg.proxy.http.connecting import connect
from brokenreg.proxy.http.lookups import Address


@contextmanager
def listening() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield socket.AF_INET, server.getsockname()


@contextmanager
def silent() -> Iterator[Address]:
    """An address that does not respond, because its backlog is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        callers = []
        for _ in range(4):
            callers.append(socket.socket())
            callers[-1].setblocking(False)
            callers[-1].connect_ex(server.getsockname())
        try:
            yield socket.AF_INET, server.getsockname()
        finally:
            for caller in callers:
                caller.close()


@contextmanager
def refusing() -> Iterator[Address]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield socket.AF_INET, unused.getsockname()


async def test_a_dead_address_costs_a_quarter_of_a_second() -> None:
    with silent() as dead, listening() as alive:
        async with asyncio.timeout(5):
            connection = await connect([dead, alive])
        with connection:
            assert connection.getpeername() == alive[1]
            assert not connection.getblocking()


async def test_a_refusing_address_causes_no_delay() -> None:
    with refusing() as closed, listening() as alive, listening() as other:
        connection = await connect([closed, alive, other])
        with connection:
            assert connection.getpeername() == alive[1]


async def test_no_address_responds() -> None:
    with refusing() as closed, refusing() as other, pytest.raises(ConnectionRefusedError):
        await connect([closed, other])
    with pytest.raises(OSError, match="no address"):
        await connect([])


async def test_cancelling_leaves_no_socket_open(recwarn: pytest.WarningsRecorder) -> None:
    with silent() as dead, silent() as other:
        attempt = asyncio.create_task(connect([dead, other]))
        await asyncio.sleep(0.3)  # both are under way
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
    del attempt
    assert not [each for each in recwarn if each.category is ResourceWarning]


async def test_address_families_alternate() -> None:
    """An IPv6 network that does not respond causes no delay, however many addresses it has."""
    with listening() as alive:
        dead = [(socket.AF_INET6, ("::1", 1, 0, 0))] * 3
        with await connect([*dead, alive]) as connection:
            assert connection.family is socket.AF_INET
