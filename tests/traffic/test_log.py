"""The log of exchanges: limited, ordered, and with positions that stay valid after trimming."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.log import CAPACITY, ExchangeEvent, TrafficLog
from brokenreg.traffic.request_head import read_head
from brokenreg.traffic.timeline_events import ExchangeEnded, RequestReceived
from tests.traffic import making


def exchange(log: TrafficLog, path: str = "/v2/") -> Exchange:
    return making.exchange(path, id=log.next_id())


def opened(log: TrafficLog, count: int) -> list[Exchange]:
    exchanges = [exchange(log) for _ in range(count)]
    for each in exchanges:
        log.opened(each)
    return exchanges


def test_an_empty_log() -> None:
    log = TrafficLog()
    assert (len(log), log.first, log.end, log.version, log.in_flight) == (0, 0, 0, 0, 0)
    assert list(log) == []
    with pytest.raises(IndexError):
        log[0]


@given(capacity=st.integers(1, 8), count=st.integers(0, 30))
def test_the_newest_stay_at_their_positions(capacity: int, count: int) -> None:
    log = TrafficLog(capacity)
    exchanges = opened(log, count)
    assert log.end == count
    assert log.first == max(0, count - capacity)
    assert len(log) == min(count, capacity)
    assert list(log) == exchanges[log.first :]
    for position in range(log.first, log.end):
        assert log[position] is exchanges[position]
    for position in (-1, log.first - 1, log.end):
        with pytest.raises(IndexError):
            log[position]


def test_the_log_is_limited_by_default() -> None:
    log = TrafficLog()
    opened(log, CAPACITY + 1)
    assert (len(log), log.first, log.end) == (CAPACITY, 1, CAPACITY + 1)


def test_ids_count_from_one_and_are_used_once() -> None:
    log = TrafficLog(2)
    assert [each.id for each in opened(log, 5)] == [1, 2, 3, 4, 5]


def test_the_version_increases_with_each_change() -> None:
    log = TrafficLog()
    versions = [log.version]
    (each,) = opened(log, 1)
    versions.append(log.version)
    log.changed(each)
    versions.append(log.version)
    log.closed(each)
    versions.append(log.version)
    assert versions == sorted(set(versions))


def test_trimmed_exchanges_in_flight_are_counted() -> None:
    log = TrafficLog(2)
    exchanges = opened(log, 5)
    assert (len(log), log.in_flight) == (2, 5)
    for each in exchanges:
        log.closed(each)
    assert log.in_flight == 0


def test_subscribers_get_each_end_once_and_in_order() -> None:
    log = TrafficLog()
    heard: list[tuple[str, int]] = []
    early, late, last = opened(log, 3)
    log.closed(early)
    log.subscribe(lambda _, each: heard.append(("first", each.id)), ExchangeEvent.ENDED)
    log.subscribe(lambda _, each: heard.append(("second", each.id)), ExchangeEvent.ENDED)
    log.closed(last)
    log.closed(late)
    assert heard == [("first", 3), ("second", 3), ("first", 2), ("second", 2)]


def test_a_failing_subscriber_does_not_affect_others(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: ExchangeEvent, __: Exchange) -> None:
        raise OSError("the log file is gone")

    log = TrafficLog()
    heard: list[Exchange] = []
    log.subscribe(fail, ExchangeEvent.ENDED)
    log.subscribe(lambda _, each: heard.append(each), ExchangeEvent.ENDED)
    (each,) = opened(log, 1)
    with caplog.at_level(logging.ERROR):
        log.closed(each)
    assert heard == [each]
    assert log.in_flight == 0
    assert "a subscriber failed for exchange 1" in caplog.text


def test_an_ended_exchange_has_a_duration() -> None:
    each = exchange(TrafficLog(), "/v2/library/nginx/manifests/1.24")
    each.add(RequestReceived())
    assert (each.duration, each.summary()["duration"], each.summary()["ended"]) == (None, None, None)
    before = each.revision
    each.ended = Ended.COMPLETE
    each.add(ExchangeEnded())
    assert each.revision > before
    assert each.duration == each.timeline[-1].at >= each.timeline[0].at >= 0
    assert each.summary()["ended"] == "complete"
    assert each.summary()["repository"] == "library/nginx"
    assert each.summary()["reference"] == "1.24"


def test_forgetting_an_exchange_forgets_its_credentials() -> None:
    secret = b"Bearer " + b"s3cret" * 9
    scope = {"headers": [(b"authorization", secret), (b"host", b"h")]}
    first = read_head(scope)
    assert read_head(dict(scope)) is first
    TrafficLog().forget(lambda _: True)
    assert read_head(dict(scope)) is not first
