"""The stream of events is about all replicas of a fleet."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import pytest

from brokenreg.client import Client, MissingError
from brokenreg.client.documents import Event
from tests.fleet.fleets import Fleet, name_of
from tests.process import BrokenregProcess

Pair = tuple[BrokenregProcess, BrokenregProcess]


def until(events: Iterator[Event], kind: str) -> Event:
    """The next event of a kind."""
    return next(each for each in events if each["event"] == kind)


def ended(events: Iterator[Event]) -> tuple[str, str]:
    exchange = until(events, "ended")["exchange"]
    assert exchange is not None
    return exchange["replica"], exchange["reference"]


def test_events_of_all_replicas(pair: Pair) -> None:
    first, second = pair
    with Client(second.control) as client, client.events("endpoint:manifest") as events:
        joined = until(events, "joined")
        assert joined.get("replica") == name_of(first)
        for number in range(4):
            at = pair[number % 2]
            httpx.get(f"{at.url}/v2/team/app/manifests/v{number}")
            httpx.get(f"{at.url}/v2/")
            assert ended(events) == (name_of(at), f"v{number}")


def test_events_of_one_replica(pair: Pair) -> None:
    first, second = pair
    for only in pair:
        with Client(second.control) as client, client.events(replica=name_of(only)) as events:
            if only is first:
                assert until(events, "joined").get("replica") == name_of(first)
            for at in (first, second, first, second):
                httpx.get(f"{at.url}/v2/team/app/manifests/v1")
            assert [ended(events) for _ in range(2)] == [(name_of(only), "v1")] * 2
    with Client(second.control) as client, pytest.raises(MissingError), client.events(replica="nobody"):
        pass


def test_a_replica_that_ends_is_lost_and_one_that_starts_joins(fleet: Fleet) -> None:
    first, second = fleet.thread("a"), fleet.process("b")
    with Client(first.control) as client, client.events() as events:
        until(events, "joined")
        second.stop(signal.SIGKILL)
        assert until(events, "lost").get("replica") == name_of(second)
        again = fleet.process("b")
        assert until(events, "joined").get("replica") == name_of(again)
        httpx.get(f"{again.url}/v2/team/app/manifests/v1")
        assert ended(events) == (name_of(again), "v1")
