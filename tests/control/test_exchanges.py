"""`/v1/exchanges`, holding, and `/v1/events`."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.control.problem import problem_of
from tests.process import brokenreg_process
from tests.server import Brokenreg

IMAGE = "/v2/broken/random/manifests/layers-1_size-10"


def until(control: httpx.Client, expression: str, count: int = 1) -> list[dict[str, Any]]:
    """Return the exchanges that the filter matches, once there are `count`, within 10 s."""
    deadline = time.monotonic() + 10
    while True:
        found = control.get("/v1/exchanges", params={"filter": expression, "namespace": "*"}).json()
        if len(found) == count:
            return list(found)
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


@contextmanager
def asking(url: str, count: int = 1) -> Iterator[list[Any]]:
    """Send requests in the background, and return futures of their responses."""
    with ThreadPoolExecutor(count) as pool:
        yield [pool.submit(httpx.get, url, timeout=30) for _ in range(count)]


def test_what_has_passed(registry: Brokenreg, control: httpx.Client) -> None:
    secret = {"authorization": "Basic c2VjcmV0", "user-agent": "docker/28"}
    for tag in ("a", "b", "c"):
        httpx.get(f"{registry.url}/v2/some/app/manifests/{tag}", headers=secret)
    listed = until(control, "repository:some/*", 3)
    assert [each["reference"] for each in listed] == ["a", "b", "c"]
    newest = control.get("/v1/exchanges", params={"limit": 2}).json()
    assert [each["reference"] for each in newest] == ["b", "c"]
    after = control.get("/v1/exchanges", params={"after": listed[1]["id"]}).json()
    assert [each["reference"] for each in after] == ["c"]
    detail = control.get(f"/v1/exchanges/{listed[0]['id']}").json()
    assert {key: detail[key] for key in listed[0]} == listed[0]
    assert (detail["status"], detail["endpoint"], detail["ended"]) == (404, "manifest", "complete")
    assert ["user-agent", "docker/28"] in detail["request_headers"]
    assert "c2VjcmV0" not in json.dumps(detail)
    assert [point["kind"] for point in detail["timeline"]] == ["request", "headers", "end"]
    assert [(point["text"], point["data"]) for point in detail["timeline"]] == [
        ("request received", {}),
        ("headers sent", {}),
        ("ended", {}),
    ]


def test_bodies_are_searched_where_exchanges_have_ended(registry: Brokenreg, control: httpx.Client) -> None:
    for name in ("a", "Upper"):
        httpx.get(f"{registry.url}/v2/some/{name}/manifests/v1")
    found = until(control, "body:manifest_unknown")
    assert [each["repository"] for each in found] == ["some/a"]
    query = {"filter": "body:x"}
    for refused in (
        control.delete("/v1/exchanges", params=query),
        control.post("/v1/resume", params=query),
        control.post("/v1/breakpoints", json={"expression": "body:x"}),
        control.post("/v1/expectations", json={"filter": "body:x"}),
    ):
        assert refused.status_code in (400, 422)
        assert "body is not valid here" in refused.json()["detail"]


def test_forgetting(registry: Brokenreg, control: httpx.Client) -> None:
    for tag in ("a", "b", "c"):
        httpx.get(f"{registry.url}/v2/some/app/manifests/{tag}")
    middle = until(control, "reference:b")[0]["id"]
    assert control.delete("/v1/exchanges", params={"filter": "reference:b"}).status_code == 204
    assert [each["reference"] for each in control.get("/v1/exchanges").json()] == ["a", "c"]
    problem_of(control.get(f"/v1/exchanges/{middle}"), 404)
    assert control.delete("/v1/exchanges").status_code == 204
    assert control.get("/v1/exchanges").json() == []


def test_bad_questions(control: httpx.Client) -> None:
    for query, field, told in (
        ("filter=staus:500", "filter", "did you mean status?"),
        ("limit=0", "limit", "1"),
        ("limit=x", "limit", '"x"'),
        ("limit=10001", "limit", "10000"),
        ("filtre=x", "filtre", "filter"),
    ):
        assert told in problem_of(control.get(f"/v1/exchanges?{query}"), 400, field)
    problem_of(control.get("/v1/exchanges/99999999"), 404)
    problem_of(control.post("/v1/exchanges/99999999/resume"), 404)
    for order, body in (("step", {"bytes": 0}), ("step", {"bytes": "far"}), ("abort", {"status": 200})):
        problem_of(control.post(f"/v1/{order}", json=body), 400, next(iter(body)))
    problem_of(control.post("/v1/resume", json={"all": True}), 400, "all")


def test_hold_step_resume(registry: Brokenreg, control: httpx.Client) -> None:
    control.post("/v1/rules", json={"fault": {"type": "hold", "at": 10}, "match": {"endpoint": "manifest"}})
    with asking(registry.url + IMAGE) as (answer,):
        (held,) = until(control, "held:true")
        where = f"/v1/exchanges/{held['id']}"
        assert (held["status"], held["response_bytes"], control.get("/v1/status").json()["held"]) == (
            200,
            10,
            1,
        )
        assert "without a status" in problem_of(control.post(f"{where}/abort", json={"status": 503}), 409)
        many = control.post("/v1/abort", json={"status": 503}).json()
        assert many == {"exchanges": [], "skipped": [held["id"]]}
        assert control.post(f"{where}/step", json={"bytes": 7}).status_code == 200
        until(control, "held:true")
        deadline = time.monotonic() + 10
        while control.get(where).json()["response_bytes"] != 17:
            assert time.monotonic() < deadline
        assert control.post(f"{where}/resume").json()["id"] == held["id"]
        assert answer.result().status_code == 200
    until(control, "ended:complete")
    assert "not held" in problem_of(control.post(f"{where}/resume"), 409)
    assert "not in flight" in problem_of(control.post(f"{where}/hold"), 409)


def test_orders_for_many(registry: Brokenreg, control: httpx.Client) -> None:
    for namespace in ("", "a"):
        control.post("/v1/rules", params={"namespace": namespace}, json={"fault": "hold"})
    other = registry.url + IMAGE.replace("/v2/", "/v2/broken/in/a/")
    with asking(registry.url + IMAGE, 2) as answers, asking(other) as (apart,):
        held = until(control, "held:true", 3)
        ids = {each["id"] for each in held if not each["namespace"]}
        assert control.post("/v1/resume", params={"filter": "endpoint:tags"}).json() == {
            "exchanges": [],
            "skipped": [],
        }
        aborted = control.post("/v1/abort", json={"status": 504}).json()["exchanges"]
        assert set(aborted) == ids
        assert [answer.result().status_code for answer in answers] == [504, 504]
        assert len(until(control, "held:true")) == 1
        assert len(control.post("/v1/resume", params={"namespace": "a"}).json()["exchanges"]) == 1
        assert apart.result().status_code == 200


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (event, data) of a stream of events, without comments."""
    kind = ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def test_events(registry: Brokenreg, control: httpx.Client) -> None:
    control.post("/v1/rules", json={"fault": "hold"})
    with control.stream("GET", "/v1/events", params={"filter": "endpoint:manifest"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        httpx.get(f"{registry.url}/v2/broken/in/a/x/manifests/v1")  # of another namespace
        seen = events(lines)
        with asking(registry.url + IMAGE) as (answer,):
            assert [next(seen)[0], next(seen)[0]] == ["opened", "held"]
            control.post("/v1/resume")
            assert answer.result().status_code == 200
        hold_ended, ended = next(seen), next(seen)
    assert (hold_ended[0], ended[0], ended[1]["ended"], ended[1]["namespace"]) == (
        "hold-ended",
        "ended",
        "complete",
        "",
    )


@pytest.mark.slow
def test_readers_of_events_do_not_delay_the_end(tmp_path: Path) -> None:
    with brokenreg_process(tmp_path / "data") as running:
        host, port = running.control.partition("://")[2].split(":")
        with socket.create_connection((host, int(port))) as idle:
            idle.sendall(f"GET /v1/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            assert idle.recv(15) == b"HTTP/1.1 200 OK"
            assert running.stop(timeout=10) == 0
            received = b""
            while chunk := idle.recv(65536):
                received += chunk
    assert received.endswith(b"0\r\n\r\n")  # a good end, not a cut
