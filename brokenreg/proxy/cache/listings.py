"""Tags and referrers of upstreams, fresh for as long as tags are."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import MAX_MANIFEST, MAX_VALUES, OCI_INDEX, count_values, has_too_many_values
from brokenreg.oci.names import is_tag
from brokenreg.proxy.cache.freshness import Contact, Freshness
from brokenreg.proxy.cache.kept import KeptLists, Key
from brokenreg.proxy.cache.pages import LONGEST, next_page
from brokenreg.proxy.errors import (
    UpstreamContentError,
    UpstreamError,
    UpstreamStatusError,
)
from brokenreg.proxy.http.client import Tell, UpstreamClient
from brokenreg.proxy.http.statuses import refusal
from brokenreg.proxy.own_names import Inquiry, OwnNames, Wanted
from brokenreg.proxy.routes import Route
from brokenreg.proxy.shared_requests import SharedRequests
from brokenreg.proxy.via import Via
from brokenreg.storage import Store
from brokenreg.traffic.exchange import Cache
from brokenreg.traffic.upstream_trace import UpstreamTrace

_MOST_PAGES = 100
_MOST_BYTES = 8 * MAX_MANIFEST
"""Maximum size of all pages of one list, in bytes; a page has at most `MAX_MANIFEST`."""

_MOST_ENTRIES = 200_000
"""Maximum number of entries of a list: sorting more would block the event loop from any thread."""

_VALUE = 64
"""Memory of a value besides its text, in bytes."""

_PAGE = 1000
_ACCEPT = {"accept": f"{OCI_INDEX}, application/json"}

Read = Callable[[Any], list[Any]]
"""What of a document is wanted. Raise `ValueError`, `TypeError` or `LookupError` if it is of no such form."""


class Listings:
    """Lists of upstreams, fresh for `ttl` seconds; `client` is None if no upstream may be contacted.

    With `keep_gone`, entries that an upstream has deleted stay in them. `close` ends all requests.
    """

    def __init__(
        self,
        client: UpstreamClient | None,
        store: Store,
        ttl: float,
        *,
        keep_gone: bool = False,
        own_names: OwnNames | None = None,
    ) -> None:
        self._contact = Contact(client, ErrorCode.NAME_UNKNOWN)
        self._index = store.index
        self._keep_gone = keep_gone
        self._own_names = own_names or OwnNames()
        self._freshness = Freshness(ttl)
        self._lists = KeptLists()
        self._flights: SharedRequests[tuple[Key, Via, bool], tuple[list[Any], Cache]] = SharedRequests()

    async def tags(self, route: Route, trace: UpstreamTrace) -> list[str]:
        """Return all tags, in order. Raise `OCIError` if the upstream fails and no tag is cached."""
        repository = self._index.repository(route.key)
        cached = repository.tags.names if repository else []
        listed = await self._list((route, f"tags/list?n={_PAGE}"), _tags_of, lambda: cached, trace)
        return _with_gone(listed, cached) if self._keep_gone else listed

    async def referrers(self, route: Route, digest: Digest, trace: UpstreamTrace) -> list[dict[str, Any]]:
        """Return descriptors of a manifest's referrers, by digest. Raise `OCIError` as `tags` does."""

        def cached() -> list[dict[str, Any]]:
            repository = self._index.repository(route.key)
            return [each.descriptor() for each in repository.referrers(digest)] if repository else []

        return await self._list((route, f"referrers/{digest}"), _manifests_of, cached, trace)

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def _list(
        self, key: Key, read: Read, cached: Callable[[], list[Any]], trace: UpstreamTrace
    ) -> list[Any]:
        """`cached` is what those manifests tell that were pulled: better than nothing."""
        route, path = key
        known = self._lists.get(key)
        if known is None:
            known = cached() or None
        is_allowed = self._contact.is_allowed(route)
        unasked = self._freshness.unasked(*key) if is_allowed else Cache.HIT
        if known is not None and unasked is not None:
            trace.found(unasked)
            return known
        name = _without_query(path)
        client = self._contact.client(route, name)
        flight = (key, route.via, bool(route.own))  # requests with less patience do not share it
        follows = self._flights.is_under_way(flight)
        found, cache = await self._own_names.answer(
            route,
            Wanted(Inquiry.LIST, ErrorCode.NAME_UNKNOWN, name),
            lambda: self._flights.join(flight, lambda: self._ask(client, key, read, trace.tell)),
            lambda error: self._fall_back(key, known, error, trace.tell),
        )
        trace.found(Cache.JOINED if follows and cache is not Cache.STALE else cache)
        return found

    def _fall_back(
        self, key: Key, known: list[Any] | None, error: UpstreamError, tell: Tell
    ) -> tuple[list[Any], Cache]:
        """What is known where the failure may pass; raise it where not. A list that is gone is forgotten."""
        is_gone = isinstance(error, UpstreamStatusError) and error.is_gone
        is_kept = is_gone and self._keep_gone and known is not None
        if is_gone and not is_kept:
            self._contact.note(key[0], _without_query(key[1]), error)
            self._lists.forget(key)
            self._freshness.forget(*key)
        if known is None or not (error.may_pass or is_kept):
            raise error
        self._freshness.postpone(*key)
        tell(f"stale: {error.message}")
        return known, Cache.STALE

    async def _ask(self, client: UpstreamClient, key: Key, read: Read, tell: Tell) -> tuple[list[Any], Cache]:
        """Page after page, until there is no other. Raise `UpstreamError`."""
        route, first = key
        path: str | None = first
        asked: set[str] = set()
        found: list[Any] = []
        left, values = _MOST_BYTES, 0
        while path is not None and path not in asked:
            if len(asked) == _MOST_PAGES:
                tell(f"the list is cut short after {_MOST_PAGES} pages")
                break
            asked.add(path)
            async with client.ask(
                route, "GET", path, headers=_ACCEPT, tell=tell, is_patient=not route.own
            ) as response:
                if response.status == 400 and path == first and "?" in path:
                    path = _without_query(path)  # the upstream refuses that page size
                    continue
                if response.status != 200:
                    raise await refusal(route, ErrorCode.NAME_UNKNOWN, _without_query(first), response)
                source, body = response.sender, await response.read(min(left, MAX_MANIFEST))
                path = _next_page(source, path, response.header("link"))
            left -= len(body)
            values += count_values(body)
            if values > MAX_VALUES and found:
                tell(f"the list is cut short after {len(asked) - 1} pages, for the next has too many values")
                break
            found += await asyncio.to_thread(_read, source, body, read)  # 0.3 s for the longest
            if len(found) > _MOST_ENTRIES:
                del found[_MOST_ENTRIES:]
                tell(f"the list is cut short after {_MOST_ENTRIES:,} entries")
                break
        # Pages for clients are cut from this list.
        found = await asyncio.to_thread(_ordered_tags if read is _tags_of else _ordered_manifests, found)
        self._freshness.confirm(*key)
        for forgotten in self._lists.keep(key, found, _MOST_BYTES - left + values * _VALUE):
            self._freshness.forget(*forgotten)
        return found, Cache.MISS


def _next_page(source: str, path: str, link: str | None) -> str | None:
    try:
        return next_page(path, link)
    except ValueError:
        raise UpstreamContentError(
            f"{source} sent a Link of more than {LONGEST} characters with a page of a list"
        ) from None


def _without_query(path: str) -> str:
    return path.partition("?")[0]


def _with_gone(listed: list[str], cached: Iterable[str]) -> list[str]:
    """Return both in order: cached tags that are no longer listed are still served."""
    gone = [tag for tag in cached if listed[(at := bisect_left(listed, tag)) : at + 1] != [tag]]
    return sorted([*listed, *gone]) if gone else listed


def _read(source: str, body: bytes, read: Read) -> list[Any]:
    if has_too_many_values(body):
        raise UpstreamContentError(f"{source} sent a page of a list with more than {MAX_VALUES} values")
    try:
        return read(json.loads(body))
    except (ValueError, TypeError, LookupError, RecursionError):
        raise UpstreamContentError(f"{source} sent a list that is none") from None


def _tags_of(document: Any) -> list[Any]:
    """Those that can be asked for."""
    return [tag for tag in _members(document, "tags") if isinstance(tag, str) and is_tag(tag)]


def _ordered_tags(tags: list[Any]) -> list[Any]:
    return sorted(set(tags))


def _ordered_manifests(manifests: list[Any]) -> list[Any]:
    """Sort descriptors by digest, and keep the first of those with the same digest."""
    distinct = {each["digest"]: each for each in reversed(manifests)}
    return [distinct[digest] for digest in sorted(distinct)]


def _manifests_of(document: Any) -> list[Any]:
    """Return the valid tags. Raise `ValueError` also if they cannot be passed on as JSON."""
    manifests = [each for each in _members(document, "manifests") if _is_descriptor(each)]
    json.dumps(manifests, ensure_ascii=False, allow_nan=False).encode()
    return manifests


def _members(document: Any, name: str) -> list[Any]:
    """Some registries say null where there are none. Raise `TypeError` or `LookupError`."""
    members = document[name]
    if members is None:
        return []
    if not isinstance(members, list):
        raise TypeError
    return members


def _is_descriptor(value: Any) -> bool:
    try:
        return bool(isinstance(value, dict) and Digest.parse(value["digest"]))
    except (OCIError, LookupError, TypeError, AttributeError):
        return False
