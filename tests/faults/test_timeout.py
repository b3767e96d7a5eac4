"""`broken/timeout:dur-<duration>`: silence, then 408. A client that disconnects leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from tests.registry.pushing import MIB, connect, error_of, push_manifest, status, until_in_flight
from tests.server import Brokenreg, brokenreg

URL = "/v2/broken/timeout/manifests"


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [("dur-300ms", 0.3), ("dur-0.25s", 0.25), ("dur-0s", 0), ("dur-0", 0), ("dur-.1s99ms1000us", 0.2)],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_it_waits_and_then_answers(
    http: httpx.AsyncClient, method: str, tag: str, seconds: float
) -> None:
    began = time.monotonic()
    response = await http.request(method, f"{URL}/{tag}")
    assert seconds <= time.monotonic() - began
    assert response.status_code == 408
    if method == "GET":
        error = error_of(response, 408)
        assert (error["code"], error["message"]) == ("TIMEOUT", "Timeout duration has elapsed!")
    else:
        assert response.content == b""


@pytest.mark.parametrize("tag", ["latest", "2s", "duration-2s"])
async def test_a_tag_without_a_duration(http: httpx.AsyncClient, tag: str) -> None:
    error = error_of(await http.get(f"{URL}/{tag}"), 400)
    assert (error["code"], error["message"]) == (
        "MANIFEST_INVALID",
        "Tag missing duration: use for instance broken/timeout:dur-2s",
    )


@pytest.mark.parametrize("duration", ["x", "2", "-1s", "-0.5h", "1d", "1.2.3s", "9999999h", "s", "1ms2"])
async def test_a_bad_duration_is_named(http: httpx.AsyncClient, duration: str) -> None:
    error = error_of(await http.get(f"{URL}/dur-{duration}"), 400)
    assert error["code"] == "MANIFEST_INVALID"
    assert duration in error["message"]
    assert (await http.head(f"{URL}/dur-{duration}")).status_code == 400


async def test_on_a_pushed_image(http: httpx.AsyncClient) -> None:
    await push_manifest(http, "faults/timeout", "v1", b"{}")
    prefix = "/v2/broken/with/timeout_dur-200ms"
    began = time.monotonic()
    assert error_of(await http.get(f"{prefix}/faults/timeout/manifests/v1"), 408)
    assert time.monotonic() - began >= 0.2
    tags = await http.get(f"{prefix}/faults/timeout/tags/list")
    assert (tags.status_code, tags.json()["tags"]) == (200, ["v1"])


async def test_a_push_that_times_out_is_not_stored(http: httpx.AsyncClient) -> None:
    url = "/v2/broken/with/timeout_dur-200ms/faults/timed-out/manifests/v1"
    assert error_of(await http.put(url, content=b"{}" * 100_000), 408)
    assert (await http.get("/v2/faults/timed-out/manifests/v1")).status_code == 404


@pytest.mark.slow
async def test_many_are_held_and_others_are_served(http: httpx.AsyncClient) -> None:
    for_long = [asyncio.create_task(http.get(f"{URL}/dur-1h")) for _ in range(50)]
    waiting = [asyncio.create_task(http.get(f"{URL}/dur-1s")) for _ in range(25)]
    for _ in range(10):
        assert (await http.get("/v2/")).status_code == 200
    assert {(await each).status_code for each in waiting} == {408}
    assert not any(each.done() for each in for_long)
    for each in for_long:
        each.cancel()


def test_a_client_that_disconnects_frees_everything_immediately(own_registry: Brokenreg) -> None:
    request = f"GET {URL}/dur-1h HTTP/1.1\r\nHost: {own_registry.host}\r\n\r\n".encode()
    clients = [connect(own_registry) for _ in range(20)]
    for client in clients:
        client.sendall(request)
    until_in_flight(own_registry, 20)
    assert status(own_registry)["connections"] == 20
    for client in clients:
        client.close()
    until_in_flight(own_registry, 0)
    deadline = time.monotonic() + 5
    while status(own_registry)["connections"]:
        assert time.monotonic() < deadline, "connections outlive their clients"
    assert own_registry.stop() == 0
    ended = [line for line in own_registry.lines if line["event"] == "exchange"]
    assert len(ended) == 20
    assert {(*line["faults"], line["status"], line["ended"]) for line in ended} == {
        ("timeout", None, "disconnected")
    }


@pytest.mark.slow
@pytest.mark.parametrize("sent", [2, 3 * MIB, 3 * MIB - 1])
def test_a_push_whose_client_disconnects(own_registry: Brokenreg, sent: int) -> None:
    """It does not matter how much of the body was read or has arrived."""
    size = 2 if sent == 2 else 3 * MIB
    path = "/v2/broken/with/timeout_dur-1h/faults/left/manifests/v1"
    head = f"PUT {path} HTTP/1.1\r\nHost: {own_registry.host}\r\nContent-Length: {size}\r\n\r\n"
    with connect(own_registry) as client:
        client.sendall(head.encode() + bytes(sent))
        until_in_flight(own_registry, 1)
    until_in_flight(own_registry, 0)


def test_stopping_waits_for_no_timeout(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data") as running, connect(running) as client:
        client.sendall(f"GET {URL}/dur-1h HTTP/1.1\r\nHost: {running.host}\r\n\r\n".encode())
        until_in_flight(running, 1)
        assert running.stop() == 0
