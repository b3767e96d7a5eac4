"""Decides which requests need the newest state of an index that other processes change too.

What is found in memory is served from there, and may be as old as the last change that has arrived. What is
missing there, lists, and manifests that refer to other content need everything that was committed before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from brokenreg.oci.target import Endpoint
from brokenreg.registry.request import RegistryRequest
from brokenreg.registry.responses import Response

_LISTS = frozenset({Endpoint.CATALOG, Endpoint.TAGS, Endpoint.REFERRERS})
_BLOBS = frozenset({Endpoint.LAYER, Endpoint.CONFIG})


def needs_newest(request: RegistryRequest) -> bool:
    """Return whether the response depends on changes that may not have arrived yet."""
    target, method = request.target, request.method
    if target.endpoint in _LISTS:
        return True
    if target.endpoint is Endpoint.UPLOAD:  # sessions belong to this process
        return method == "POST" and request.parameter("mount") is not None
    if method not in ("GET", "HEAD"):
        return target.endpoint is Endpoint.MANIFEST and method == "PUT"  # the database decides on a DELETE
    if request.is_fabricated:
        return False
    repository = request.repository
    if target.endpoint is Endpoint.MANIFEST:
        return repository is None or repository.resolve(target.reference) is None
    return target.endpoint in _BLOBS and (repository is None or target.digest not in repository.links)


async def caught_up(
    request: RegistryRequest, respond: Callable[[RegistryRequest], Response | Awaitable[Response]]
) -> Response:
    """Catch up with the index, then respond. Raise `StorageError` if the database cannot be reached."""
    await request.store.index.catch_up()
    response = respond(request)
    return response if isinstance(response, Response) else await response
