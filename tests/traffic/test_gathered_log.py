"""A log with copies of the exchanges of several replicas."""

from __future__ import annotations

from typing import Any

from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.gathered_log import CAPACITY, GatheredLog
from brokenreg.traffic.log import ExchangeEvent
from brokenreg.traffic.place import Place
from brokenreg.traffic.saved.summaries import exchange_of

A, B = Place("aaaaaaaa", 1, True), Place("bbbbbbbb", 1, True)


def summary(**members: Any) -> Exchange:
    """An exchange as a replica describes it in one line."""
    return exchange_of({"id": 1, "time": 100.0, "method": "GET", "path": "/v2/", **members})


def ended(**members: Any) -> Exchange:
    return summary(status=200, ended="complete", duration=0.5, **members)


def test_replicas_use_the_same_ids() -> None:
    log = GatheredLog()
    first, second = log.take(A, ended()), log.take(B, ended())
    assert (first.id, second.id) == (1, 2)
    assert (first.label, second.label) == ("aaaaaaaa/1", "bbbbbbbb/1")
    assert log.take(A, ended()) is first
    assert [each.label for each in log] == ["aaaaaaaa/1", "bbbbbbbb/1"]


def test_an_exchange_in_flight_is_updated_until_it_ends() -> None:
    log, events = GatheredLog(), list[ExchangeEvent]()
    log.subscribe(lambda event, _: events.append(event), *ExchangeEvent)
    exchange = log.take(A, summary())
    assert (log.in_flight, exchange.end_is_unknown) == (1, False)
    held = summary(held=True, held_by="rule 1")
    log.take(A, held)
    assert (exchange.held_since, exchange.held_by) == (100.0, "rule 1")
    log.take(A, ended(response_bytes=7))
    assert (exchange.status, exchange.response_bytes, exchange.duration) == (200, 7, 0.5)
    assert (exchange.held_since, log.in_flight) == (None, 0)
    log.take(A, summary())
    assert exchange.ended is Ended.COMPLETE, "an event that comes late changes nothing"
    assert events == [ExchangeEvent.OPENED, ExchangeEvent.HELD, ExchangeEvent.ENDED]


def test_a_replica_that_starts_again_uses_its_ids_again() -> None:
    log = GatheredLog()
    before = log.take(A, summary())
    after = log.take(A, summary(time=200.0))
    assert (before.ended, after.ended, after is before) == (Ended.ABORTED, None, False)
    assert log.at(A) is after


def test_what_is_in_flight_but_not_listed_has_ended() -> None:
    log = GatheredLog()
    found = [log.take(Place("aaaaaaaa", number, True), summary()) for number in range(1, 6)]
    other = log.take(Place("bbbbbbbb", 3, True), summary())
    log.end_missing("aaaaaaaa", {2, 4})
    assert [each.ended for each in found] == [None, None, Ended.ABORTED, None, None]
    assert other.ended is None


def test_the_log_is_bounded() -> None:
    log = GatheredLog()
    for number in range(CAPACITY + 100):
        log.take(Place("aaaaaaaa", number, True), summary() if number % 2 else ended())
    assert CAPACITY // 2 < len(log) <= CAPACITY
    assert log.in_flight <= 1000
