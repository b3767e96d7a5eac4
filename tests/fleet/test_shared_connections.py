"""Counts of rules for connections are those of the whole fleet. A connection waits for the database."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.connections import dial, read_all, until_idle
from tests.faults.test_accept import REQUEST, outcome
from tests.fleet.fleets import Fleet, name_of, new_fleet
from tests.fleet.test_shared_counts import add
from tests.postgresql import running_server
from tests.server import Brokenreg
from tests.tls_client import EXPIRED, SERVED, ping, trusting

RESET = {"type": "accept", "form": "reset"}


@pytest.fixture
def three(fleet: Fleet) -> list[Brokenreg]:
    return [fleet.thread(name) for name in "abc"]


def outcomes(three: list[Brokenreg], count: int) -> list[str]:
    """Connect to one replica after the other."""
    return [outcome(at) for at, _ in zip(cycle(three), range(count))]


def test_connections_that_are_reset(three: list[Brokenreg]) -> None:
    path = add(three[0], {"fault": RESET, "skip": 1, "times": 2})
    assert outcomes(three, 6) == ["served", "rst", "rst", "served", "served", "served"]
    for each in three:
        state = httpx.get(f"{each.control}{path}").json()
        assert state["applied"] == 2
    found = httpx.get(f"{three[0].control}/v1/exchanges", params={"filter": "endpoint:connect"}).json()
    expected = [(["accept"], name_of(each)) for each in three[1:]]
    assert [(each["faults"], each["replica"]) for each in found] == expected


def test_certificates(fleet: Fleet) -> None:
    """The decision comes before the handshake begins."""
    two = [fleet.thread(name, "--tls", "self-signed") for name in "ab"]
    add(two[0], {"fault": {"type": "tls", "form": "expired"}, "times": 3})
    seen = [ping(at, trusting(at), "localhost") for at in (*two, *two, *two)]
    assert seen == [EXPIRED, EXPIRED, EXPIRED, SERVED, SERVED, SERVED]


def test_many_connections_at_the_same_time(three: list[Brokenreg]) -> None:
    add(three[0], {"fault": RESET, "times": 20})
    with ThreadPoolExecutor(32) as threads:
        found = Counter(threads.map(outcome, [three[number % 3] for number in range(200)]))
    assert found == {"rst": 20, "served": 180}
    for each in three:
        until_idle(each)


def test_a_connection_waits_for_its_decision(three: list[Brokenreg], fleet: Fleet) -> None:
    """Meanwhile, the replica serves others, and a client may disconnect."""
    add(three[0], {"fault": RESET, "skip": 2, "times": 1})
    with psycopg.connect(fleet.url) as lock, dial(three[0]) as left, dial(three[0]) as waiting:
        lock.execute("LOCK TABLE rule_counts IN ACCESS EXCLUSIVE MODE")
        with dial(three[0]) as third:
            left.close()
            third.sendall(REQUEST)
            waiting.sendall(REQUEST)
            assert httpx.get(f"{three[0].control}/v1/status").status_code == 200
            lock.rollback()
            assert read_all(waiting).startswith(b"HTTP/1.1 200")
            with pytest.raises(ConnectionResetError):
                read_all(third)
    for each in three:
        until_idle(each)


def test_a_replica_stops_while_a_connection_waits(three: list[Brokenreg], fleet: Fleet) -> None:
    add(three[0], {"fault": RESET, "times": 1})
    with psycopg.connect(fleet.url) as lock:
        lock.execute("LOCK TABLE rule_counts IN ACCESS EXCLUSIVE MODE")
        with dial(three[0]) as waiting:
            until_idle(three[0], connections=1)
            with ThreadPoolExecutor(1) as threads:
                stopping = threads.submit(three[0].stop)
                assert waiting.recv(1) == b""
                lock.rollback()
                stopping.result()


@pytest.mark.slow
def test_connections_when_the_database_is_down(tmp_path: Path) -> None:
    """A connection that a rule with such a count may match is closed. The others are served."""
    with running_server() as server, new_fleet(server, tmp_path) as fleet:
        replica = fleet.thread("a")
        path = add(replica, {"fault": RESET, "times": 1})
        server.stop()
        assert outcome(replica) == "fin"
        server.start()
        assert httpx.delete(f"{replica.control}{path}", timeout=30).status_code == 204
        assert outcome(replica) == "served"
