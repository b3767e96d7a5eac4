"""Connecting to a host that has several addresses, of which some may be dead (RFC 8305)."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Iterable
from typing import Any

Address = tuple[socket.AddressFamily, Any]
"""A family, and what `connect` takes."""

_HEAD_START = 0.25
"""Seconds that an address has before the next is tried as well (RFC 8305, section 5)."""


async def connect(addresses: Iterable[Address]) -> socket.socket:
    """A connection that does not block, to whichever address answers first.

    Raise the `OSError` of the first that failed if none answers.
    """
    waiting = _alternating(addresses)
    attempts: list[asyncio.Task[socket.socket]] = []
    under_way: set[asyncio.Task[socket.socket]] = set()
    failures: list[BaseException] = []
    try:
        while waiting or under_way:
            if waiting:
                attempts.append(asyncio.create_task(_connect(*waiting.pop(0))))
                under_way.add(attempts[-1])
            head_start = _HEAD_START if waiting else None
            done, under_way = await asyncio.wait(
                under_way, timeout=head_start, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                if (failure := attempt.exception()) is None:
                    attempts.remove(attempt)
                    return attempt.result()
                failures.append(failure)
        raise failures[0] if failures else OSError("it has no address")
    finally:
        await _drop(attempts)


def _alternating(addresses: Iterable[Address]) -> list[Address]:
    """In the resolver's order, but by turns of both families (RFC 8305, section 4)."""
    families: dict[socket.AddressFamily, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turns = itertools.zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]


async def _connect(family: socket.AddressFamily, address: Any) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _drop(attempts: list[asyncio.Task[socket.socket]]) -> None:
    """Nobody needs their connections any more."""
    for attempt in attempts:
        attempt.cancel()
    for outcome in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(outcome, socket.socket):
            outcome.close()
