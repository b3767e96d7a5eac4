"""Tags and referrers of upstreams, fresh for as long as tags are."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode
from brokenreg.oci.mediatypes import MAX_MANIFEST, OCI_INDEX
from brokenreg.proxy.answers import refusal, unknown
from brokenreg.proxy.client import Tell, UpstreamClient, UpstreamResponse
from brokenreg.proxy.errors import UpstreamContentError, UpstreamError, UpstreamStatusError
from brokenreg.proxy.flights import Flights
from brokenreg.proxy.misses import Misses
from brokenreg.proxy.route import Route
from brokenreg.proxy.witness import Witness
from brokenreg.storage import Store
from brokenreg.traffic.exchange import Cache

_MOST_PAGES = 100
_MOST_LISTS = 256
_PAGE = 1000


class Listings:
    """Lists of upstreams; `client` is None if nobody may be asked. They are fresh for `ttl` seconds.

    `close` ends what is under way.
    """

    def __init__(self, client: UpstreamClient | None, store: Store, ttl: float) -> None:
        self._client = client
        self._index = store.index
        self._ttl = ttl
        self._misses = Misses()
        self._lists: OrderedDict[tuple[Route, str], tuple[float, list[Any]]] = OrderedDict()
        self._flights: Flights[tuple[Route, str], list[Any]] = Flights()

    async def tags(self, route: Route, witness: Witness) -> list[str]:
        """All tags. Raise `OCIError` if they are not to be had, and none are cached either."""
        repository = self._index.repository(route.key)
        cached = sorted(repository.tags) if repository else []
        return await self._list(route, f"tags/list?n={_PAGE}", _tags_of, cached, witness)

    async def referrers(self, route: Route, digest: Digest, witness: Witness) -> list[dict[str, Any]]:
        """Descriptors of what refers to a manifest. Raise `OCIError` as `tags` does."""
        repository = self._index.repository(route.key)
        cached = [each.descriptor() for each in repository.referrers(digest)] if repository else []
        return await self._list(route, f"referrers/{digest}", _manifests_of, cached, witness)

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def _list(
        self,
        route: Route,
        path: str,
        read: Callable[[Any], list[Any]],
        cached: list[Any],
        witness: Witness,
    ) -> list[Any]:
        until, known = self._lists.get((route, path), (0.0, cached))
        if time.monotonic() < until:
            witness.found(Cache.HIT)
            return known
        client = self._client
        if client is None:
            if cached:
                witness.found(Cache.HIT)
                return cached
            message = f"{route.name} is not here, and --offline asks nobody"
            raise unknown(ErrorCode.NAME_UNKNOWN, path.partition("?")[0], message)
        self._misses.check(route, path)
        follows = self._flights.is_under_way((route, path))
        try:
            found = await self._flights.join(
                (route, path), lambda: self._ask(client, route, path, read, witness.tell)
            )
        except UpstreamError as error:
            if isinstance(error, UpstreamStatusError):
                self._misses.note(route, path, error)
            if not (known and error.may_pass):
                raise
            witness.tell(f"stale: {error.message}")
            witness.found(Cache.STALE)
            return known
        witness.found(Cache.FOLLOWED if follows else Cache.MISS)
        return found

    async def _ask(
        self, client: UpstreamClient, route: Route, path: str, read: Callable[[Any], list[Any]], tell: Tell
    ) -> list[Any]:
        """Page after page."""
        first, found = path, []
        for _ in range(_MOST_PAGES):
            async with client.ask(route, "GET", path, headers={"accept": _ACCEPT}, tell=tell) as response:
                if response.status != 200:
                    raise refusal(route, ErrorCode.NAME_UNKNOWN, path.partition("?")[0], response)
                found += _read(response.source, await response.read(MAX_MANIFEST), read)
                after = _next_page(first, response)
            if after is None or after == path:
                break
            path = after
        self._lists.pop((route, first), None)
        self._lists[route, first] = (time.monotonic() + self._ttl, found)
        if len(self._lists) > _MOST_LISTS:
            self._lists.popitem(last=False)
        return found


_ACCEPT = f"{OCI_INDEX}, application/json"


def _read(source: str, body: bytes, read: Callable[[Any], list[Any]]) -> list[Any]:
    try:
        return read(json.loads(body))
    except (ValueError, TypeError, LookupError, RecursionError):
        raise UpstreamContentError(f"{source} sent a list that is none") from None


def _tags_of(document: Any) -> list[Any]:
    return [tag for tag in document["tags"] or () if isinstance(tag, str)]


def _manifests_of(document: Any) -> list[Any]:
    return [each for each in document["manifests"] or () if isinstance(each, dict)]


def _next_page(first: str, response: UpstreamResponse) -> str | None:
    """The query of Link: rel="next" (RFC 8288), on the path that we asked: never another."""
    link = response.header("link") or ""
    target, _, parameters = link.partition(">")
    if not target.startswith("<") or 'rel="next"' not in parameters.replace(" ", ""):
        return None
    query = parse_qs(urlsplit(target[1:]).query)
    kept = {name: query[name][0] for name in query}
    return f"{first.partition('?')[0]}?{urlencode(kept, safe='/:')}" if kept else None
