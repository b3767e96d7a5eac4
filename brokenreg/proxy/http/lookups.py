"""Looks up host names, each in its own thread.

If name servers do not respond, a lookup takes half a minute and cannot be stopped. Therefore lookups do not
share a pool with other work, their number is limited, and the process does not wait for them when it ends.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from brokenreg.concurrency import SingleFlight, in_own_thread
from brokenreg.http.authority import ip_address_of
from brokenreg.listening.inbound_connection import INBOUND
from brokenreg.oci.errors import shutting_down
from brokenreg.proxy.errors import UpstreamBusyError

MAX_LOOKUPS = 64
"""Maximum number of concurrent lookups."""

MAX_LOOKUPS_OF_ONE = 16
"""Maximum number of concurrent lookups for one client, or for one upstream and its redirects."""

_MAX_ADDRESSES = 32
"""Maximum number of addresses of one name that are used; a response can have thousands."""

Address = tuple[socket.AddressFamily, Any]
"""A family, and the address for `connect`."""

Resolve = Callable[[str, int], Awaitable[list[Address]]]
"""Returns the addresses of a host and port. Raises `OSError` or `UpstreamBusyError`."""


class Lookups:
    """Resolves names. Equal requests share a lookup. Belongs to one event loop. Call `close` when done."""

    def __init__(self) -> None:
        self._running: SingleFlight[tuple[str, int], list[Address]] = SingleFlight(shutting_down)
        self._caused: Counter[str] = Counter()

    async def resolve(self, host: str, port: int, upstream: str) -> list[Address]:
        """Return the addresses of a host. `upstream` is the upstream that caused the lookup.

        Raise `OSError` if it has none, and `UpstreamBusyError` if too many lookups are running. If the caller
        is cancelled, the lookup continues.
        """
        if ip_address_of(host) is not None:
            return _addresses(host, port)
        causes = (f"upstream {upstream}", f"client {_client()}")
        return await self._running.join((host, port), partial(self._start, host, port, causes))

    async def close(self) -> None:
        """Fail all waiting callers, and refuse new lookups. Running threads continue."""
        await self._running.close()

    def _start(self, host: str, port: int, causes: tuple[str, ...]) -> asyncio.Future[list[Address]]:
        self._check(causes)
        self._caused.update(causes)
        lookup = in_own_thread(partial(_addresses, host, port), f"lookup {host}")
        lookup.add_done_callback(partial(self._end, causes))
        return lookup

    def _end(self, causes: tuple[str, ...], _: asyncio.Future[list[Address]]) -> None:
        self._caused -= Counter(causes)  # drops counts of 0

    def _check(self, causes: tuple[str, ...]) -> None:
        if len(self._running) >= MAX_LOOKUPS:
            raise UpstreamBusyError(f"{MAX_LOOKUPS} other host names are being resolved; try again later")
        for cause in causes:
            if self._caused[cause] >= MAX_LOOKUPS_OF_ONE:
                raise UpstreamBusyError(
                    f"{MAX_LOOKUPS_OF_ONE} other host names are being resolved for {cause}; try again later"
                )


def _client() -> str:
    """Return the address of the client whose request this task serves."""
    inbound = INBOUND.get(None)
    return "" if inbound is None else inbound.client.rpartition(":")[0]


def _addresses(host: str, port: int) -> list[Address]:
    """Return the addresses of a host. Raise `OSError` if it has none. Blocks, except for an address."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty, or longer than 63 bytes
        raise socket.gaierror(socket.EAI_NONAME, "Not a valid host name") from None
    return [(family, address) for family, *_, address in found[:_MAX_ADDRESSES]]
