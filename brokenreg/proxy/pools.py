"""Connections to upstreams, kept apart: those of one serve no other, for others may be trusted less."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from brokenreg.oci.errors import shutting_down
from brokenreg.proxy.errors import UpstreamBusyError


@dataclass(slots=True)
class _Pool:
    client: httpx.AsyncClient
    users: int = 0


class Pools:
    """A client for each upstream, by `make`, and at most `limit` of them: their names come from anybody.

    For a further one that which was not used for longest is closed, never one in use. `close` when done.
    """

    def __init__(self, make: Callable[[str], httpx.AsyncClient], limit: int) -> None:
        self._make = make
        self._limit = limit
        self._pools: dict[str, _Pool] = {}  # that used last is last
        self._is_closed = False

    @asynccontextmanager
    async def using(self, upstream: str) -> AsyncIterator[httpx.AsyncClient]:
        """Provide the client of one upstream within the block.

        Raise `UpstreamBusyError` if all others are in use, `OCIError` 503 once this is closed.
        """
        if self._is_closed:
            raise shutting_down()
        pool = self._pools.pop(upstream, None)
        given_up = self._make_room() if pool is None else None
        pool = pool or _Pool(self._make(upstream))
        self._pools[upstream] = pool
        pool.users += 1
        try:
            if given_up is not None:
                await given_up.aclose()
            yield pool.client
        finally:
            pool.users -= 1

    async def close(self) -> None:
        """Close all connections, and refuse new ones."""
        self._is_closed = True
        for pool in self._pools.values():
            await pool.client.aclose()

    def _make_room(self) -> httpx.AsyncClient | None:
        """The client that a further one takes the place of, if it needs one."""
        if len(self._pools) < self._limit:
            return None
        name = next((name for name, pool in self._pools.items() if not pool.users), None)
        if name is None:
            raise UpstreamBusyError(
                f"{self._limit} other upstreams are being asked just now; try again later"
            )
        return self._pools.pop(name).client
