"""Each ended exchange is counted exactly once, whatever the log drops or forgets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.tally import BATCH, BOUNDS
from brokenreg.traffic.timeline_events import ExchangeEnded
from tests.traffic import making


def end(log: TrafficLog, exchange: Exchange, seconds: float = 0.25) -> None:
    exchange.status, exchange.ended, exchange.response_bytes = 200, Ended.COMPLETE, 10
    exchange.timeline.add(ExchangeEnded(), seconds)
    log.closed(exchange)


@given(
    st.integers(1, 6),
    st.lists(st.sampled_from(["open", "end the oldest", "answer", "scrape", "reset"]), max_size=60),
)
def test_each_is_counted_once(capacity: int, steps: list[str]) -> None:
    log = TrafficLog(capacity)
    log.tally.bring_up_to_date(log)
    ended = 0
    for step in steps:
        if step == "open":
            log.opened(making.exchange("/v2/", id=log.next_id()))
        elif step == "end the oldest" and log.under_way:
            end(log, next(iter(log.under_way.values())))
            ended += 1
        elif step == "answer":
            log.answered(making.exchange("/v2/", id=log.next_id()), 200, (), b"0123456789")
            ended += 1
        elif step == "scrape":
            log.tally.bring_up_to_date(log)
            assert sum(log.tally.requests.values()) == ended
        elif step == "reset":
            log.forget(lambda exchange: exchange.ended is not None)
    log.tally.bring_up_to_date(log)
    assert sum(log.tally.requests.values()) == ended == sum(log.tally.durations)
    assert sum(log.tally.response_bytes.values()) == 10 * ended


def test_nothing_is_counted_before_it_is_wanted() -> None:
    log = TrafficLog(capacity=2)
    for _ in range(5):
        log.answered(making.exchange("/v2/", id=log.next_id()), 200, (), b"")
    assert not log.tally.requests
    log.tally.bring_up_to_date(log)
    assert sum(log.tally.requests.values()) == 2, "what the log still has"


def test_exchanges_are_counted_in_batches_before_they_are_dropped() -> None:
    log = TrafficLog(capacity=1000)
    log.tally.bring_up_to_date(log)
    for _ in range(1001):
        log.answered(making.exchange("/v2/", id=log.next_id()), 200, (), b"")
    assert sum(log.tally.requests.values()) == BATCH


def test_a_duration_is_in_the_interval_up_to_its_bound() -> None:
    log = TrafficLog()
    for seconds in (BOUNDS[0], BOUNDS[1], 1000.0):
        exchange = making.exchange("/v2/", id=log.next_id())
        log.opened(exchange)
        end(log, exchange, seconds)
    log.tally.bring_up_to_date(log)
    assert log.tally.durations == [1, 1, *([0] * (len(BOUNDS) - 2)), 1]
