"""Counts that decide whether a rule is applied are those of the whole fleet."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.storage.shared.counting import Counting
from tests.fleet.fleets import Fleet, eventually, new_fleet
from tests.postgresql import running_server
from tests.server import Brokenreg

ERROR = {"type": "error", "status": 418}


@pytest.fixture
def three(fleet: Fleet) -> list[Brokenreg]:
    """Three replicas in this process."""
    return [fleet.thread(name) for name in "abc"]


def add(at: Brokenreg, rule: dict[str, Any], namespace: str = "") -> str:
    query = {"namespace": namespace} if namespace else {}
    response = httpx.post(f"{at.control}/v1/rules", json={"fault": ERROR, **rule}, params=query)
    assert response.status_code == 201, response.text
    return str(response.headers["location"])


def statuses(three: list[Brokenreg], count: int, path: str = "team/app/manifests/v1") -> list[int]:
    """Send requests to one replica after the other."""
    return [httpx.get(f"{at.url}/v2/{path}").status_code for at, _ in zip(cycle(three), range(count))]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"times": 2}, [418, 418, 404, 404, 404, 404, 404]),
        ({"skip": 2}, [404, 404, 418, 418, 418, 418, 418]),
        ({"skip": 1, "times": 2}, [404, 418, 418, 404, 404, 404, 404]),
        ({"match": {"attempt": 3}}, [404, 404, 418, 404, 404, 404, 404]),
        ({"times": 1, "per": "reference"}, [418, 404, 404, 404, 404, 404, 404]),
        ({}, [418] * 7),
    ],
)
def test_one_client_at_all_replicas(
    three: list[Brokenreg], rule: dict[str, Any], expected: list[int]
) -> None:
    path = add(three[0], rule)
    assert statuses(three, 7) == expected
    if rule:
        for each in three:
            state = httpx.get(f"{each.control}{path}").json()
            assert state["applied"] == expected.count(418), "each replica shows the counts of all"


def test_draws_are_those_of_one_registry(three: list[Brokenreg], registry: Brokenreg) -> None:
    """Each attempt has its own draw, at whichever replica it arrives."""
    rule = {"name": "flaky", "probability": 0.5, "match": {"repository": "draws/app"}}
    add(three[0], rule)
    add(registry, rule)
    got = statuses(three, 20, "draws/app/manifests/v1")
    assert got == statuses([registry], 20, "draws/app/manifests/v1")
    assert len(set(got)) == 2


def test_a_rule_that_follows_another(three: list[Brokenreg]) -> None:
    add(three[0], {"name": "first", "times": 1})
    add(three[1], {"after": "first", "fault": {"type": "error", "status": 503}})
    assert statuses(three, 4) == [418, 503, 503, 503]


def test_counts_start_again_with_another_rule_or_scenario(three: list[Brokenreg]) -> None:
    path = add(three[0], {"times": 1})
    assert statuses(three, 3) == [418, 404, 404]
    replaced = httpx.put(f"{three[1].control}{path}", json={"fault": ERROR, "times": 1})
    assert replaced.status_code == 200
    assert statuses(three, 3) == [418, 404, 404]
    scenario = {"rules": [{"fault": ERROR, "match": {"attempt": 2}}]}
    for _ in range(2):
        assert httpx.put(f"{three[2].control}/v1/scenario", json=scenario).status_code == 200
        assert statuses(three, 3) == [404, 418, 404]


def test_counts_of_removed_rules_leave_nothing(three: list[Brokenreg], fleet: Fleet) -> None:
    for rule in ({"times": 1}, {"match": {"attempt": 2}}, {"times": 1, "per": "client"}):
        add(three[0], rule)
        statuses(three, 4)
    assert int(fleet.sql("SELECT count(*) FROM rule_counts")) >= 3
    assert httpx.delete(f"{three[1].control}/v1/rules").status_code == 204
    eventually(lambda: fleet.sql("SELECT count(*) FROM rule_counts") == "0")


def test_old_counts_are_forgotten_in_parts(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.storage.shared.counting._MOST_FORGOTTEN", 3)
    first = fleet.thread("a")
    fleet.sql("INSERT INTO rule_counts SELECT 'old', n::text, 1, 1, 0, 0 FROM generate_series(1, 5) AS n")
    add(first, {"times": 1})
    assert statuses([first], 1) == [418]
    assert fleet.sql("SELECT count(*) FROM rule_counts WHERE rule = 'old'") == "2"


def test_a_rule_without_effect_is_not_counted(three: list[Brokenreg]) -> None:
    """A fault that finds nothing to change leaves its time for another exchange."""
    path = add(three[0], {"fault": {"type": "swap"}, "times": 1})
    assert statuses(three, 3, f"team/app/blobs/sha256:{'0' * 64}") == [404, 404, 404]
    eventually(lambda: httpx.get(f"{three[1].control}{path}").json()["applied"] == 0)
    assert httpx.get(f"{three[1].control}{path}").json()["matched"] == 3


def test_the_verdict_of_a_rule_that_counts_separately(three: list[Brokenreg]) -> None:
    """It is met once the rule was applied to each repository as often as it says, at whichever replicas."""
    scenario = {"rules": [{"name": "twice", "fault": ERROR, "times": 2, "per": "repository"}]}
    assert httpx.put(f"{three[0].control}/v1/scenario", json=scenario).status_code == 200

    def verdicts() -> set[tuple[bool, str]]:
        own = [httpx.get(f"{each.control}/v1/expectations").json()[0] for each in three]
        (of_all,) = httpx.get(f"{three[0].control}/v1/expectations", params={"replica": "*"}).json()
        return {(each["met"], each["got"]) for each in (*own, of_all)}

    statuses(three, 3, "team/app/manifests/v1")
    statuses(three, 1, "team/other/manifests/v1")
    assert verdicts() == {(False, "3: fewer than 2 for 1 repository")}
    statuses(three[1:], 1, "team/other/manifests/v1")
    assert verdicts() == {(True, "4")}


@pytest.mark.slow
@pytest.mark.parametrize("run", range(3))
def test_twice_is_twice_in_all(three: list[Brokenreg], run: int) -> None:
    """64 clients at three replicas at the same time."""
    path = add(three[run], {"times": 2})
    with ThreadPoolExecutor(64) as threads:
        requests = [f"{three[number % 3].url}/v2/team/app/manifests/v1" for number in range(192)]
        found = Counter(response.status_code for response in threads.map(httpx.get, requests))
    assert found == {418: 2, 404: 190}
    state = httpx.get(f"{three[0].control}{path}").json()
    assert (state["matched"], state["applied"]) == (192, 2)


@pytest.mark.slow
def test_rules_when_the_database_is_down(tmp_path: Path) -> None:
    """A count that decides is exact or there is an error. Other rules need no database."""
    with running_server() as server, new_fleet(server, tmp_path) as fleet:
        replicas = [fleet.thread(name) for name in "ab"]
        add(replicas[0], {"match": {"endpoint": "ping"}, "times": 2})
        add(replicas[0], {"match": {"endpoint": "catalog"}})
        add(replicas[0], {"match": {"endpoint": "tags"}, "fault": {"type": "rate-limit", "quota": 1}})
        counted = (
            "",
            "broken/with/error_status-418_times-1/broken/random/manifests/layers-1_size-10",
            "team/app/tags/list",
        )
        server.stop()
        for each in replicas:
            for path in counted:
                response = httpx.get(f"{each.url}/v2/{path}", timeout=30)
                assert response.status_code == 503
                assert response.json()["errors"][0]["code"] == "UNAVAILABLE"
            assert httpx.get(f"{each.url}/v2/_catalog").status_code == 418
        server.start()
        eventually(lambda: httpx.get(f"{replicas[0].url}/v2/", timeout=30).status_code == 418)
        assert [httpx.get(f"{each.url}/v2/", timeout=30).status_code for each in replicas] == [418, 200]


def test_what_had_no_effect_is_undone_before_the_response(
    three: list[Brokenreg], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next request may go to another replica."""
    undo = Counting.undo

    async def undo_slowly(counting: Counting, rule: str, key: str) -> None:
        await asyncio.sleep(0.3)  # as a busy database
        await undo(counting, rule, key)

    monkeypatch.setattr(Counting, "undo", undo_slowly)
    add(three[0], {"fault": {"type": "rate-limit", "quota": 0, "count_head": False}, "times": 1})
    url = "/v2/team/app/manifests/v1"
    assert httpx.head(f"{three[1].url}{url}").status_code == 404
    assert httpx.get(f"{three[2].url}{url}").status_code == 429
