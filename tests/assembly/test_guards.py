"""Requests that the guards refuse: from foreign pages, to rebound names, or without the token."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import httpx
import pytest

from brokenreg.assembly.guards import RegistryGuard
from brokenreg.control.guard import ControlGuard
from brokenreg.http.asgi import Message, ReadyResponse, Receive, Scope, header
from brokenreg.traffic.request_head import read_head
from tests.server import Brokenreg, brokenreg

PORT = "PORT"


def own(running: Brokenreg, text: str) -> str:
    return text.replace("HOST", running.host).replace(PORT, running.host.rsplit(":", 1)[1])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:PORT"}, 200),
        ({"host": "127.0.0.1"}, 200),
        ({"host": "[::1]:PORT"}, 200),
        ({"host": "192.0.2.1:5000"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example:PORT"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "LocalHost.:PORT"}, 200),
        ({"host": "localhost:"}, 200),
        ({"host": ""}, 200),
        ({"host": "localhost:80@evil"}, 421),
        ({"host": "localhost@evil.example:PORT"}, 421),
        ({"host": "127.0.0.1:80@evil.example"}, 421),
        ({"host": "[::1]:80@evil.example"}, 421),
        ({"host": "[::1]evil.example"}, 421),
        ({"host": "[::1"}, 421),
        ({"host": "[127.0.0.1]"}, 421),
        ({"host": "[fe80::1%25lo]"}, 421),
        ({"host": "localhost:65536"}, 421),
        ({"host": "localhost:http"}, 421),
        ({"host": "localhost:80:80"}, 421),
        ({"host": "localhost, evil.example"}, 421),
        ({"host": "localhost evil.example"}, 421),
        ({"host": "localhost/evil.example"}, 421),
        ({"host": "localhost#evil.example"}, 421),
        ({"host": "localhost\\evil.example"}, 421),
        ({"host": "%6cocalhost"}, 421),
        ({"host": "localhost.."}, 421),
        ({"host": "127.1"}, 421),
        ({"host": "127.0.0.1" + ".0" * 3000}, 421),
        ({"host": "localhost:PORT", "x-forwarded-host": "evil.example"}, 200),
        ({"host": "evil.example", "x-forwarded-host": "localhost"}, 421),
        ({"origin": "http://HOST"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "null", "host": ""}, 403),
        ({"origin": "http://", "host": ""}, 403),
        ({"origin": "HOST"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://[::1"}, 403),
        ({"origin": "http://HOST@evil.example"}, 403),
        ({"origin": "http://evil.example@HOST"}, 403),
        ({"origin": "http://HOST/"}, 403),
        ({"origin": "http://localhost:80@evil", "host": "localhost:80@evil"}, 421),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
    ],
)
async def test_the_registry_is_driven_by_no_page(
    registry: Brokenreg, http: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    headers = {name: own(registry, value) for name, value in headers.items()}
    response = await http.get("/v2/", headers=headers)
    assert response.status_code == status
    if status != 200:
        assert response.json()["errors"][0]["code"] == "DENIED"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "sandbox"


def test_an_origin_of_two_is_foreign(registry: Brokenreg) -> None:
    headers = [("origin", f"http://{registry.host}"), ("origin", "http://evil.example")]
    assert httpx.get(f"{registry.url}/v2/", headers=headers).status_code == 403
    control = registry.control.partition("://")[2]
    headers = [("origin", f"http://{control}"), ("origin", "http://evil.example")]
    assert httpx.get(f"{registry.control}/v1/status", headers=headers).status_code == 403


def test_a_refused_page_changes_nothing(registry: Brokenreg) -> None:
    response = httpx.put(
        f"{registry.url}/v2/guarded/manifests/v1", content=b"{}", headers={"origin": "http://evil.example"}
    )
    assert response.status_code == 403
    assert httpx.get(f"{registry.url}/v2/guarded/manifests/v1").status_code == 404


def test_allow_host_names_further_hosts(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data", "--allow-host", "Registry.Test") as running:
        allowed = httpx.get(f"{running.url}/v2/", headers={"host": "registry.test:5000"})
        refused = httpx.get(f"{running.url}/v2/", headers={"host": "other.test"})
    assert (allowed.status_code, refused.status_code) == (200, 421)
    assert "--allow-host other.test" in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:CONTROL"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1:1"}, 421),
        ({"host": ""}, 421),
        ({"host": "localhost:CONTROL@evil.example"}, 421),
        ({"host": "evil@localhost:CONTROL"}, 421),
        ({"origin": "http://[::1"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://127.0.0.1:CONTROL"}, 200),
        ({"origin": "http://127.0.0.1:PORT"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_the_control_api_answers_its_own_host_and_origin_alone(
    registry: Brokenreg, headers: dict[str, str], status: int
) -> None:
    port = registry.control.rsplit(":", 1)[1]
    headers = {name: own(registry, value).replace("CONTROL", port) for name, value in headers.items()}
    response = httpx.get(f"{registry.control}/v1/status", headers=headers)
    assert response.status_code == status
    if status != 200:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status


def guarded(guard: RegistryGuard, host: str) -> ReadyResponse:
    """Return the response to a request that does not arrive on loopback."""

    async def receive() -> Message:
        raise NotImplementedError

    scope = {"server": ("192.0.2.1", 5000), "headers": [(b"host", host.encode())]}
    read_head(scope)
    response = guard(scope, receive)
    assert isinstance(response, ReadyResponse)
    return response


def empty(_: Scope, __: Receive) -> ReadyResponse:
    return ReadyResponse(204, (), b"")


@pytest.mark.parametrize(
    ("host", "status"), [("registry.example:5000", 204), ("registry.example:80@evil", 421), ("[::1]x", 421)]
)
def test_off_loopback_any_name_is_good_and_no_other_text(host: str, status: int) -> None:
    response = guarded(RegistryGuard(empty, ()), host)
    assert response.status == status
    assert (b"x-content-type-options", b"nosniff") in response.headers


def test_long_hosts_are_not_remembered() -> None:
    def challenging(scope: Scope, _: Receive) -> ReadyResponse:
        return ReadyResponse(401, ((b"www-authenticate", b"Bearer realm=%b" % header(scope, b"host")),), b"")

    guard = RegistryGuard(challenging, ())
    tracemalloc.start()
    try:
        for number in range(100):
            assert guarded(guard, f"{number}{'h' * 50_000}").status == 401
        assert tracemalloc.get_traced_memory()[0] < 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("port", "host", "origin", "status"),
    [
        (80, "127.0.0.1", "http://localhost", None),
        (80, "127.0.0.1:80", "http://127.0.0.1", None),
        (80, "evil.example", "http://evil.example", 421),
        (80, "127.0.0.1", "http://127.0.0.1:8080", 403),
        (8081, "127.0.0.1", "http://127.0.0.1:8081", 421),
    ],
)
def test_clients_leave_out_the_port_of_http(port: int, host: str, origin: str, status: int | None) -> None:
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    guard = ControlGuard(f"127.0.0.1:{port}", None)
    problem = guard.refusal_reason({"server": ("127.0.0.1", port), "headers": headers})
    assert (None if problem is None else problem.status) == status


@pytest.mark.parametrize("token", [None, "s3cret"])
def test_with_a_token_the_control_api_has_any_name(token: str | None) -> None:
    """Outside its container, its name is that of a Service, or of a machine that publishes the port."""
    guard = ControlGuard("0.0.0.0:8081", token)
    headers = [(b"host", b"brokenreg-control:8081"), (b"authorization", b"Bearer s3cret")]

    def status(*more: tuple[bytes, bytes]) -> int | None:
        problem = guard.refusal_reason({"server": ("10.1.2.3", 8081), "headers": [*headers, *more]})
        return None if problem is None else problem.status

    own_page, foreign_page = (
        (b"origin", b"http://brokenreg-control:8081"),
        (b"origin", b"http://evil.example"),
    )
    assert status() == status(own_page) == (421 if token is None else None)
    assert status(foreign_page) == (421 if token is None else 403)


def test_the_control_api_off_loopback_wants_its_token(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "d", "--control", "0.0.0.0:0", "--control-token", "s3cret") as running:
        url = f"http://127.0.0.1:{running.control.rsplit(':', 1)[1]}/v1/status"
        without = httpx.get(url)
        wrong = httpx.get(url, headers={"authorization": "Bearer s3creT"})
        right = httpx.get(url, headers={"authorization": "Bearer s3cret"})
    assert (without.status_code, wrong.status_code, right.status_code) == (401, 401, 200)
    assert without.headers["www-authenticate"].startswith("Bearer")


def test_what_the_control_api_does_not_have_is_a_problem(registry: Brokenreg) -> None:
    missing = httpx.get(f"{registry.control}/v1/nothing")
    wrong = httpx.post(f"{registry.control}/v1/status")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json()["status"] == 404
    assert "GET" in wrong.headers["allow"]


def test_health_is_never_recorded_or_guarded(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data") as running:
        response = httpx.get(f"{running.url}/healthz", headers={"host": "probe.example"})
        assert (response.status_code, response.text) == (200, "ok\n")
        running.stop()
    assert [line for line in running.lines if line["event"] == "exchange"] == []
