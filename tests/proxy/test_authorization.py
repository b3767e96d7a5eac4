"""Credentials for upstreams: found where docker keeps them, sent only when required, and never logged."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.proxy.auth.authorization import UpstreamAuth
from brokenreg.proxy.auth.tokens import Grant, TokenCache
from brokenreg.proxy.errors import UpstreamError
from brokenreg.proxy.http.addresses import AddressPolicy
from brokenreg.proxy.http.client import UpstreamClient
from brokenreg.proxy.routes import Route
from brokenreg.traffic.timeline_events import AddEvent
from tests.process import brokenreg_process
from tests.proxy.asked import Listening, get, redirect
from tests.proxy.chain import Chain, Start, last
from tests.registry.pushing import MIB, digest_of, error_of, image
from tests.server import brokenreg

PASSWORD = "very-secret-indeed"
BASIC = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
LAYER = random.Random("private").randbytes(2 * MIB)
BLOB = f"/v2/org/private/blobs/{digest_of(LAYER)}"
MANIFEST = "/v2/org/private/manifests/v1"
NAMED = f"/quay.io{MANIFEST}"
"""The same by a name that contains its upstream: what fails is told as it is."""


@contextmanager
def private(
    folder: Path,
    kind: str,
    *options: str,
    password: str = PASSWORD,
    config: dict[str, Any] | None = None,
    more: Iterable[str] = (),
    start: Start = brokenreg,
    **environment: str,
) -> Iterator[Chain]:
    """An upstream with the user ann, and a proxy with her password, or with the credentials in `config`.

    `start` starts the proxy with these `options` and this `environment`.
    """
    file = folder / "docker" / "config.json"
    file.parent.mkdir()
    entry = base64.b64encode(f"ann:{password}".encode()).decode()
    file.write_text(json.dumps(config or {"auths": {"quay.io": {"auth": entry}}}))
    home = {"HOME": str(folder), "DOCKER_CONFIG": str(file.parent), "XDG_RUNTIME_DIR": str(folder)}
    users = ("--auth", kind, "--auth-user", f"ann:{PASSWORD}", "--offline", *more)
    with brokenreg(folder / "upstream", *users) as upstream:
        _push(upstream.url)
        route = ("--upstream", f"quay.io={upstream.url}", "--tag-ttl", "0s")
        with start(folder / "proxy", *route, *options, **home, **environment) as proxy:
            yield Chain(upstream, proxy)


def _push(url: str) -> None:
    with httpx.Client(base_url=url, headers={"authorization": f"Basic {BASIC}"}) as http:
        scope = {"scope": "repository:org/private:pull,push"}
        token = http.get("/token", params=scope).json().get("token")
        if http.get("/v2/").status_code == 401:
            http.headers["authorization"] = f"Bearer {token}"
        for content in (b"{}", LAYER):
            place = "/v2/org/private/blobs/uploads/"
            assert http.post(place, params={"digest": digest_of(content)}, content=content).status_code == 201
        assert http.put(MANIFEST, content=image(b"{}", LAYER)).status_code == 201


@pytest.mark.parametrize("kind", ["basic", "token"])
def test_a_private_image_without_the_password_in_any_output(tmp_path: Path, kind: str) -> None:
    with private(tmp_path, kind, "--log", str(tmp_path / "log"), start=brokenreg_process) as both:
        assert both.get(MANIFEST).content == image(b"{}", LAYER)
        assert both.get(BLOB).content == LAYER
        timeline = json.dumps(last(both.proxy, "endpoint:manifest")["timeline"])
        assert "manifests/v1: 401" in timeline
        assert "manifests/v1: 200" in timeline
        assert ("/token: 200" in timeline) is (kind == "token")
        told = httpx.get(f"{both.proxy.control}/v1/exchanges").text + (tmp_path / "log").read_text()
        for exchange in httpx.get(f"{both.proxy.control}/v1/exchanges").json():
            told += httpx.get(f"{both.proxy.control}/v1/exchanges/{exchange['id']}").text
        for secret in (PASSWORD, BASIC, "eyJ", "scope="):
            assert secret not in told


@pytest.mark.parametrize("kind", ["basic", "token"])
def test_a_wrong_password_and_a_missing_one(tmp_path: Path, kind: str) -> None:
    with private(tmp_path, kind, password="wrong") as both:
        error = error_of(both.get(NAMED), 401)
        assert error["code"] == "UNAUTHORIZED"
        assert "docker login quay.io" in error["message"]


def test_credentials_that_may_not_be_used(tmp_path: Path) -> None:
    with private(tmp_path, "basic", "--upstream-auth", "off") as both:
        message = error_of(both.get(NAMED), 401)["message"]
        assert message.startswith("quay.io requires credentials for org/private; none were sent: ")
        assert "--upstream-auth on" in message
        headers = [asked["status"] for asked in both.asked("endpoint:manifest")]
        assert headers == [201, 401]


@pytest.mark.parametrize("kind", ["basic", "token"])
def test_no_credentials_and_a_failing_helper(tmp_path: Path, kind: str) -> None:
    helper = tmp_path / "docker-credential-broken"
    helper.write_text(f"#!/bin/sh\necho {PASSWORD}; exit 3\n")
    helper.chmod(0o700)
    path = f"{tmp_path}:{os.environ['PATH']}"
    with private(tmp_path, kind, config={"credHelpers": {"quay.io": "broken"}}, PATH=path) as both:
        message = error_of(both.get(NAMED), 401)["message"]
        none_found = "none found for quay.io (docker login quay.io, podman login quay.io)"
        failed = "docker-credential-broken ended with status 3"
        assert message.startswith(f"quay.io requires credentials for org/private; {none_found}; {failed}: ")
        timeline = json.dumps(last(both.proxy)["timeline"])
        assert failed in timeline
        assert PASSWORD not in timeline + message


def test_a_token_service_that_responds_with_429(tmp_path: Path) -> None:
    with private(tmp_path, "token") as both:
        both.rule({"type": "rate-limit"}, "token")
        response = both.get(MANIFEST)
        error = error_of(response, 429)
        assert error["code"] == "TOOMANYREQUESTS"
        assert error["message"].startswith(f"{both.upstream.host} (the token service of quay.io) ")
        assert int(response.headers["retry-after"]) > 20


@pytest.mark.slow
def test_a_token_that_expires_during_a_download(tmp_path: Path) -> None:
    """The connection is cut and the token has expired: the download continues with another token."""
    with private(tmp_path, "token", more=("--token-lifetime", "1s")) as both:
        slow = {"type": "throttle", "rate": "800KiB"}
        both.rule([slow, {"type": "truncate", "after": "1MiB"}], "layer", skip=1, times=1)
        assert both.get(BLOB).content == LAYER
        statuses = [asked["status"] for asked in both.asked("endpoint:layer")]
        assert statuses == [401, 200, 401, 206]


def test_another_origin_gets_no_credentials_after_a_redirect(tmp_path: Path) -> None:
    with private(tmp_path, "basic") as both:
        both.rule({"type": "redirect"}, "layer")
        assert both.get(BLOB).content == LAYER
        status = httpx.get(f"{both.upstream.control}/v1/status").json()
        assert status["leaked_credentials"]["count"] == 0


@pytest.mark.parametrize("where", ["another port", "another spelling of the host", "itself"])
async def test_credentials_are_not_sent_to_other_origins(where: str) -> None:
    tokens, context = TokenCache(), ssl.create_default_context()

    async def grant() -> Grant:
        return Grant(f"Basic {BASIC}")

    await tokens.obtain(("quay.io", "repository:a/b:pull"), grant)

    def authorize(route: Route, http: httpx.AsyncClient, add_event: AddEvent) -> httpx.Auth:
        return UpstreamAuth(route, http, None, tokens, add_event)

    policy = AddressPolicy(list, beyond_loopback=False)
    async with Listening.at() as upstream, Listening.at() as elsewhere:
        port = upstream.host.rpartition(":")[2]
        place = {"another port": elsewhere.url, "itself": upstream.url}.get(where, f"http://127.1:{port}")
        upstream.answer = redirect(f"{place}/elsewhere")
        client = UpstreamClient({"quay.io": upstream.url}, policy, context, authorize, patience=5)
        with contextlib.suppress(UpstreamError):  # it may be a circle
            await get(client, "quay.io")
        await client.close()
        requests = [*upstream.requests, *elsewhere.requests]
    shown = {b"/elsewhere" in request: BASIC.encode() in request for request in requests}
    assert shown == {False: True, True: where == "itself"}
