"""A remembered 404 does not keep objects of its request alive."""

from __future__ import annotations

import gc
import weakref

import pytest

from brokenreg.proxy.cache.freshness import NegativeCache
from brokenreg.proxy.errors import UpstreamStatusError, UpstreamUnreachableError
from brokenreg.proxy.routes import Route


class Request:
    """An object that the frames of a request refer to."""


def missed(misses: NegativeCache, route: Route) -> weakref.ref[Request]:
    request = Request()
    try:
        raise UpstreamStatusError(404, 404, "MANIFEST_UNKNOWN", "gone", detail={"a": "b"}, headers={"x": "y"})
    except UpstreamStatusError as error:
        misses.note(route, "v1", error)
    return weakref.ref(request)


def asked_again(misses: NegativeCache, route: Route) -> weakref.ref[Request]:
    request = Request()
    with pytest.raises(UpstreamStatusError) as caught:
        misses.check(route, "v1")
    assert (caught.value.upstream_status, caught.value.message, caught.value.headers) == (
        404,
        "gone",
        {"x": "y"},
    )
    assert caught.value.detail == {"a": "b"}
    return weakref.ref(request)


@pytest.mark.slow
def test_no_frame_is_kept_alive() -> None:
    misses, route = NegativeCache(), Route("example.org", "app")
    requests = [missed(misses, route), asked_again(misses, route), asked_again(misses, route)]
    gc.collect()
    assert [request() for request in requests] == [None] * 3


def test_nothing_else_is_remembered() -> None:
    misses, route = NegativeCache(), Route("example.org", "app")
    misses.note(route, "v1", UpstreamUnreachableError("down"))
    misses.note(route, "v1", UpstreamStatusError(403, 403, "DENIED", "no"))
    misses.check(route, "v1")
