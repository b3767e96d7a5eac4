"""With the `--control-read-token`, a client can read everything, and change nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.control.app import ROUTES
from brokenreg.control.guard import ControlGuard
from brokenreg.control.routes import Route
from brokenreg.runtime.operations import Access
from tests.control.problem import problem_of
from tests.server import Brokenreg, brokenreg

TOKEN, READ_TOKEN = "full-Xq7w9Zt3", "read-Lk4v8Pn2"
PASSWORD, SENT = "pw-Hd6s1Mb5", "sent-Rf2c7Yg9"
ENDLESS = ("stream_events",)
"""Its response does not end; only its head is read."""

NAMES = {
    "/v1/repositories": "team/web",
    "/v1/faults": "error",
    "/v1/images": "index-empty",
    "/v1/profiles": "ghcr-hangs",
}
"""What exists, by the beginning of the path."""

routes = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
changing = pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.changes], ids=lambda route: route.name
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """A registry with both tokens, a user, an image, a rule, a breakpoint, and an exchange with secrets."""
    options = ("--auth", "basic", "--auth-user", f"ann:{PASSWORD}", "--offline")
    tokens = ("--control-token", TOKEN, "--control-read-token", READ_TOKEN)
    proxy = ("--upstream-proxy", f"http://ann:{PASSWORD}@127.0.0.1:9")
    with brokenreg(tmp_path_factory.mktemp("guarded") / "data", *options, *tokens, *proxy) as running:
        with httpx.Client(base_url=running.url, auth=("ann", PASSWORD)) as http:
            digest = f"sha256:{hashlib.sha256(b'layer').hexdigest()}"
            http.post(
                "/v2/team/web/blobs/uploads/", params={"digest": digest}, content=b"layer"
            ).raise_for_status()
            http.put("/v2/team/web/manifests/v1", content=b"{}").raise_for_status()
            http.get("/v2/", params={"token": SENT}, headers={"x-api-key": SENT, "cookie": f"a={SENT}"})
        with client(running, TOKEN) as control:
            control.post("/v1/rules", json={"fault": "error", "enabled": False}).raise_for_status()
            control.post("/v1/breakpoints", json={"expression": "status:599"}).raise_for_status()
        yield running


def client(running: Brokenreg, token: str) -> httpx.Client:
    return httpx.Client(base_url=running.control, headers={"authorization": f"Bearer {token}"}, timeout=30)


def path_of(route: Route, running: Brokenreg) -> str:
    """Return the path of the route for something that exists, as far as the table says what that is."""
    with client(running, TOKEN) as control:
        ids = {
            "/v1/rules/": control.get("/v1/rules").json()[0]["id"],
            "/v1/exchanges/": control.get("/v1/exchanges").json()[0]["id"],
            "/v1/breakpoints/": control.get("/v1/breakpoints").json()["breakpoints"][0]["id"],
        }
        digest = control.get("/v1/blobs").json()[0]["digest"]
    values = {
        "id": next((str(each) for start, each in ids.items() if route.template.startswith(start)), "1"),
        "digest": digest,
        "name": next((each for start, each in NAMES.items() if route.template.startswith(start)), ""),
        "tag": "v1",
        "reference": "v1",
    }
    return route.template.format(**values)


def state_of(running: Brokenreg) -> dict[str, Any]:
    """Return everything that the API shows and that requests to it do not change by themselves."""
    with client(running, TOKEN) as control:
        paths = ("rules", "scenario", "breakpoints", "exchanges", "repositories", "blobs", "expectations")
        state: dict[str, Any] = {path: control.get(f"/v1/{path}").text for path in paths}
        state["tags"] = control.get("/v1/repositories/team/web/tags").json()
        return state


@routes
def test_reading_is_allowed_and_changing_is_not(guarded: Brokenreg, route: Route) -> None:
    path, before = path_of(route, guarded), state_of(guarded)
    body = {} if route.example is None else {"json": json.loads(route.example)}
    with client(guarded, READ_TOKEN) as control, control.stream(route.method, path, **body) as response:
        if route.name not in ENDLESS:
            response.read()
        if route.changes:
            detail = problem_of(response, 403)
            assert "--control-read-token" in detail
            assert TOKEN not in detail
        else:
            assert response.status_code == route.status, response.text
    assert state_of(guarded) == before


def test_only_the_table_decides_what_changes() -> None:
    assert [route.name for route in ROUTES if route.method != "GET" and not route.changes] == [
        "judge_expectation"
    ]
    assert not [route.name for route in ROUTES if route.method == "GET" and route.changes]


@changing
@pytest.mark.parametrize("body", [b"", b"no JSON", b"{" + b" " * 2_000_000 + b"}"])
def test_changes_are_refused_whatever_they_are(guarded: Brokenreg, route: Route, body: bytes) -> None:
    path = path_of(route, guarded)
    with client(guarded, READ_TOKEN) as control:
        problem_of(control.request(route.method, path, content=body), 403)


@changing
def test_operations_refuse_what_the_table_lets_through(
    guarded: Brokenreg, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the table is wrong about a route."""
    path, before = path_of(route, guarded), state_of(guarded)
    monkeypatch.setattr(Route, "changes", False)
    body = {} if route.example is None else {"json": json.loads(route.example)}
    with client(guarded, READ_TOKEN) as control:
        response = control.request(route.method, path, **body)
    monkeypatch.undo()
    assert state_of(guarded) == before
    # A response that is not held has no head to edit, which is found first.
    assert response.status_code == (409 if route.name == "edit_exchange" else 403), response.text


@routes
def test_no_route_shows_a_secret(guarded: Brokenreg, route: Route) -> None:
    if route.changes or route.name in ENDLESS:
        return
    body = {} if route.example is None else {"json": json.loads(route.example)}
    with client(guarded, READ_TOKEN) as control:
        shown = control.request(route.method, path_of(route, guarded), **body).text
    assert not [secret for secret in (TOKEN, READ_TOKEN, PASSWORD, SENT) if secret in shown]


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_the_documentation_can_be_read(guarded: Brokenreg, path: str) -> None:
    with client(guarded, READ_TOKEN) as control:
        assert not control.get(path).is_error
    assert httpx.get(f"{guarded.control}{path}").status_code == 401


@pytest.mark.parametrize(
    ("authorization", "access"),
    [
        (f"Bearer {TOKEN}", Access.FULL),
        (f"bearer  {TOKEN}", Access.FULL),
        (f"Bearer {READ_TOKEN}", Access.READ),
        (f"Basic {TOKEN}", None),
        (f"Bearer {READ_TOKEN[:-1]}", None),
        ("Bearer None", None),
        ("", None),
    ],
)
def test_the_token_decides_what_its_sender_may_do(authorization: str, access: Access | None) -> None:
    guard = ControlGuard("127.0.0.1:8081", TOKEN, READ_TOKEN)
    headers = [(b"host", b"127.0.0.1:8081"), (b"authorization", authorization.encode())]
    scope = {"server": ("127.0.0.1", 8081), "headers": headers}
    if access is None:
        refusal = guard.refusal_reason(scope)
        assert refusal is not None
        assert refusal.status == 401
    else:
        assert guard.refusal_reason(scope) is None
        assert guard.access(scope) is access


def test_without_a_read_token_none_is_valid(tmp_path: Path) -> None:
    with (
        brokenreg(tmp_path / "data", "--control-token", TOKEN) as running,
        client(running, "None") as control,
    ):
        assert control.get("/v1/rules").status_code == 401
