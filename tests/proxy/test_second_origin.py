"""A redirect to the second origin leads to the image that the name means at the requested listener."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.proxy.chain import Chain, last
from tests.registry.pushing import digest_of
from tests.server import brokenreg

LAYER = b"layer of library/hello" * 100
BLOB = f"blobs/{digest_of(LAYER)}"
PUSHED = b"pushed through the second origin"
WITH = "broken/with/redirect"


@dataclass(frozen=True)
class World:
    """A registry whose docker.io and quay.io are one server. Its second listener stands for docker.io."""

    chain: Chain
    mirror: str
    http: httpx.Client

    @property
    def proxy(self) -> str:
        return self.chain.proxy.url

    def redirected(self, url: str) -> str:
        """Return where a GET is redirected to."""
        answer = self.http.get(url)
        assert answer.is_redirect
        return str(answer.headers["location"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    listeners = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=docker.io")
    with brokenreg(folder / "upstream", "--offline") as upstream:
        upstreams = [f"{name}={upstream.url}" for name in ("docker.io", "quay.io")]
        options = [word for each in upstreams for word in ("--upstream", each)]
        with brokenreg(folder / "proxy", *listeners, *options) as proxy, httpx.Client(timeout=30) as http:
            chain = Chain(upstream, proxy)
            chain.push_image("library/hello", LAYER)
            yield World(chain, http.get(f"{proxy.control}/v1/status").json()["registry"][1], http)


@pytest.mark.parametrize("fault", ["redirect", "redirect_hops-3"])
def test_of_a_listener_that_stands_for_a_registry(world: World, fault: str) -> None:
    """Only there, `hello` is docker.io's `library/hello`."""
    url = world.redirected(f"{world.mirror}/v2/broken/with/{fault}/hello/{BLOB}")
    assert not url.startswith(world.mirror)
    assert world.http.get(url, follow_redirects=True).content == LAYER
    seen = last(world.chain.proxy, "origin:second")
    assert (seen["repository"], seen["status"]) == ("docker.io/library/hello", 200)
    elsewhere = world.redirected(f"{world.proxy}/v2/broken/with/{fault}/hello/{BLOB}")
    assert world.http.get(elsewhere, follow_redirects=True).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        f"/v2/{WITH}/docker.io/hello/{BLOB}",
        f"/v2/{WITH}/hello/{BLOB}?ns=docker.io",
        f"/docker.io/v2/{WITH}/hello/{BLOB}",
        f"/docker.io/v2/{WITH}/hello/{BLOB}?ns=OURSELVES",
        f"/v2/{WITH}/docker.io/hello/{BLOB}?ns=OURSELVES",
    ],
)
@pytest.mark.parametrize("at", ["registry", "mirror"])
def test_of_a_name_that_says_so_itself(world: World, path: str, at: str) -> None:
    base = world.proxy if at == "registry" else world.mirror
    url = world.redirected(base + path.replace("OURSELVES", base.partition("://")[2]))
    assert world.http.get(url).content == LAYER


def test_of_a_listener_is_part_of_the_signature(world: World) -> None:
    url = world.redirected(f"{world.mirror}/v2/{WITH}/hello/{BLOB}")
    assert ".docker.io&" in url
    for changed in (url.replace(".docker.io&", ".quay.io&"), url.replace(".docker.io&", ".&")):
        assert world.http.get(changed).status_code == 403


def test_of_what_is_pushed(world: World) -> None:
    """All steps of a push, and a mount from a repository of the same registry."""
    begun = world.http.post(f"{world.mirror}/v2/{WITH}_endpoint-upload/app/blobs/uploads/")
    session = world.http.post(begun.headers["location"])
    assert session.status_code == 202
    place = httpx.URL(session.headers["location"]).copy_merge_params({"digest": digest_of(PUSHED)})
    assert world.http.put(place, content=PUSHED).status_code == 201
    pushed = f"/v2/docker.io/library/app/blobs/{digest_of(PUSHED)}"
    assert world.http.get(world.proxy + pushed).content == PUSHED
    mount = f"other/blobs/uploads/?mount={digest_of(PUSHED)}&from=app"
    begun = world.http.post(f"{world.mirror}/v2/{WITH}_endpoint-upload/{mount}")
    assert world.http.post(begun.headers["location"]).status_code == 201
    assert world.http.get(world.proxy + pushed.replace("app", "other")).content == PUSHED
