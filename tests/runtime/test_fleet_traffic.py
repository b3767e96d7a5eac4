"""What a panel makes of the events of other replicas, whatever they send."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from brokenreg.runtime.fleet_traffic import FleetTraffic
from brokenreg.traffic.exchange import Ended
from brokenreg.traffic.log import TrafficLog

OTHER = "bbbbbbbb"


@pytest.fixture
def traffic() -> FleetTraffic:
    runtime: Any = SimpleNamespace(replicas=SimpleNamespace(own="aaaaaaaa"), log=TrafficLog())
    return FleetTraffic(runtime, None, lambda: 150.0)


def event(number: int, **members: Any) -> bytes:
    document = {"id": number, "time": 100.0, "method": "GET", "path": "/v2/", **members}
    return f"event: x\nid: {OTHER}/{number}\ndata: {json.dumps(document)}".encode()


def test_the_newest_event_of_an_exchange_counts(traffic: FleetTraffic) -> None:
    for number in range(1, 4):
        traffic.received(OTHER, event(number))
    traffic.received(OTHER, event(2, status=200, ended="complete", duration=0.5))
    traffic.tick()
    assert sorted((each.label, each.ended) for each in traffic.log) == [
        (f"{OTHER}/1", None),
        (f"{OTHER}/2", Ended.COMPLETE),
        (f"{OTHER}/3", None),
    ]


def test_what_is_held_is_held_since_its_event(traffic: FleetTraffic) -> None:
    traffic.received(OTHER, event(1, held=True, held_by="rule 1"))
    traffic.tick()
    (held,) = traffic.gate.held.values()
    assert (held.exchange.label, held.exchange.held_since) == (f"{OTHER}/1", 150.0)
    traffic.received(OTHER, event(1, status=200, ended="complete", duration=0.5))
    traffic.tick()
    assert not traffic.gate.held


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"1", b'{"id": 1}', b'{"path": 1, "time": "x"}', b"[" * 5000]
)
def test_events_that_cannot_be_read_are_ignored(traffic: FleetTraffic, data: bytes) -> None:
    traffic.received(OTHER, b"event: ended\nid: bbbbbbbb/1\ndata: " + data)
    traffic.received(OTHER, b'event: dropped\ndata: {"events":3}')
    traffic.received(OTHER, data)
    traffic.received(OTHER, event(2))
    traffic.tick()
    assert [each.label for each in traffic.log] == [f"{OTHER}/2"]
