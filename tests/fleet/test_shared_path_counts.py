"""Counts of faults in image paths and profiles, and what faults remember, are those of the whole fleet."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any

import httpx
import pytest

from tests.fleet.fleets import Fleet, eventually
from tests.fleet.test_shared_counts import add, statuses
from tests.server import Brokenreg

APP = "broken/random/manifests/layers-1_size-10"


@pytest.fixture(scope="module")
def replicas(shared_fleet: Fleet) -> list[Brokenreg]:
    return [shared_fleet.thread(name) for name in "abc"]


@pytest.fixture
def three(shared_fleet: Fleet, replicas: list[Brokenreg]) -> Iterator[list[Brokenreg]]:
    """Three replicas in this process, without counts."""
    yield replicas
    assert httpx.post(f"{replicas[0].control}/v1/reset", params={"namespace": "*"}).status_code == 204
    shared_fleet.sql("DELETE FROM rule_counts")


def within(path: str) -> str:
    return f"broken/with/{path}/{APP}"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("error_status-418_times-2", [418, 418, 200, 200, 200, 200]),
        ("error_status-418_skip-2", [200, 200, 418, 418, 418, 418]),
        ("error_status-418_skip-1_times-2", [200, 418, 418, 200, 200, 200]),
        ("error_status-418_times-1/broken/with/error_status-503_times-2", [418, 503, 503, 200, 200, 200]),
        ("rate-limit_quota-2_window-1h", [200, 200, 429, 429, 429, 429]),
        ("error_status-418", [418] * 6),
    ],
)
def test_faults_in_paths(three: list[Brokenreg], fault: str, expected: list[int]) -> None:
    assert statuses(three, 6, within(fault)) == expected


def test_the_fault_of_an_image(three: list[Brokenreg]) -> None:
    assert statuses(three, 5, "broken/error/manifests/status-503_times-2")[:2] == [503, 503]
    assert statuses(three, 3, "broken/error/manifests/status-503_times-2") == [200, 200, 200]


def test_draws_in_paths_are_those_of_one_registry(three: list[Brokenreg], registry: Brokenreg) -> None:
    path = within("error_status-418_probability-0.5")
    got = statuses(three, 20, path)
    assert got == statuses([registry], 20, path)
    assert len(set(got)) == 2


def test_a_count_without_effect_is_undone(three: list[Brokenreg], shared_fleet: Fleet) -> None:
    """The fault has nothing to change in a 404."""
    path = f"broken/with/swap_times-1/team/app/blobs/sha256:{'0' * 64}"
    assert statuses(three, 3, path) == [404, 404, 404]
    eventually(lambda: shared_fleet.sql("SELECT matched, applied FROM rule_counts") == "3|0")


@pytest.mark.parametrize("path", [within("error_status-418_times-1"), within("rate-limit_quota-1_window-1h")])
@pytest.mark.parametrize("namespace", ["", "job-1"])
def test_a_reset_at_one_replica_resets_all(three: list[Brokenreg], path: str, namespace: str) -> None:
    prefixed = f"broken/in/{namespace}/{path}" if namespace else path
    other = path if namespace else f"broken/in/job-2/{path}"
    before, others = statuses(three, 3, prefixed), statuses(three, 3, other)
    assert before == others
    assert len(set(before)) == 2
    response = httpx.post(f"{three[2].control}/v1/reset", params={"namespace": namespace})
    assert response.status_code == 204
    assert statuses(three, 3, prefixed) == before
    assert set(statuses(three, 3, other)) == {others[-1]}
    assert httpx.post(f"{three[1].control}/v1/reset", params={"namespace": "*"}).status_code == 204
    assert statuses(three, 3, other) == before


def test_counts_of_paths_are_forgotten_some_day(three: list[Brokenreg], shared_fleet: Fleet) -> None:
    """Clients choose paths, so all of their rows have a key, by which old rows are found."""
    statuses(three, 3, within("error_times-1"))
    statuses(three, 3, within("rate-limit_quota-1"))
    statuses(three, 3, within("error_probability-0.5"))
    assert int(shared_fleet.sql("SELECT count(*) FROM rule_counts WHERE rule LIKE 'path %'")) >= 3
    assert shared_fleet.sql("SELECT count(*) FROM rule_counts WHERE rule LIKE 'path %' AND key = ''") == "0"


def test_a_profile_counts_each_client(three: list[Brokenreg], registry: Brokenreg) -> None:
    """A profile in a path behaves at three replicas as at one."""

    def seen(replicas: list[Brokenreg], client: str) -> list[int]:
        url = "/v2/broken/as/quay-flapping/broken/random/manifests/layers-1_size-10"
        headers = {"user-agent": client}
        return [
            httpx.get(f"{at.url}{url}", headers=headers).status_code
            for at, _ in zip(cycle(replicas), range(6))
        ]

    for client in ("one/1", "two/2"):
        assert seen(three, client) == seen([registry], client)


def test_a_rate_limit(three: list[Brokenreg]) -> None:
    """All replicas announce what is left in all, and when the window ends."""
    limit = {"type": "rate-limit", "quota": 3, "window": "1h", "used": 1}
    path = add(three[0], {"fault": limit, "match": {"endpoint": "manifest"}})
    responses = [httpx.get(f"{at.url}/v2/{APP}") for at, _ in zip(cycle(three), range(5))]
    assert [each.status_code for each in responses] == [200, 200, 429, 429, 429]
    assert [each.headers["ratelimit-remaining"] for each in responses[:3]] == [
        "1;w=3600",
        "0;w=3600",
        "0;w=3600",
    ]
    assert all(3500 < int(each.headers["retry-after"]) <= 3600 for each in responses[2:])
    assert httpx.put(f"{three[1].control}{path}", json={"fault": limit}).status_code == 200
    assert statuses(three, 5, APP) == [200, 200, 429, 429, 429]


def test_the_window_of_a_rate_limit_ends(three: list[Brokenreg], shared_fleet: Fleet) -> None:
    add(three[0], {"fault": {"type": "rate-limit", "quota": 1, "window": "1h"}})
    assert statuses(three, 3, APP) == [200, 429, 429]
    shared_fleet.sql("UPDATE rule_counts SET used = used - 3600")
    assert statuses(three, 3, APP) == [200, 429, 429]


def test_a_lost_upload(three: list[Brokenreg]) -> None:
    """The steps of a session are counted at whichever replica they arrive."""
    add(three[0], {"fault": {"type": "upload-lost", "step": 3}})
    started = httpx.post(f"{three[0].url}/v2/team/app/blobs/uploads/")
    location = started.headers["location"]
    patched = httpx.patch(f"{three[1].url}{location}", content=b"x")
    assert patched.status_code == 202, patched.text
    lost = httpx.patch(f"{three[2].url}{location}", content=b"y")
    assert lost.json()["errors"][0]["message"] == "Session lost at step 3, on purpose"


def test_read_after_write(three: list[Brokenreg]) -> None:
    """What was pushed to one replica is hidden at the others too, for two reads in all."""
    add(three[0], {"fault": {"type": "read-after-write", "reads": 2}})
    body: dict[str, Any] = {"content": b'{"layers": []}'}
    old = "team/app/manifests/old"
    assert statuses(three, 1, old) == [404]
    pushed = httpx.put(f"{three[1].url}/v2/team/app/manifests/v1", **body)
    assert pushed.status_code == 201, pushed.text
    digest = f"sha256:{hashlib.sha256(body['content']).hexdigest()}"
    read = [
        f"{three[at].url}/v2/team/app/manifests/{name}" for at, name in ((2, "v1"), (0, digest), (1, "v1"))
    ]
    assert [httpx.get(url).status_code for url in read] == [404, 404, 200]


def test_counts_of_faults_leave_nothing(three: list[Brokenreg], shared_fleet: Fleet) -> None:
    path = add(three[0], {"fault": {"type": "rate-limit", "quota": 1}})
    statuses(three, 3, APP)
    assert shared_fleet.sql("SELECT count(*) FROM rule_counts") == "1"
    assert httpx.delete(f"{three[1].control}{path}").status_code == 204
    eventually(lambda: shared_fleet.sql("SELECT count(*) FROM rule_counts") == "0")


def test_other_paths_and_faults_need_no_database(three: list[Brokenreg], shared_fleet: Fleet) -> None:
    add(three[0], {"fault": {"type": "latency", "dur": "1ms"}})
    statuses(three, 3, within("latency_dur-1ms"))
    assert shared_fleet.sql("SELECT count(*) FROM rule_counts") == "0"


@pytest.mark.slow
def test_twice_is_twice_in_all(three: list[Brokenreg]) -> None:
    """64 clients at three replicas at the same time."""
    path = within("error_status-418_times-2")
    with ThreadPoolExecutor(64) as threads:
        requests = [f"{three[number % 3].url}/v2/{path}" for number in range(192)]
        found = Counter(response.status_code for response in threads.map(httpx.get, requests))
    assert found == {418: 2, 200: 190}
