"""What the control API says without a replica is about the whole fleet: verdicts, HAR and the status."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.config.databases import passwords_in
from tests.fleet.fleets import Fleet, eventually, name_of
from tests.process import BrokenregProcess, run_here
from tests.server import brokenreg

Pair = tuple[BrokenregProcess, BrokenregProcess]


@pytest.fixture
def visited(pair: Pair) -> Pair:
    """Two replicas, whose logs have four requests that arrived in turn."""
    for each in pair:
        assert httpx.post(f"{each.control}/v1/reset", params={"namespace": "*"}).status_code == 204
    assert httpx.delete(f"{pair[0].control}/v1/exchanges").status_code == 204
    for number in range(4):
        httpx.get(f"{pair[number % 2].url}/v2/team/app/manifests/v{number}")
    return pair


def judged(at: BrokenregProcess, expectation: dict[str, Any], **query: str) -> Any:
    response = httpx.post(f"{at.control}/v1/expectations", json=expectation, params=query)
    assert response.status_code == 200, response.text
    return response.json()


def test_an_expectation_is_judged_by_the_exchanges_of_all_replicas(visited: Pair) -> None:
    first, second = visited
    for at in visited:
        assert judged(at, {"filter": "endpoint:manifest", "count": 4})["met"]
        unmet = judged(at, {"filter": "endpoint:manifest", "count": 9})
        assert (unmet["got"], unmet["met"]) == ("4", False)
        assert {*unmet["replicas"]} == {name_of(first), name_of(second)}
        assert judged(at, {"order": ["reference:v0", "reference:v1", "reference:v2"]})["met"]
        assert judged(at, {"filter": "endpoint:manifest", "count": 2}, replica=name_of(second))["met"]


def test_only_exchanges_after_an_id_of_each_replica_count(visited: Pair) -> None:
    first, second = visited
    listed = httpx.get(f"{first.control}/v1/exchanges").json()
    after = ",".join(f"{each['replica']}/{each['id']}" for each in listed[:2])
    assert judged(first, {"filter": "", "count": 2}, after=after)["met"]
    newer = httpx.get(f"{second.control}/v1/exchanges", params={"after": after}).json()
    assert [each["reference"] for each in newer] == ["v2", "v3"]
    refused = httpx.post(
        f"{first.control}/v1/expectations", json={"filter": ""}, params={"after": "1", "replica": "*"}
    )
    assert (refused.status_code, refused.json()["field"]) == (400, "after")


def test_a_rule_is_judged_by_what_all_replicas_have_counted(visited: Pair) -> None:
    first, second = visited
    added = httpx.post(
        f"{first.control}/v1/rules",
        json={"fault": {"type": "error", "status": 418}, "match": {"reference": "tea"}},
    ).json()
    path = f"/v1/rules/{added['id']}/verdict"
    assert httpx.get(f"{second.control}{path}").json()["met"] is False
    assert httpx.get(f"{first.url}/v2/team/app/manifests/tea").status_code == 418
    assert httpx.get(f"{second.control}{path}").json()["met"] is True
    own = httpx.get(f"{second.control}{path}", params={"replica": name_of(second)}).json()
    assert own["met"] is False
    assert httpx.delete(f"{first.control}/v1/rules").status_code == 204


def connections_in_har(at: BrokenregProcess) -> list[dict[str, Any]]:
    """The connections without a request after the last entry."""
    log = httpx.get(f"{at.control}/v1/exchanges.har").json()["log"]
    found: list[dict[str, Any]] = log.get("_connections", [])
    return found


def test_har_of_all_replicas(visited: Pair) -> None:
    first, second = visited
    names = [name_of(each) for each in visited]
    found = httpx.get(f"{first.control}/v1/exchanges.har").json()["log"]["entries"]
    assert [each["request"]["url"].rpartition("/")[2] for each in found] == ["v0", "v1", "v2", "v3"]
    assert [each["_replica"] for each in found] == names * 2
    with closing(socket.create_connection((httpx.URL(first.url).host, httpx.URL(first.url).port))):
        pass
    eventually(lambda: bool(connections_in_har(second)))
    assert [each["_replica"] for each in connections_in_har(second)] == [names[0]]
    newest = httpx.get(f"{second.control}/v1/exchanges.har", params={"limit": 1}).json()["log"]["entries"]
    assert [each["_replica"] for each in newest] == [names[1]]
    own = httpx.get(f"{first.control}/v1/exchanges.har", params={"replica": names[1]}).json()
    assert [each["_replica"] for each in own["log"]["entries"]] == [names[1]] * 2


def test_exchanges_of_all_replicas_are_deleted(visited: Pair) -> None:
    first, second = visited
    assert httpx.delete(f"{first.control}/v1/exchanges", params={"filter": "reference:v3"}).status_code == 204
    left = httpx.get(f"{second.control}/v1/exchanges").json()
    assert [each["reference"] for each in left] == ["v0", "v1", "v2"]
    own = {"replica": name_of(first)}
    assert httpx.delete(f"{second.control}/v1/exchanges", params=own).status_code == 204
    left = httpx.get(f"{second.control}/v1/exchanges").json()
    assert [each["reference"] for each in left] == ["v1"]


def test_the_status_of_all_replicas(visited: Pair, shared_fleet: Fleet) -> None:
    first, second = visited
    for place, at in enumerate(visited):
        plain = httpx.get(f"{at.control}/v1/status").json()
        assert (plain["replica"], "replicas" in plain) == (name_of(at), False)
        assert plain["database"].startswith("postgresql://")
        assert plain["blob_storage"] == f"file:{at.data}"
        found = httpx.get(f"{visited[1 - place].control}/v1/status", params={"replica": "*"}).json()
        assert found["replicas"][name_of(at)]["registry"] == plain["registry"]
    done = run_here("status", BROKENREG_URL=second.control)
    for text in (
        f"replica {name_of(second)}, this one: {second.url}, up for ",
        f"replica {name_of(first)}: {first.url}, up for ",
        "index: postgresql://",
    ):
        assert text in done.stdout
    one = run_here("status", "--replica", name_of(first), "--json", BROKENREG_URL=second.control)
    assert json.loads(one.stdout)["registry"] == [first.url]


def test_passwords_are_not_in_the_status(fleet: Fleet) -> None:
    (password,) = passwords_in(fleet.url)
    at = fleet.thread("a")
    found = httpx.get(f"{at.control}/v1/status").text
    assert '"database":"postgresql://' in found
    assert password not in found


def test_without_a_fleet_the_status_names_the_data_folder(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data") as alone:
        found = httpx.get(f"{alone.control}/v1/status").json()
        assert found["database"] == f"sqlite:{tmp_path}/data/index.sqlite3"
        assert found["blob_storage"] == f"file:{tmp_path}/data"
        done = run_here("status", BROKENREG_URL=alone.control)
        assert f"blobs: file:{tmp_path}/data\nindex: sqlite:{tmp_path}/data/index.sqlite3\n" in done.stdout
