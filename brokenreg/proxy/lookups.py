"""Name lookups, each in a thread of its own.

A resolver whose servers do not respond takes half a minute, and cannot be stopped. So lookups share no pool
with other work, there are never more than a few, and the process does not wait for them when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable

from brokenreg.proxy.connecting import Address
from brokenreg.proxy.errors import UpstreamBusyError
from brokenreg.wire.arrival import ARRIVAL

MOST = 64
"""Lookups at once."""

MOST_OF_ONE = 16
"""Lookups at once that one client has caused, or one upstream, by whatever it redirects to."""

_MOST_ADDRESSES = 32
"""Addresses of one name that are of interest; a response has room for thousands."""

Resolve = Callable[[str, int], Awaitable[list[Address]]]
"""Return the addresses of a host and port. Raise `OSError` or `UpstreamBusyError`."""


class Lookups:
    """Resolves names, each once for all who want it. Belongs to one event loop."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, int], asyncio.Future[list[Address]]] = {}
        self._caused: Counter[str] = Counter()

    async def resolve(self, host: str, port: int, upstream: str) -> list[Address]:
        """Return the addresses of a host; `upstream` is the one that leads there.

        Raise `OSError` if there are none, `UpstreamBusyError` if too many lookups have not ended yet. Whoever
        waits may be cancelled, the lookup goes on.
        """
        if _is_address(host):
            return _addresses(host, port)
        lookup = self._running.get((host, port))
        if lookup is None:
            lookup = self._start(host, port, (f"upstream {upstream}", f"client {_client()}"))
        return await asyncio.shield(lookup)

    def _start(self, host: str, port: int, causes: tuple[str, ...]) -> asyncio.Future[list[Address]]:
        self._check(causes)
        loop = asyncio.get_running_loop()
        lookup: asyncio.Future[list[Address]] = loop.create_future()

        def end(found: list[Address], error: Exception | None) -> None:
            del self._running[host, port]
            self._caused -= Counter(causes)  # drops what is 0
            if error is None:
                lookup.set_result(found)
            else:
                lookup.set_exception(error)
                lookup.exception()  # seen, even if nobody waits any more

        def run() -> None:
            found, failure = list[Address](), None
            try:
                found = _addresses(host, port)
            except Exception as error:  # noqa: BLE001 - raised to all who wait, who would wait forever otherwise
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(end, found, failure)

        threading.Thread(target=run, name=f"lookup {host}", daemon=True).start()
        self._running[host, port] = lookup
        self._caused.update(causes)
        return lookup

    def _check(self, causes: tuple[str, ...]) -> None:
        if len(self._running) >= MOST:
            raise UpstreamBusyError(f"{MOST} other host names are being resolved; try again later")
        for cause in causes:
            if self._caused[cause] >= MOST_OF_ONE:
                raise UpstreamBusyError(
                    f"{cause} leads to {MOST_OF_ONE} other host names that are being resolved; "
                    "try again later"
                )


def _client() -> str:
    """Who made the request that this task serves."""
    arrival = ARRIVAL.get(None)
    return "" if arrival is None else arrival.client.rpartition(":")[0]


def _is_address(host: str) -> bool:
    """Return whether a host is an address, looked up nowhere. Odd spellings are left to the resolver."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(host: str, port: int) -> list[Address]:
    """Return the addresses of a host. Raise `OSError` if there are none. Blocks unless it is an address."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty, or longer than 63 bytes
        raise socket.gaierror(socket.EAI_NONAME, "Not a valid host name") from None
    return [(family, address) for family, *_, address in found[:_MOST_ADDRESSES]]
