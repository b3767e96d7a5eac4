"""Replays: a request is sent again through the real listener, marked, and without secrets."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest

from brokenreg.oci.target import Endpoint, Target
from brokenreg.traffic.bodies import Body
from brokenreg.traffic.exchange import Exchange, Origin
from brokenreg.traffic.replay import Replay, ReplayError, replay_of
from tests.server import Brokenreg
from tests.traffic import making

exchange = partial(making.exchange, id=17)


def newest_of(registry: Brokenreg) -> dict[str, Any]:
    """Return the newest exchange in full."""
    url = f"{registry.control}/v1/exchanges"
    (newest,) = httpx.get(url, params={"limit": 1, "namespace": "*"}).json()
    return dict(httpx.get(f"{url}/{newest['id']}").json())


def reset_next(registry: Brokenreg) -> None:
    """Let the next request for a layer be reset."""
    httpx.post(f"{registry.control}/v1/rules", json={"fault": "reset", "times": 1}).raise_for_status()


@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/v2/broken/random/manifests/layers-1_size-10", "", 200),
        ("HEAD", "/v2/broken/random/manifests/layers-1_size-10", "", 200),
        ("GET", "/v2/broken/error/manifests/418", "", 418),
        ("GET", "/v2/_catalog", "n=1&last=a%26b", 200),
        ("GET", "/v2/a/../b/manifests/x y", "", 400),
        ("POST", "/v2/team/again/blobs/uploads/", "", 202),
    ],
)
async def test_the_same_request_is_sent_again(
    registry: Brokenreg, method: str, path: str, query: str, status: int
) -> None:
    headers = (("host", registry.host), ("user-agent", "docker/28"), ("authorization", "Basic c2VjcmV0"))
    replay = replay_of(exchange(path, method, headers, query), [registry.url], None)
    assert replay.left_out == ("authorization",)
    assert await replay.send() == status
    newest = newest_of(registry)
    assert (newest["method"], newest["path"], newest["query"]) == (method, path, query)
    assert (newest["replay_of"], newest["user_agent"], newest["status"]) == (17, "docker/28", status)
    assert "authorization" not in dict(newest["request_headers"])


async def test_a_recorded_body_is_sent(registry: Brokenreg) -> None:
    body = b'{"schemaVersion":'
    put = exchange("/v2/team/again/manifests/v1", "PUT", request_bytes=len(body))
    assert await replay_of(put, [registry.url], Body(body, len(body))).send() == 201
    assert newest_of(registry)["request_bytes"] == len(body)


def sent(seen: Exchange, *listeners: str) -> Replay:
    return replay_of(seen, listeners, None)


def test_a_replay_goes_to_the_same_listener() -> None:
    listeners = ("http://0.0.0.0:8080", "https://[::]:8443")
    assert str(sent(exchange("/v2/"), *listeners).request.url) == "http://127.0.0.1:8080"
    named = exchange("/v2/", headers=(("host", "reg.example:8443"),))
    assert str(sent(named, *listeners).request.url) == "https://[::1]:8443"
    assert sent(named, *listeners).request.headers["host"] == "reg.example:8443"


def test_a_replay_of_a_replay_refers_to_it() -> None:
    again = sent(exchange("/v2/", headers=(("x-brokenreg-replay", "3"),)), "http://127.0.0.1:1")
    assert again.request.headers.get_list("x-brokenreg-replay") == ["17"]


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (exchange("/v2/a/blobs/uploads/x", "PATCH", request_bytes=9), "its body was not recorded"),
        (exchange("/v2/", "PUT", (("content-length", "3"),)), "its body was not recorded"),
        (exchange("/v2/", query="token=x"), "secret"),
        (exchange("/v2/", origin=Origin.SECOND), "secret"),
        (exchange("/v2/", "G ET"), "method"),
    ],
)
def test_exchanges_that_cannot_be_replayed(seen: Exchange, told: str) -> None:
    with pytest.raises(ReplayError, match=told):
        sent(seen, "http://127.0.0.1:1")


def test_a_connection_cannot_be_sent_again() -> None:
    seen = exchange("/v2/")
    seen.target = Target(Endpoint.CONNECT)
    with pytest.raises(ReplayError, match="had no request"):
        sent(seen, "http://127.0.0.1:1")


async def test_a_missing_response_is_reported_in_one_line(registry: Brokenreg) -> None:
    reset_next(registry)
    layer = exchange("/v2/broken/random/blobs/sha256:" + "0" * 64)
    with pytest.raises(ReplayError) as caught:
        await sent(layer, registry.url).send()
    assert "\n" not in str(caught.value)
