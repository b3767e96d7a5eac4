"""The control API of a replica shows the exchanges of all others."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.config.fleet import LOOPBACK
from brokenreg.control.app import ROUTES
from brokenreg.fleet.calls import Calls
from brokenreg.fleet.control_calls import ControlCalls, ControlRequest
from brokenreg.fleet.directory import Replica
from brokenreg.fleet.signing import CallSigner
from tests.fleet.fleets import KEY, Fleet, eventually, name_of
from tests.process import BrokenregProcess, run_here
from tests.server import Brokenreg, brokenreg

Pair = tuple[BrokenregProcess, BrokenregProcess]
TOKENS = ("--control-token", "the token", "--control-read-token", "the other token")


@pytest.fixture
def visited(pair: Pair) -> Pair:
    """Two replicas, whose logs have four requests that arrived in turn."""
    for each in pair:
        assert httpx.post(f"{each.control}/v1/reset", params={"namespace": "*"}).status_code == 204
    for number in range(4):
        httpx.get(f"{pair[number % 2].url}/v2/team/app/manifests/v{number}")
    return pair


def exchanges(at: Brokenreg, **query: object) -> list[dict[str, Any]]:
    response = httpx.get(f"{at.control}/v1/exchanges", params={"replica": "*", **query})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


def test_exchanges_of_all_replicas_are_sorted_by_time(visited: Pair) -> None:
    names = [name_of(each) for each in visited]
    for at in visited:
        found = exchanges(at)
        assert [each["reference"] for each in found] == ["v0", "v1", "v2", "v3"]
        assert [each["replica"] for each in found] == names * 2
        assert all(isinstance(each["id"], int) for each in found)
        assert [each["reference"] for each in exchanges(at, limit=3)] == ["v1", "v2", "v3"]
        assert [each["reference"] for each in exchanges(at, filter="reference:v2|v3")] == ["v2", "v3"]
        assert exchanges(at, filter="status:599") == []


def test_a_reset_at_one_replica_clears_what_all_have(visited: Pair) -> None:
    first, second = visited

    def states() -> list[dict[str, Any]]:
        return [httpx.get(f"{each.control}/v1/status?replica={name_of(each)}").json() for each in visited]

    def seen() -> tuple[int, list[int]]:
        eventually(lambda: not any(each["in_flight"] for each in states()))  # these would stay
        return len(exchanges(first)), [each["leaked_credentials"]["count"] for each in states()]

    for each in visited:
        origin = httpx.get(f"{each.control}/v1/status").json()["second_origin"]
        httpx.get(f"{origin}/v2/", headers={"authorization": "Bearer of-another"})
    assert seen() == (6, [1, 1])
    other = httpx.post(f"{first.control}/v1/reset", params={"namespace": "other"})
    assert (other.status_code, seen()) == (204, (6, [1, 1]))
    one = httpx.post(f"{first.control}/v1/reset", params={"replica": name_of(second)})
    assert (one.status_code, seen()) == (204, (3, [1, 0]))
    httpx.get(f"{second.url}/v2/team/app/manifests/v5")
    assert seen() == (4, [1, 0])
    assert httpx.post(f"{second.control}/v1/reset").status_code == 204
    assert seen() == (0, [0, 0])


def test_one_replica_can_be_named(visited: Pair) -> None:
    first, second = visited
    for at in visited:
        found = exchanges(at, replica=name_of(second))
        assert [each["reference"] for each in found] == ["v1", "v3"]
        detail = httpx.get(
            f"{at.control}/v1/exchanges/{found[1]['id']}", params={"replica": name_of(second)}
        ).json()
        assert (detail["reference"], detail["replica"]) == ("v3", name_of(second))
    plain = httpx.get(f"{first.control}/v1/exchanges").json()
    assert [each["reference"] for each in plain] == ["v0", "v1", "v2", "v3"]
    own = httpx.get(f"{first.control}/v1/exchanges", params={"after": plain[0]["id"]}).json()
    assert [each["reference"] for each in own] == ["v2"], "an id alone is one of the replica that responds"
    assert "replica" not in own[0]


def test_what_is_invalid_is_a_400(visited: Pair) -> None:
    first, second = visited
    for query, detail in (
        ({"replica": "*", "after": 1}, "after needs REPLICA/ID"),
        ({"after": "1f0a93c2"}, 'invalid id "1f0a93c2"'),
        ({"replica": "*", "filter": "status:"}, "status"),
        ({"replica": name_of(second), "filter": "status:"}, "status"),
        ({"replica": ""}, "replica"),
    ):
        response = httpx.get(f"{first.control}/v1/exchanges", params=query)
        assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")
        assert detail in response.json()["detail"]
    response = httpx.get(f"{first.control}/v1/exchanges/1", params={"replica": "*"})
    assert (response.status_code, response.json()["field"]) == (400, "replica")
    response = httpx.get(f"{first.control}/v1/exchanges/999999", params={"replica": name_of(second)})
    assert (response.status_code, response.json()["missing"]) == (404, "exchange")


def test_an_unknown_replica_is_a_404_that_names_the_others(pair: Pair) -> None:
    first, second = pair
    response = httpx.get(f"{first.control}/v1/exchanges", params={"replica": "nobody"})
    assert response.status_code == 404
    assert 'no replica "nobody": use *' in response.json()["detail"]
    assert name_of(second) in response.json()["detail"]


def test_without_a_fleet_there_are_no_replicas(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data") as alone:
        for name in ("*", "1f0a93c2"):
            response = httpx.get(f"{alone.control}/v1/exchanges", params={"replica": name})
            assert (response.status_code, response.json()["field"]) == (400, "replica")
            assert "this brokenreg is not in a fleet" in response.json()["detail"]


def test_the_log_of_all_replicas(visited: Pair) -> None:
    first, second = visited

    def log(*arguments: str, status: int = 0) -> str:
        done = run_here("log", *arguments, BROKENREG_URL=first.control, COLUMNS="120")
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    _, *lines = log("--replica", "*").splitlines()
    assert [line.split()[0].partition("/")[0] for line in lines] == [name_of(first), name_of(second)] * 2
    _, *lines = log("--replica", name_of(second)).splitlines()
    assert [line.split()[4].rpartition("/")[2] for line in lines] == ["v1", "v3"]
    documents = [json.loads(line) for line in log("--replica", "*", "--json").splitlines()]
    assert [each["reference"] for each in documents] == ["v0", "v1", "v2", "v3"]


@pytest.mark.slow
def test_a_replica_that_does_not_respond_is_named(fleet: Fleet) -> None:
    first, second = fleet.thread("a"), fleet.process("b")
    httpx.get(f"{first.url}/v2/")
    second.process.send_signal(signal.SIGSTOP)
    try:
        response = httpx.get(f"{first.control}/v1/exchanges", params={"replica": "*"}, timeout=30)
        assert response.status_code == 504
        assert f"replica {name_of(second)} (127.0.0.1:" in response.json()["detail"]
        assert len(exchanges(first, replica=name_of(first))) == 1
    finally:
        second.process.send_signal(signal.SIGCONT)
    assert len(exchanges(first)) == 1
    second.stop(signal.SIGKILL)
    assert len(exchanges(first)) == 1, "what has ended has no exchanges"


async def one(chunk: bytes) -> AsyncIterator[bytes]:
    """A body of one chunk."""
    yield chunk


@pytest.fixture
def guarded(fleet: Fleet) -> tuple[BrokenregProcess, BrokenregProcess]:
    """Two replicas with tokens."""
    return fleet.process("a", *TOKENS), fleet.process("b", *TOKENS)


def test_tokens_are_checked_where_they_are_sent(guarded: Pair) -> None:
    first, _ = guarded
    url = f"{first.control}/v1/exchanges?replica=*"
    assert httpx.get(url).status_code == 401
    for token in (TOKENS[1], TOKENS[3]):
        assert httpx.get(url, headers={"authorization": f"Bearer {token}"}).json() == []


async def test_a_replica_refuses_changes_with_the_read_token(guarded: Pair, fleet: Fleet) -> None:
    """Even if the replica that the client uses let them through."""
    _, second = guarded
    at = Replica(name_of(second), fleet.replica(second).address)
    calls = Calls(CallSigner(KEY, Replica("0123abcd", at.address)), LOOPBACK)
    control = ControlCalls("0123abcd", None, calls)  # type: ignore[arg-type]
    try:
        for route in ROUTES:
            path = route.template.format(**{name: "1" for name, _ in route.path_parameters})
            if route.changes:
                response = await control.call(at, ControlRequest(route.method, path, "read"))
                assert response.status == 403, (route, response)
        added = ControlRequest(
            "POST", "/v1/breakpoints", "full", b'{"expression": "status:599"}', "application/json"
        )
        assert (await control.call(at, added)).status == 201
        headers = {"content-digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"}
        path, body = "/fleet/control/full/v1/breakpoints", added.body
        altered = await calls.call(at, "POST", path, headers, one(body), len(body))
        assert (altered.status, b"altered" in altered.body) == (400, True)
    finally:
        await calls.close()


SCENARIO = """
rules:
  - {name: fails, fault: {type: error, status: 418}, match: {reference: v0}}
  - {name: once, fault: {type: error, status: 503}, match: {reference: v9}, times: 1}
expect:
  - {name: number, filter: "endpoint:manifest", count: 4}
  - {name: at most three, filter: "endpoint:manifest", at_most: 3}
  - {name: each, filter: "endpoint:manifest", each: "status:418"}
  - {name: apart, filter: "endpoint:manifest", spacing: "<=20s"}
  - {name: far apart, filter: "endpoint:manifest", spacing: ">=20s"}
  - {name: order, order: ["reference:v0", "reference:v1", "reference:v2", "reference:v3"]}
  - {name: wrong order, order: ["reference:v1", "reference:v0"]}
  - {name: connections, connections: {at_most: 3}}
  - {name: no leaks, leaks: 0}
"""
VERDICTS = {
    "number": (True, "4"),
    "at most three": (False, "4"),
    "each": (False, "4, 1 of them matching"),
    "apart": (True, "4"),
    "order": (True, "4 in this order"),
    "wrong order": (False, "1 in this order, then none of reference:v0"),
    "connections": (False, "4"),
    "no leaks": (True, "0 credentials"),
    "fails": (True, "1"),
}


def test_expectations_about_all_replicas(pair: Pair) -> None:
    """Each kind of expectation, which no replica alone could judge."""
    first, second = pair
    assert httpx.post(f"{first.control}/v1/reset", params={"namespace": "*"}).status_code == 204
    headers = {"content-type": "application/yaml"}
    put = httpx.put(f"{first.control}/v1/scenario", content=SCENARIO, headers=headers)
    assert put.status_code == 200, put.text
    for number in range(4):
        httpx.get(f"{pair[number % 2].url}/v2/team/app/manifests/v{number}")
    for at in pair:
        verdicts = httpx.get(f"{at.control}/v1/expectations", params={"replica": "*"}).json()
        found = {each["name"]: (each["met"], each["got"]) for each in verdicts}
        assert found["far apart"][0] is False
        assert found["far apart"][1].startswith("4, once 0.")
        assert found["once"][0] is False
        assert {name: found[name] for name in VERDICTS} == VERDICTS
        (each,) = (each for each in verdicts if each["name"] == "each")
        assert sorted(each["replicas"]) == sorted([name_of(first), name_of(second), name_of(second)])
    done = run_here("check", "--replica", "*", BROKENREG_URL=second.control)
    assert done.returncode == 1
    assert "✓ number: endpoint:manifest  got 4, want exactly 4" in done.stdout
    assert f"    {name_of(first)}/" in done.stdout
    assert "GET /v2/team/app/manifests/v2  " in done.stdout
    alone = httpx.get(f"{first.control}/v1/expectations", params={"replica": name_of(second)}).json()
    assert [each["got"] for each in alone if each["name"] == "number"] == ["2"]


def test_held_responses_of_all_replicas(pair: Pair) -> None:
    """They are stepped, aborted and resumed at a replica that does not have their connections."""
    first, second = pair
    names = [name_of(each) for each in pair]
    assert httpx.post(f"{first.control}/v1/reset", params={"namespace": "*"}).status_code == 204
    added = httpx.post(f"{first.control}/v1/rules", json={"fault": {"type": "hold"}})
    assert added.status_code == 201

    def pull(at: Brokenreg) -> int:
        url = f"{at.url}/v2/broken/random/manifests/layers-1_size-10"
        return httpx.get(url, timeout=20).status_code

    def held() -> list[dict[str, Any]]:
        return exchanges(first, filter="held:true")

    def command(*arguments: str, status: int = 0) -> str:
        done = run_here(*arguments, BROKENREG_URL=first.control)
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    with ThreadPoolExecutor(4) as threads:
        responses = [threads.submit(pull, at) for at in (first, second, second, second)]
        eventually(lambda: len(held()) == 4)
        there = [each["id"] for each in held() if each["replica"] == names[1]]
        url = f"{first.control}/v1/exchanges/{there[0]}/abort"
        aborted = httpx.post(url, params={"replica": names[1]}, json={"status": 599})
        assert (aborted.status_code, aborted.json()["replica"]) == (200, names[1])
        again = httpx.post(url, params={"replica": names[1]}, json={"status": 599})
        assert again.status_code == 409
        refused = httpx.post(url, params={"replica": "*"}, json={"status": 599})
        assert (refused.status_code, refused.json()["field"]) == (400, "replica")
        command("resume", str(there[1]), "--replica", names[1])
        eventually(lambda: len(held()) == 2)
        left = {each["replica"]: [each["id"]] for each in held()}
        outcome = httpx.post(f"{first.control}/v1/resume", params={"replica": "*"}, json={}).json()
        assert sorted(outcome["exchanges"]) == sorted(each for ids in left.values() for each in ids)
        assert {name: each["exchanges"] for name, each in outcome["replicas"].items()} == left
        assert sorted(each.result() for each in responses) == [200, 200, 200, 599]
        response = threads.submit(pull, second)
        eventually(lambda: len(held()) == 1)
        assert command("resume", "--replica", "*") == "1 exchange\n"
        assert response.result() == 200
    assert command("resume", "--replica", "*") == "0 exchanges\n"
    assert "--replica needs IDS" in command("hold", "--replica", names[1], status=2)


def test_an_id_can_name_its_replica(visited: Pair) -> None:
    first, second = visited
    assert httpx.post(f"{first.control}/v1/rules", json={"fault": {"type": "hold"}}).status_code == 201

    def pull() -> int:
        return httpx.get(f"{second.url}/v2/broken/random/manifests/layers-1_size-10", timeout=20).status_code

    with ThreadPoolExecutor(1) as threads:
        response = threads.submit(pull)
        eventually(lambda: len(exchanges(first, filter="held:true")) == 1)
        listed = run_here("log", "--filter", "held:true", BROKENREG_URL=first.control).stdout.splitlines()
        shown = listed[1].split()[0]
        assert shown.startswith(f"{name_of(second)}/")
        both = run_here("resume", shown, "--replica", name_of(first), BROKENREG_URL=first.control)
        assert (both.returncode, f"excludes {shown}" in both.stderr) == (2, True)
        done = run_here("resume", shown, BROKENREG_URL=first.control)
        assert (done.returncode, done.stderr) == (0, "")
        assert response.result() == 200
    invalid = run_here("resume", "b25d351a/", BROKENREG_URL=first.control)
    assert (invalid.returncode, 'invalid value "b25d351a/": use a whole number' in invalid.stderr) == (
        2,
        True,
    )
    assert httpx.delete(f"{first.control}/v1/rules").status_code == 204
