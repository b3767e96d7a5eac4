"""Lists of upstreams: tags and referrers. They are fresh for as long as tags are."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

from cachetools import LRUCache

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode
from brokenreg.oci.mediatypes import MAX_MANIFEST, MAX_VALUES, OCI_INDEX, count_values
from brokenreg.proxy.cache.freshness import CacheServices, Freshness, UpstreamAccess
from brokenreg.proxy.cache.list_pages import REFERRERS, TAGS, ListKind, next_page, without_query
from brokenreg.proxy.default_upstream import ContentRequest, RequestKind
from brokenreg.proxy.errors import UpstreamError, UpstreamStatusError
from brokenreg.proxy.http.statuses import status_error
from brokenreg.proxy.http.upstreams import Upstreams
from brokenreg.proxy.routes import Route, Via
from brokenreg.proxy.shared_requests import SharedRequests
from brokenreg.traffic.exchange import UpstreamTrace
from brokenreg.traffic.timeline_events import AddEvent
from brokenreg.traffic.upstream_events import Cache, ListLimit, ListTruncated, ServedStale

MAX_LISTS = 256
MAX_LIST_BYTES = 64 * 1024 * 1024
"""Maximum memory of all lists, in bytes."""

_MAX_PAGES = 100
_MAX_BYTES = 8 * MAX_MANIFEST
"""Maximum size of all pages of one list, in bytes; a page has at most `MAX_MANIFEST`."""

_MAX_ENTRIES = 200_000
"""Maximum number of entries of a list: sorting more would block the event loop, even in a thread."""

_VALUE = 64
"""Memory of a value besides its text, in bytes."""

_ALL_TAGS = "tags/list?n=1000"
"""The path of the first page of tags."""

_ACCEPT = {"accept": f"{OCI_INDEX}, application/json"}

Key = tuple[Route, str]
"""A repository, and the path of the list's first page."""


class ListCache(LRUCache[Key, tuple[list[Any], int]]):
    """Lists, limited in number and bytes. Calls `dropped` with the key of each evicted list."""

    def __init__(self, dropped: Callable[[Key], None]) -> None:
        super().__init__(MAX_LIST_BYTES, getsizeof=lambda entry: entry[1])
        self._dropped = dropped

    def store(self, key: Key, entries: list[Any], size: int) -> None:
        """Store a list in place of the previous one. Drop it if it exceeds the limit on its own."""
        self.pop(key, None)
        if size > self.maxsize:
            self._dropped(key)
            return
        while len(self) >= MAX_LISTS:
            self.popitem()
        self[key] = entries, size

    def popitem(self) -> tuple[Key, tuple[list[Any], int]]:
        """Evict the least recently read list."""
        key, entry = super().popitem()
        self._dropped(key)
        return key, entry


class Listings:
    """Serves lists of upstreams. With `keep_gone`, entries that an upstream has deleted stay in them.

    `close` ends all requests.
    """

    def __init__(self, services: CacheServices) -> None:
        self._access = UpstreamAccess(services.client, ErrorCode.NAME_UNKNOWN)
        self._index = services.store.index
        self._keep_gone = services.keep_gone
        self._default_upstream = services.default_upstream
        self._freshness = Freshness(services.ttl)
        self._lists = ListCache(lambda key: self._freshness.forget(*key))
        self._flights: SharedRequests[tuple[Key, Via, bool], tuple[list[Any], Cache]] = SharedRequests()

    def has_tags(self, route: Route) -> bool:
        """Return whether a tag of that upstream is known."""
        repository = self._index.repository(route.key)
        return (route, _ALL_TAGS) in self._lists or bool(repository and repository.tags.names)

    async def tags(self, route: Route, trace: UpstreamTrace) -> list[str]:
        """Return all tags, in order. Raise `OCIError` if the upstream fails and no tag is cached."""
        repository = self._index.repository(route.key)
        cached = repository.tags.names if repository else []
        listed = await self._list((route, _ALL_TAGS), TAGS, lambda: cached, trace)
        return _with_gone(listed, cached) if self._keep_gone else listed

    async def referrers(self, route: Route, digest: Digest, trace: UpstreamTrace) -> list[dict[str, Any]]:
        """Return descriptors of a manifest's referrers, by digest. Raise `OCIError` as `tags` does."""

        def cached() -> list[dict[str, Any]]:
            repository = self._index.repository(route.key)
            return [each.descriptor() for each in repository.referrers(digest)] if repository else []

        return await self._list((route, f"referrers/{digest}"), REFERRERS, cached, trace)

    async def close(self) -> None:
        """End all requests."""
        await self._flights.close()

    async def _list(
        self, key: Key, kind: ListKind, cached: Callable[[], list[Any]], trace: UpstreamTrace
    ) -> list[Any]:
        """Return a list. If the upstream fails, return a known one, or `cached` (from pulled manifests)."""
        route, path = key
        kept = self._lists.get(key)
        known = (cached() or None) if kept is None else kept[0]
        state = self._freshness.state(*key) if self._access.is_allowed(route) else Cache.HIT
        if known is not None and state is not None:
            trace.found(state)
            return known
        name = without_query(path)
        client = self._access.client(route, name)
        flight = (key, route.via, bool(route.short_name))  # a 429 is retried only for full names
        is_joined = self._flights.is_under_way(flight)
        found, cache = await self._default_upstream.run(
            route,
            ContentRequest(RequestKind.LIST, ErrorCode.NAME_UNKNOWN, name),
            lambda: self._flights.join(flight, lambda: self._fetch(client, key, kind, trace.add)),
            lambda error: self._fall_back(key, known, error, trace.add),
        )
        trace.found(Cache.JOINED if is_joined and cache is not Cache.STALE else cache)
        return found

    def _fall_back(
        self, key: Key, known: list[Any] | None, error: UpstreamError, add_event: AddEvent
    ) -> tuple[list[Any], Cache]:
        """Return a known list as stale if the failure allows it, or raise the error again.

        Forget the list if the upstream has deleted it.
        """
        is_gone = isinstance(error, UpstreamStatusError) and error.is_gone
        is_kept = is_gone and self._keep_gone and known is not None
        if is_gone and not is_kept:
            self._access.note(key[0], without_query(key[1]), error)
            self._lists.pop(key, None)
            self._freshness.forget(*key)
        if known is None or not (error.is_transient or is_kept):
            raise error
        self._freshness.postpone(*key)
        add_event(ServedStale(error.message))
        return known, Cache.STALE

    async def _fetch(
        self, client: Upstreams, key: Key, kind: ListKind, add_event: AddEvent
    ) -> tuple[list[Any], Cache]:
        """Request all pages of a list, up to the limits, and keep the list. Raise `UpstreamError`."""
        route, first = key
        path: str | None = first
        requested: set[str] = set()
        found: list[Any] = []
        left, values = _MAX_BYTES, 0
        while path is not None and path not in requested:
            if len(requested) == _MAX_PAGES:
                add_event(ListTruncated(ListLimit.PAGES, _MAX_PAGES))
                break
            requested.add(path)
            async with client.request(
                route, "GET", path, headers=_ACCEPT, add_event=add_event, retry_429=not route.short_name
            ) as response:
                if response.status == 400 and path == first and "?" in path:
                    path = without_query(path)  # the upstream may have refused the page size
                    continue
                if response.status != 200:
                    raise await status_error(route, ErrorCode.NAME_UNKNOWN, without_query(first), response)
                source, body = response.source_with_encoding, await response.read(min(left, MAX_MANIFEST))
                path = next_page(source, path, response.header("link"))
            left -= len(body)
            values += count_values(body)
            if values > MAX_VALUES and found:
                add_event(ListTruncated(ListLimit.VALUES, len(requested) - 1))
                break
            found += await asyncio.to_thread(kind.read, source, body)  # takes up to 0.3 s
            if len(found) > _MAX_ENTRIES:
                del found[_MAX_ENTRIES:]
                add_event(ListTruncated(ListLimit.ENTRIES, _MAX_ENTRIES))
                break
        found = await asyncio.to_thread(kind.sort, found)  # pages for clients are slices of it
        self._freshness.confirm(*key)
        self._lists.store(key, found, _MAX_BYTES - left + values * _VALUE)
        return found, Cache.MISS


def _with_gone(listed: list[str], cached: Iterable[str]) -> list[str]:
    """Return `listed` and the tags of `cached` that are missing there, in order: these are still served."""
    gone = [tag for tag in cached if listed[(at := bisect_left(listed, tag)) : at + 1] != [tag]]
    return sorted([*listed, *gone]) if gone else listed
