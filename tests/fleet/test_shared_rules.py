"""Rules, scenarios and breakpoints are those of all replicas, from the moment a change is answered."""

from __future__ import annotations

import asyncio
import shutil
import signal
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path

import httpx
import pytest

from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.rules.rule import rule_of
from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage.errors import StorageError
from brokenreg.storage.shared.shared_states import Publication
from tests.fleet.fleets import KEY, Fleet, eventually, name_of, new_fleet
from tests.postgresql import running_server
from tests.server import Brokenreg

RULE = {"fault": {"type": "error", "status": 418}}


@pytest.fixture
def three(fleet: Fleet) -> list[Brokenreg]:
    """Three replicas in this process."""
    return [fleet.thread(name) for name in "abc"]


def rules(at: Brokenreg, namespace: str = "") -> list[dict[str, object]]:
    query = {"namespace": namespace} if namespace else {}
    found: list[dict[str, object]] = httpx.get(f"{at.control}/v1/rules", params=query).json()
    return found


def status(at: Brokenreg) -> int:
    return httpx.get(f"{at.url}/v2/team/app/manifests/v1").status_code


def test_a_change_is_in_force_everywhere_once_it_is_answered(three: list[Brokenreg]) -> None:
    """At whichever replica it is made: added, disabled, moved, replaced, removed."""
    replicas = cycle(three)
    for _ in range(10):
        at = next(replicas)
        added = httpx.post(f"{at.control}/v1/rules", json=RULE)
        assert added.status_code == 201
        assert [status(each) for each in three] == [418] * 3
        path = added.headers["location"]
        at = next(replicas)
        assert httpx.patch(f"{at.control}{path}", json={"enabled": False}).status_code == 200
        assert [status(each) for each in three] == [404] * 3
        at = next(replicas)
        replaced = httpx.put(f"{at.control}{path}", json={"fault": {"type": "error", "status": 503}})
        assert replaced.status_code == 200
        assert [status(each) for each in three] == [503] * 3
        assert httpx.delete(f"{next(replicas).control}{path}").status_code == 204
        assert [status(each) for each in three] == [404] * 3


def test_scenarios_breakpoints_and_resets(three: list[Brokenreg]) -> None:
    first, second, third = three
    scenario = {"name": "shared", "seed": 7, "rules": [RULE], "expect": [{"filter": "status:418"}]}
    query = {"namespace": "ci"}
    put = httpx.put(f"{first.control}/v1/scenario", json=scenario, params=query)
    assert put.status_code == 200
    headers = {"accept": "application/json"}
    for each in three:
        got = httpx.get(f"{each.control}/v1/scenario", params=query, headers=headers).json()
        assert (got["name"], got["seed"], len(got["rules"]), len(got["expect"])) == ("shared", 7, 1, 1)
    added = httpx.post(f"{second.control}/v1/breakpoints", json={"expression": "status:599"})
    assert added.status_code == 201
    assert httpx.put(f"{third.control}/v1/breakpoints", json={"on": False}).status_code == 200
    for each in three:
        assert httpx.get(f"{each.control}/v1/breakpoints").json() == {
            "on": False,
            "breakpoints": [{"id": 1, "expression": "status:599"}],
        }
    assert httpx.post(f"{third.control}/v1/reset", params={"namespace": "*"}).status_code == 204
    for each in three:
        assert rules(each, "ci") == []
        assert httpx.get(f"{each.control}/v1/breakpoints").json()["breakpoints"] == []


def test_changes_at_the_same_time_are_all_made(three: list[Brokenreg]) -> None:
    """Ids are unique, no rule is lost, and all replicas have the same order."""

    def add(number: int) -> int:
        rule = {"name": f"rule-{number}", **RULE}
        while True:
            response = httpx.post(f"{three[number % 3].control}/v1/rules", json=rule, timeout=30)
            if response.status_code != 409:  # too many at the same time
                assert response.status_code == 201, response.text
                return int(response.json()["id"])

    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(add, range(60)))
    assert len(set(ids)) == 60
    lists = [[(rule["id"], rule["name"]) for rule in rules(each)] for each in three]
    assert sorted(name for _, name in lists[0]) == sorted(f"rule-{number}" for number in range(60))
    assert lists[0] == lists[1] == lists[2]


def test_a_new_replica_has_the_rules_before_it_is_ready(fleet: Fleet) -> None:
    first = fleet.thread("a")
    assert httpx.post(f"{first.control}/v1/rules", json=RULE).status_code == 201
    second = fleet.thread("b")
    assert status(second) == 418
    first.stop()
    assert httpx.delete(f"{second.control}/v1/rules").status_code == 204
    assert status(fleet.thread("c")) == 404


def test_initial_scenarios_are_loaded_once_for_the_fleet(fleet: Fleet, tmp_path: Path) -> None:
    file = str(tmp_path / "initial.yaml")
    Path(file).write_text("rules:\n- fault: {type: error, status: 418}\n")
    first = fleet.thread("a", "--scenario", file)
    second = fleet.thread("b", "--scenario", file)
    assert [rule["id"] for rule in rules(first)] == [rule["id"] for rule in rules(second)]
    assert httpx.delete(f"{first.control}/v1/rules").status_code == 204
    third = fleet.thread("c", "--scenario", file)
    assert rules(third) == [], "the rules were removed for the whole fleet"
    assert httpx.post(f"{third.control}/v1/reset").status_code == 204
    assert len(rules(first)) == 1, "a reset loads the scenario again"


def test_an_invalid_change_changes_nothing(three: list[Brokenreg]) -> None:
    first, second, _ = three
    assert httpx.post(f"{first.control}/v1/rules", json={"fault": "no-such"}).status_code == 400
    assert httpx.delete(f"{second.control}/v1/rules/7").status_code == 404
    assert [rules(each) for each in three] == [[], [], []]


@pytest.fixture
def frozen(fleet: Fleet) -> Iterator[tuple[Brokenreg, Brokenreg]]:
    """A replica, and another in a process that is stopped in the middle of its work."""
    first, second = fleet.thread("a"), fleet.process("b")
    second.process.send_signal(signal.SIGSTOP)
    try:
        yield first, second
    finally:
        second.process.send_signal(signal.SIGCONT)


@pytest.mark.slow
def test_a_replica_that_does_not_acknowledge_is_named(frozen: tuple[Brokenreg, Brokenreg]) -> None:
    first, second = frozen
    began = time.monotonic()
    response = httpx.post(f"{first.control}/v1/rules", json=RULE, timeout=30)
    assert response.status_code == 504
    assert time.monotonic() - began > 1.9
    assert f"replica {name_of(second)} (127.0.0.1:" in response.json()["detail"]
    assert status(first) == 418, "the change was made"
    second.process.send_signal(signal.SIGCONT)  # type: ignore[attr-defined]
    eventually(lambda: status(second) == 418)


@pytest.mark.slow
def test_a_replica_that_was_killed_does_not_delay_changes(fleet: Fleet) -> None:
    first, second = fleet.thread("a"), fleet.process("b")
    second.stop(signal.SIGKILL)
    assert httpx.post(f"{first.control}/v1/rules", json=RULE).status_code == 201


@pytest.fixture
async def panels(fleet: Fleet, tmp_path: Path) -> AsyncIterator[tuple[Runtime, Runtime]]:
    """Two replicas in the loop of the test, to change them as a panel does: without waiting."""
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                Server.running(
                    Settings(
                        listen=["127.0.0.1:0"], control="off", data=tmp_path / name, offline=True,
                        database=fleet.url, fleet_key=KEY, blobs="file:",
                    ),
                    Diagnostics(),
                )
            )
            for name in "ab"
        ]  # fmt: skip
        yield servers[0].runtime, servers[1].runtime


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody acknowledges."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


async def adopted(runtime: Runtime, names: set[str | None]) -> None:
    """Wait until a replica has rules with these names."""
    await until(lambda: {active.rule.name for _, active in runtime.rules.all_rules()} == names)


async def test_what_a_panel_changes_is_published(panels: tuple[Runtime, Runtime]) -> None:
    here, there = panels
    operations = Operations(here, Access.FULL)
    active = operations.add_rule("", rule_of({"name": "first", "fault": "error"}), "panel")
    operations.add_rule("ci", rule_of({"name": "second", "fault": "error"}), "panel")
    await adopted(there, {"first", "second"})
    operations.remove_rule("", active.id)
    operations.add_breakpoint("status:404")
    await adopted(there, {"second"})
    await until(lambda: len(there.gate.breakpoints) > 0)
    assert here.rules.book("ci").get(2) is not None, "its own publication does not replace the rule"


async def test_a_change_is_made_again_if_another_arrives_in_the_middle(
    panels: tuple[Runtime, Runtime],
) -> None:
    here, there = panels
    assert here.shared_rules is not None
    assert there.shared_rules is not None
    attempts = 0

    async def add_there() -> None:
        Operations(there, Access.FULL).add_rule("", rule_of({"name": "there", "fault": "error"}), "test")

    async def add_here() -> int:
        nonlocal attempts
        attempts += 1
        active = Operations(here, Access.FULL).add_rule(
            "", rule_of({"name": "here", "fault": "error"}), "test"
        )
        if attempts == 1:
            await there.shared_rules.change(add_there)  # type: ignore[union-attr]  # it is answered, so adopted
        return active.id

    rule_id = await here.shared_rules.change(add_here)
    assert attempts == 2
    for runtime in panels:
        assert [(each.id, each.label) for each in runtime.rules.book("")] == [(1, "there"), (rule_id, "here")]


async def test_what_is_published_does_not_undo_what_is_changed_meanwhile(
    panels: tuple[Runtime, Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A panel changes the same rules while a change is on its way to the database."""
    here, there = panels
    assert here.shared_rules is not None
    operations, publish = Operations(here, Access.FULL), here.store.index.publish

    async def publish_slowly(publications: Sequence[Publication]) -> int:
        if len(here.rules.book("")) == 1:
            operations.add_rule("", rule_of({"name": "second", "fault": "error"}), "panel")
        return await publish(publications)

    async def add() -> None:
        operations.add_rule("", rule_of({"name": "first", "fault": "error"}), "test")

    monkeypatch.setattr(here.store.index, "publish", publish_slowly)
    await here.shared_rules.change(add)
    assert [each.label for each in here.rules.book("")] == ["first", "second"]
    await adopted(there, {"first", "second"})


async def test_of_two_panels_the_first_wins(
    panels: tuple[Runtime, Runtime], caplog: pytest.LogCaptureFixture
) -> None:
    here, there = panels
    for runtime, name in ((here, "here"), (there, "there")):
        operations = Operations(runtime, Access.FULL)
        operations.add_rule("", rule_of({"name": name, "fault": "error"}), "panel")
    await until(lambda: "was undone: another replica changed the same" in caplog.text)
    (winner,) = here.rules.all_rules()
    await adopted(there, {winner[1].rule.name})


@pytest.mark.slow
def test_a_database_that_is_down(tmp_path: Path) -> None:
    """Changes are refused and have no effect, and everything continues by itself."""
    with running_server() as server, new_fleet(server, tmp_path) as fleet:
        first, second = fleet.thread("a"), fleet.thread("b")
        server.stop()
        response = httpx.post(f"{first.control}/v1/rules", json=RULE, timeout=30)
        assert response.status_code == 503
        assert "the database cannot be reached" in response.json()["detail"]
        assert rules(first) == []
        server.start()
        eventually(lambda: httpx.post(f"{first.control}/v1/rules", json=RULE, timeout=30).is_success)
        assert status(second) == 418


def test_a_copied_data_folder_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    fleet.thread("a")
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / "replica", tmp_path / "b" / "replica")
    with pytest.raises(StorageError, match="the data folder was copied; remove the file DATA/replica"):
        fleet.thread("b")


def test_a_replica_keeps_its_name_when_it_starts_again(fleet: Fleet) -> None:
    first = fleet.process("a")
    first.stop(signal.SIGKILL)
    again = fleet.thread("a")
    assert name_of(again) == name_of(first)
    assert httpx.post(f"{again.control}/v1/rules", json=RULE).status_code == 201


def test_how_long_a_change_takes(
    three: list[Brokenreg], record_property: Callable[[str, object], None]
) -> None:
    with httpx.Client() as client:
        taken = []
        for number in range(120):
            began = time.perf_counter()
            query = {"namespace": f"n{number % 10}"}
            assert client.post(f"{three[number % 3].control}/v1/rules", json=RULE, params=query).is_success
            taken.append(time.perf_counter() - began)
    p50, p99 = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
    record_property("reported", f"a change of rules at three replicas: p50 {p50:.4f} s, p99 {p99:.4f} s")
