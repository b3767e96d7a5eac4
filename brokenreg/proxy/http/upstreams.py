"""The interface for requests to upstreams, without importing the HTTP client at startup."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from brokenreg.late_imports import Late
from brokenreg.oci.errors import shutting_down
from brokenreg.proxy.routes import Route
from brokenreg.traffic.timeline_events import AddEvent

if TYPE_CHECKING:
    from brokenreg.proxy.http.client import UpstreamClient, UpstreamResponse


class Upstreams(Protocol):
    """Sends requests to upstreams. `UpstreamClient` implements it."""

    @property
    def pseudonym(self) -> str:
        """Return the name of this proxy in its own requests."""

    def request(
        self,
        route: Route,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        add_event: AddEvent,
        retry_429: bool = True,
    ) -> AbstractAsyncContextManager[UpstreamResponse]:
        """Send a request. The response must be read within the block."""

    async def close(self) -> None:
        """Close all connections, and refuse new ones."""


class LateUpstreams:
    """Creates an `UpstreamClient` with that pseudonym after startup."""

    def __init__(self, make: Callable[[], UpstreamClient], pseudonym: str) -> None:
        self.pseudonym = pseudonym
        self.client = Late(make)
        self._is_closed = False

    @asynccontextmanager
    async def request(
        self,
        route: Route,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        add_event: AddEvent,
        retry_429: bool = True,
    ) -> AsyncIterator[UpstreamResponse]:
        """Send a request, as `UpstreamClient.request` does."""
        if self._is_closed:
            raise shutting_down()
        client = await self.client.get()
        async with client.request(
            route, method, path, headers=headers, add_event=add_event, retry_429=retry_429
        ) as response:
            yield response

    async def close(self) -> None:
        """Close all connections, and refuse new ones."""
        self._is_closed = True
        if self.client.has_begun:
            client = await self.client.get()
            await client.close()
