"""Short names (without a host): which failures of the default upstream clients see."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.proxy.default_upstream import ContentRequest, DefaultUpstreamPolicy, RequestKind, reraise
from brokenreg.proxy.errors import UpstreamError, UpstreamSilentError, UpstreamUnreachableError
from brokenreg.proxy.routes import Route
from tests.assembly.test_command_line import free_port
from tests.proxy.chain import PLAIN
from tests.proxy.scripted import Answer, Scripted
from tests.registry.pushing import OCI_INDEX, digest_of, error_of, image
from tests.server import Brokenreg, brokenreg

LAYER = b"a layer"
SUBJECT = digest_of(b"{}")
SAYS = b'{"errors": [{"code": "UNAUTHORIZED", "message": "access is not for you"}]}'
LONG = {"retry-after": "900"}
"""So that a 429 is not waited for."""

_names = itertools.count(1)


@pytest.fixture(scope="module")
def proxy(odd: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """A brokenreg with `odd` as its default upstream."""
    options = ("--upstream", f"quay.io={odd.url}", "--tag-ttl", "0s")
    with brokenreg(tmp_path_factory.mktemp("proxy") / "data", *options) as running:
        yield running


@pytest.fixture
def name() -> str:
    return f"team/app-{next(_names)}"


def ask(proxy: Brokenreg, method: str, path: str, **more: object) -> httpx.Response:
    return httpx.request(method, proxy.url + path, timeout=30, verify=PLAIN, **more)  # type: ignore[arg-type]


def push(proxy: Brokenreg, name: str, layer: bytes = LAYER) -> int:
    """Push as crane, regctl and oras do, which continue only after a 404, and return the last status."""
    manifest = image(b"{}", layer)
    if (head := ask(proxy, "HEAD", f"/v2/{name}/manifests/v1")).status_code != 404:
        return head.status_code
    for blob in (layer, b"{}"):
        digest = digest_of(blob)
        assert ask(proxy, "HEAD", f"/v2/{name}/blobs/{digest}").status_code == 404
        begun = ask(proxy, "POST", f"/v2/{name}/blobs/uploads/")
        place = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest})
        assert ask(proxy, "PUT", str(place), content=blob).status_code == 201
    assert ask(proxy, "HEAD", f"/v2/{name}/manifests/{digest_of(manifest)}").status_code == 404
    return ask(proxy, "PUT", f"/v2/{name}/manifests/v1", content=manifest).status_code


REFUSED = (401, 403, 404, 410)


@pytest.mark.parametrize("status", [*REFUSED, 400, 429, 500, 503])
def test_responses_of_the_default_upstream(proxy: Brokenreg, odd: Scripted, name: str, status: int) -> None:
    paths = {
        "manifest": f"/v2/{name}/manifests/v1",
        "tags": f"/v2/{name}/tags/list",
        "referrers": f"/v2/{name}/referrers/{SUBJECT}",
        "blob": f"/v2/{name}/blobs/{digest_of(name.encode())}",
    }
    for path in paths.values():
        odd.answers[path] = Answer(status, LONG, SAYS)
    assert ask(proxy, "HEAD", paths["manifest"]).status_code == 404
    told = 404 if status in REFUSED else 429 if status == 429 else 502
    for what, path in paths.items():
        response = ask(proxy, "GET", path)
        error = error_of(response, told)
        assert "access is not for you" in error["message"]
        assert "www-authenticate" not in response.headers
        if told == 404:
            codes = {"manifest": "MANIFEST_UNKNOWN", "blob": "BLOB_UNKNOWN"}
            assert error["code"] == codes.get(what, "NAME_UNKNOWN")
    named = ask(proxy, "GET", f"/quay.io{paths['manifest']}")
    assert named.status_code == (status if status in (401, 403) else told)
    assert push(proxy, name, name.encode()) == 201


def test_an_unreachable_upstream(tmp_path: Path, name: str) -> None:
    options = ("--upstream", f"quay.io=http://127.0.0.1:{free_port()}")
    with brokenreg(tmp_path, *options) as proxy:
        path = f"/v2/{name}/manifests/v1"
        assert error_of(ask(proxy, "GET", path), 502)["code"] == "UNAVAILABLE"
        assert ask(proxy, "HEAD", path).status_code == 404
        for what in ("tags/list", f"referrers/{SUBJECT}"):
            message = error_of(ask(proxy, "GET", f"/v2/{name}/{what}"), 404)["message"]
            assert message.startswith(f"nothing was pushed to {name}; cannot reach quay.io (at 127.0.0.1:")
            assert "brokenreg tries again in " in message
            assert ask(proxy, "GET", f"/v2/quay.io/{name}/{what}").status_code == 502
        assert ask(proxy, "HEAD", f"/v2/quay.io/{name}/manifests/v1").status_code == 502
        assert push(proxy, name) == 201


def test_a_default_upstream_that_is_not_allowed(tmp_path: Path, name: str) -> None:
    options = ("--upstream", "x.example=http://127.0.0.1:1", "--allow-upstream", "*.example")
    with brokenreg(tmp_path, *options) as proxy:
        assert error_of(ask(proxy, "GET", f"/v2/{name}/manifests/v1"), 404)["code"] == "MANIFEST_UNKNOWN"
        assert ask(proxy, "GET", f"/v2/quay.io/{name}/manifests/v1").status_code == 403
        assert push(proxy, name) == 201


def test_the_upstream_is_not_contacted_for_names_that_were_pushed_to(
    odd: Scripted, name: str, tmp_path: Path
) -> None:
    """Even after deletion and a restart. An image of an index may be missing."""
    options = ("--upstream", f"quay.io={odd.url}")
    child = digest_of(b"a child")
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"digest": child}]}
    ).encode()
    odd.answers |= {
        f"/v2/{name}/manifests/v2": Answer(body=b"{}"),
        f"/v2/{name}/manifests/{child}": Answer(body=b"a child"),
        f"/v2/{name}/tags/list": Answer(body=b'{"tags": ["v2"]}'),
    }

    def looks(proxy: Brokenreg) -> list[int]:
        paths = ("manifests/v2", f"manifests/{child}", "tags/list", f"referrers/{SUBJECT}")
        return [ask(proxy, "GET", f"/v2/{name}/{path}").status_code for path in paths]

    with brokenreg(tmp_path / "data", *options) as proxy:
        digest = digest_of(index)
        headers = {"content-type": OCI_INDEX}
        put = ask(proxy, "PUT", f"/v2/{name}/manifests/v1", content=index, headers=headers)
        assert put.status_code == 201
        asked = len(odd.asked)
        assert looks(proxy) == [404, 404, 200, 200]
        assert ask(proxy, "GET", f"/v2/{name}/tags/list").json()["tags"] == ["v1"]
        message = error_of(ask(proxy, "GET", f"/v2/{name}/manifests/v2"), 404)["message"]
        assert message.endswith("quay.io is not contacted for a name that was pushed to")
        assert ask(proxy, "DELETE", f"/v2/{name}/manifests/{digest}").status_code == 202
        assert looks(proxy) == [404, 404, 404, 200]
        assert proxy.stop() == 0
    with brokenreg(tmp_path / "data", *options) as proxy:
        assert looks(proxy) == [404, 404, 404, 200]
        assert len(odd.asked) == asked
        assert ask(proxy, "GET", f"/v2/broken/in/other/{name}/manifests/v2").status_code == 200
        assert ask(proxy, "GET", f"/v2/quay.io/{name}/manifests/v2").status_code == 200


def test_cached_content_is_served_for_names_that_were_pushed_to(
    proxy: Brokenreg, odd: Scripted, name: str
) -> None:
    """The upstream is not contacted, because the client has pulled this content by that name."""
    manifest = image(b"{}")
    odd.answers[f"/v2/{name}/manifests/v2"] = Answer(body=manifest)
    assert ask(proxy, "GET", f"/v2/{name}/manifests/v2").content == manifest
    assert push(proxy, name) == 201
    asked = len(odd.asked)
    assert ask(proxy, "GET", f"/v2/{name}/manifests/v2").content == manifest
    assert ask(proxy, "GET", f"/v2/{name}/tags/list").json()["tags"] == ["v1", "v2"]
    assert len(odd.asked) == asked


def test_offline_only_registries_that_were_requested_are_named(tmp_path: Path, name: str) -> None:
    with brokenreg(tmp_path, "--offline") as proxy:
        for what in ("manifests/v1", "tags/list", f"blobs/{digest_of(LAYER)}"):
            own = error_of(ask(proxy, "GET", f"/v2/{name}/{what}"), 404)["message"]
            assert "quay.io" not in own
            assert f" of {name} is not cached, and brokenreg is offline (--offline)" in own
            named = error_of(ask(proxy, "GET", f"/v2/ghcr.io/{name}/{what}"), 404)["message"]
            assert f" of ghcr.io/{name} is not cached" in named
    with brokenreg(tmp_path, "--offline", "--allow-upstream", "*.example") as proxy:
        assert "quay.io" not in ask(proxy, "GET", f"/v2/{name}/manifests/v1").text


class Upstream:
    """Responds as the test sets it, and counts requests."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: UpstreamError | None = None
        self.silent = False

    async def work(self) -> str:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return "here"


SHORT = Route("quay.io", "team/app", short_name="team/app")
NAMED = Route("quay.io", "team/app")


async def answered(
    policy: DefaultUpstreamPolicy, upstream: Upstream, kind: RequestKind, route: Route = SHORT
) -> object:
    """Return the result, or the status of the error."""
    request = ContentRequest(kind, ErrorCode.MANIFEST_UNKNOWN, "v1")
    try:
        return await policy.run(route, request, upstream.work, reraise)
    except OCIError as error:
        return error.status


async def test_a_silent_upstream_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.default_upstream.WAIT", 0.01)
    policy, upstream = DefaultUpstreamPolicy(), Upstream()
    upstream.silent = True
    for kind in (RequestKind.HEAD, RequestKind.LIST, RequestKind.HEAD):
        assert await answered(policy, upstream, kind) == 404
    assert upstream.asked == 1
    upstream.silent = False
    assert await answered(policy, upstream, RequestKind.HEAD) == 404
    assert await answered(policy, upstream, RequestKind.HEAD, NAMED) == "here"
    assert await answered(policy, upstream, RequestKind.GET) == "here"  # it is up again
    assert await answered(policy, upstream, RequestKind.HEAD) == "here"


async def test_it_is_contacted_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.default_upstream.DOWN", 0.01)
    policy, upstream = DefaultUpstreamPolicy(), Upstream()
    upstream.error = UpstreamUnreachableError("cannot reach quay.io")
    upstream.error.is_outage = True
    assert await answered(policy, upstream, RequestKind.HEAD) == 404
    upstream.error = None
    await asyncio.sleep(0.02)
    assert await answered(policy, upstream, RequestKind.HEAD) == "here"


async def test_a_failure_of_one_image_is_not_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that was cut, a CDN that cannot be reached, and a list that takes long because of its pages."""
    policy, upstream = DefaultUpstreamPolicy(), Upstream()
    for error in (UpstreamUnreachableError("ended after 1 of 2 bytes"), UpstreamSilentError("too slow")):
        upstream.error = error
        for kind in RequestKind:
            await answered(policy, upstream, kind)
    assert upstream.asked == 6
    monkeypatch.setattr("brokenreg.proxy.default_upstream.WAIT", 0.01)
    upstream.silent = True
    assert await answered(policy, upstream, RequestKind.LIST) == 404
    upstream.silent, upstream.error = False, None
    assert await answered(policy, upstream, RequestKind.HEAD) == "here"


async def test_a_get_reports_an_outage() -> None:
    policy, upstream = DefaultUpstreamPolicy(), Upstream()
    for error in (UpstreamUnreachableError("no"), UpstreamSilentError("no")):
        upstream.error = error
        assert await answered(policy, upstream, RequestKind.GET) == error.status
        for kind in RequestKind:
            assert await answered(policy, upstream, kind, NAMED) == error.status


async def test_cached_content_is_served_during_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.default_upstream.WAIT", 0.01)
    policy, upstream = DefaultUpstreamPolicy(), Upstream()
    upstream.silent = True
    request = ContentRequest(RequestKind.HEAD, ErrorCode.MANIFEST_UNKNOWN, "v1")
    assert await policy.run(SHORT, request, upstream.work, lambda error: "stale") == "stale"
