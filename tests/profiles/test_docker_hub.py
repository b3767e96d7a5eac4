"""What Docker Hub was seen to send, in the profiles of it."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from brokenreg.rules.profiles import profile_of
from tests.profiles.conftest import REPOSITORY, Content, Served
from tests.server import brokenreg

Serve = Callable[[str], Served]

LIMITED = (
    b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit. '
    b'https://www.docker.com/increase-rate-limit"}]}'
)
LIMITS = {
    "ratelimit-limit": "100;w=21600",
    "ratelimit-remaining": "0;w=21600",
    "docker-ratelimit-source": "127.0.0.1",
}


def test_rate_limited(serve: Serve) -> None:
    served = serve("docker-hub-rate-limited")
    for path in (served.manifest(), served.manifest("index"), served.manifest(served.manifest_digest)):
        head = served.ask(path, "HEAD")
        assert (head.status, {name: head.header(name) for name in LIMITS}) == (200, LIMITS)
        refused = served.ask(path)
        assert refused.status_line == b"HTTP/1.1 429 Too Many Requests"
        assert (refused.body, refused.header("content-type")) == (LIMITED, "application/json")
        assert not any(refused.header(name) for name in (*LIMITS, "retry-after"))
    assert served.ask(served.manifest(), "HEAD", client="127.0.0.2").header("docker-ratelimit-source") == (
        "127.0.0.2"
    )
    assert served.ask(served.layer).body == served.content.image.layers[0]


def test_abuse_limited(serve: Serve) -> None:
    served = serve("docker-hub-abuse-limited")
    paths = [served.manifest(), served.layer, served.config, f"{served.root}/tags/list", served.token]
    paths += [] if served.is_path else ["/v2/", "/v2/_catalog", "/token"]
    for path in paths:
        for method in ("GET", "HEAD"):
            answer = served.ask(path, method)
            assert answer.status_line == b"HTTP/1.1 429 Too Many Requests"
            assert (answer.body, answer.header("retry-after")) == (b"", None)


def test_auth_down(serve: Serve) -> None:
    served = serve("docker-hub-auth-down")
    assert served.ask(served.token).status == 401
    assert served.ask(served.token, headers=[("Authorization", "Basic dTpw")]).status == 200
    challenged = [served.ask(served.manifest())] + ([] if served.is_path else [served.ask("/v2/")])
    for answer in challenged:
        assert answer.status == 401
        assert (answer.header("www-authenticate") or "").startswith(
            f'Bearer realm="{served.running.url}/token'
        )
    worked = served.ask(served.manifest(), headers=[("Authorization", "Bearer token")])
    assert (worked.status, worked.body) == (200, served.content.image.manifest)


def test_blobs_500(serve: Serve) -> None:
    served = serve("docker-hub-blobs-500")
    assert served.ask(served.manifest()).body == served.content.image.manifest
    assert [served.ask(path).status for path in (served.config, served.layer) * 2] == [500] * 4


def test_an_index_costs_two_pulls(content: Content) -> None:
    """With two pulls left, it is pulled once. HEAD costs nothing."""
    rule = profile_of("docker-hub-rate-limited").scenario.rules[0].written()
    rule["fault"]["used"] = 98
    with brokenreg(content.data) as running:
        assert httpx.put(f"{running.control}/v1/scenario", json={"rules": [rule]}).is_success
        served = Served(running, "", content)
        paths = (served.manifest("index"), served.manifest(served.manifest_digest), served.manifest("index"))
        pulls = [(served.ask(path, "HEAD"), served.ask(path)) for path in paths]
    assert [(head.status, got.status) for head, got in pulls] == [(200, 200), (200, 200), (200, 429)]
    left = [answer.header("ratelimit-remaining") for pull in pulls for answer in pull]
    assert left == ["2;w=21600", "1;w=21600", "1;w=21600", "0;w=21600", "0;w=21600", None]


def test_the_source_of_an_ipv6_client(content: Content) -> None:
    scenario = ("--scenario", "profile:docker-hub-rate-limited")
    try:
        with brokenreg(content.data, "--listen", "[::1]:0", *scenario) as running:
            head = httpx.head(f"{running.url}/v2/{REPOSITORY}/manifests/v1")
    except OSError as error:
        pytest.skip(f"no IPv6: {error}")
    assert head.headers["docker-ratelimit-source"] == "::/64"
