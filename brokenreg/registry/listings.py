"""The ping, and lists of names in pages: tags and the catalog (distribution-spec, "Listing Tags")."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import cache
from heapq import merge
from itertools import groupby, islice
from urllib.parse import urlencode

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.sizes import whole_number
from brokenreg.proxy.routes import Route
from brokenreg.registry.request import RegistryRequest
from brokenreg.registry.responses import Response, json_response

_PING = json_response({})


def ping(_: RegistryRequest) -> Response:
    """GET `/v2/`: confirm that this is a registry."""
    return _PING


def list_tags(request: RegistryRequest) -> Response | Awaitable[Response]:
    """GET `/v2/<name>/tags/list`: list the tags. The list of a fabricated repository is empty."""
    if request.is_fabricated:
        return _tags(request)
    try:
        route = request.route
        if route is not None and not (request.repository and _is_all_here(request, route)):
            return _tags_with_upstream(request, route)
    except OCIError:
        if request.repository is None:
            raise
    if request.repository is None:
        raise OCIError(404, ErrorCode.NAME_UNKNOWN, f"nothing was pushed to {request.target.name}")
    return _tags(request)


def list_catalog(request: RegistryRequest) -> Response | Awaitable[Response]:
    """GET `/v2/_catalog`: list the default namespace's repositories and the settings' fabricated ones."""
    return _delayed_catalog(request) if request.catalog.delay else _catalog(request)


def _is_all_here(request: RegistryRequest, route: Route) -> bool:
    """Return whether the upstream cannot add tags, because it is not contacted and none of them is cached."""
    return bool(route.no_contact_reason) and not request.proxy.listings.has_tags(route)


async def _tags_with_upstream(request: RegistryRequest, route: Route) -> Response:
    """List the upstream's tags too. If they cannot be fetched, list only the pushed ones."""
    try:
        listing = request.proxy.listings.tags(route, request.trace)
        is_waiting = not route.no_contact_reason
        return _tags(request, await (request.unless_gone(listing) if is_waiting else listing))
    except OCIError:
        if request.repository is None:
            raise
        return _tags(request)


def _tags(request: RegistryRequest, upstream: Sequence[str] = ()) -> Response:
    here = request.repository.tags.names if request.repository else []
    path = f"{request.target.root}/v2/{request.target.name}/tags/list"
    page, headers = page_of(request.parameter, (here, upstream), path, request.target.query)
    return json_response({"name": request.target.name, "tags": page}, headers)


async def _delayed_catalog(request: RegistryRequest) -> Response:
    await request.unless_gone(asyncio.sleep(request.catalog.delay))
    return _catalog(request)


def _catalog(request: RegistryRequest) -> Response:
    lists = request.store.index.catalog, _fabricated(request.catalog.fabricated)
    page, headers = page_of(request.parameter, lists, "/v2/_catalog")
    return json_response({"repositories": page}, headers)


@cache
def _fabricated(count: int) -> list[str]:
    """Return `count` names of repositories, in order."""
    return sorted(f"catalog/repository-{number:06}" for number in range(1, count + 1))


def page_of(
    parameter: Callable[[str], str | None], lists: Sequence[Sequence[str]], path: str, kept: str = ""
) -> tuple[Sequence[str], dict[str, str]]:
    """Return the requested page of names from sorted `lists`, and a Link header if more follow.

    `parameter` returns a query parameter (`n`, `last`); `kept` is the part of the query that the link must
    repeat. The cost depends on the length of the page, not of the lists. Raise `OCIError` 400
    PAGINATION_NUMBER_INVALID if `n` is not a whole number from 0.
    """
    last = parameter("last") or ""
    limit = _limit(parameter("n"))
    starts = [(names, bisect_right(names, last)) for names in lists]
    starts = [(names, begin) for names, begin in starts if begin < len(names)]
    if limit is None:
        tails = [names[begin:] for names, begin in starts]
        return tails[0] if len(tails) == 1 else sorted(set().union(*tails)), {}
    following = _distinct(merge(*(_from(names, begin) for names, begin in starts)))
    page = list(islice(following, limit))
    if not page or next(following, None) is None:
        return page, {}
    query = urlencode({"n": limit, "last": page[-1]}, safe="/:")
    query = "&".join(filter(None, (query, kept)))
    return page, {"link": f'<{path}?{query}>; rel="next"'}


def _from(names: Sequence[str], begin: int) -> Iterator[str]:
    return (names[place] for place in range(begin, len(names)))


def _distinct(names: Iterator[str]) -> Iterator[str]:
    return (name for name, _ in groupby(names))


def _limit(text: str | None) -> int | None:
    if not text:  # an empty `n=` means no `n`
        return None
    limit = whole_number(text)
    if limit is None:
        raise OCIError(
            400,
            ErrorCode.PAGINATION_NUMBER_INVALID,
            f'invalid n "{text[:50]}": use a whole number from 0',
        )
    return limit
