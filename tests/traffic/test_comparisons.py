"""Filters that compare numbers, and those that need the earlier request for the same target."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.durations import format_duration
from brokenreg.traffic.comparisons import parse_comparison, whole
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.filters import FilterError, needs_repetitions, parse_filter
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import EXCHANGE_ENDED
from tests.traffic.making import exchange

MANIFEST = "/v2/app/manifests/1"
numbers = st.integers(0, 10**9)


def holds(value: str, got: float) -> bool:
    passes = parse_comparison(value, whole)
    assert passes is not None
    return passes(got)


@given(numbers, numbers)
def test_comparisons_are_those_of_python(got: int, limit: int) -> None:
    assert holds(f">{limit}", got) == (got > limit)
    assert holds(f">={limit}", got) == (got >= limit)
    assert holds(f"<{limit}", got) == (got < limit)
    assert holds(f"<={limit}", got) == (got <= limit)
    assert holds(f"{limit}", got) == (got == limit)


@given(numbers, numbers, numbers)
def test_ranges_have_both_ends(got: int, one: int, other: int) -> None:
    first, last = sorted((one, other))
    assert holds(f"{first}-{last}", got) == (first <= got <= last)
    if first < last:
        assert parse_comparison(f"{last}-{first}", whole) is None


@given(st.text(max_size=12))
def test_any_text_is_a_comparison_or_none(text: str) -> None:
    passes = parse_comparison(text, whole)
    assert passes is None or passes(1) in (True, False)


@given(st.integers(0, 10**6))
def test_durations_are_compared_in_their_units(milliseconds: int) -> None:
    one = finished(0, 0.0)
    one.timeline.add(EXCHANGE_ENDED, milliseconds / 1000)
    assert parse_filter(f"duration:>={format_duration(milliseconds / 1000)}")(one)
    assert not parse_filter(f"duration:>{milliseconds + 1}ms")(one)


@pytest.mark.parametrize(
    "text",
    ["attempt:>", "attempt:x", "attempt:3-2", "status:>=5", "status:>5xx", "bytes:>1MiBs", "bytes:-1",
     "duration:2", "duration:>-2s", "since:2", "retry-after:yes", "wrong-bytes:maybe", "header.:x",
     "header.a b:x", "header.NAME"],
)  # fmt: skip
def test_invalid_comparisons(text: str) -> None:
    if text == "header.NAME":
        assert parse_filter(text)  # a word without a colon is a part of the path
        return
    with pytest.raises(FilterError):
        parse_filter(text)


def test_statuses_and_bytes() -> None:
    one = exchange(status=503, response_bytes=2 * 1024 * 1024)
    assert parse_filter("status:>=500 status:<504 bytes:>1MiB bytes:1MiB-2MiB")(one)
    assert not parse_filter("status:>503")(one)
    assert not parse_filter("bytes:<=1MiB")(one)
    assert not parse_filter("status:>=100 | status:<=999")(exchange())


def test_request_headers_without_secrets() -> None:
    headers = (("range", "bytes=5-"), ("accept", "a"), ("accept", "b"), ("authorization", "Bearer secret"))
    one = exchange(headers=headers)
    assert parse_filter("header.Range:bytes=* header.accept:b")(one)
    assert not parse_filter("header.authorization:*")(one)
    assert not parse_filter("header.missing:*")(one)


def finished(
    started: float,
    lasted: float,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
    **more: object,
) -> Exchange:
    one = exchange(
        **{"path": MANIFEST, "started": started, "status": status, "response_headers": headers, **more}
    )
    one.timeline.add(EXCHANGE_ENDED, lasted)
    one.ended = Ended.COMPLETE
    return one


def logged(*exchanges: Exchange, log: TrafficLog | None = None) -> list[Exchange]:
    log = TrafficLog() if log is None else log
    for each in exchanges:
        each.id = log.next_id()
        log.opened(each)
        if each.ended:
            log.closed(each)
    return list(exchanges)


def matching(text: str, exchanges: list[Exchange]) -> list[bool]:
    return list(map(parse_filter(text), exchanges))


def test_attempts_and_pauses() -> None:
    found = logged(finished(0, 1, 503), finished(3, 1, 503), finished(4.5, 1))
    assert matching("attempt:1", found) == [True, False, False]
    assert matching("attempt:>1", found) == [False, True, True]
    assert matching("attempt:2-3 since:>=2s", found) == [False, True, False]
    assert matching("since:<2s", found) == [False, False, True]


def test_other_targets_are_separate() -> None:
    found = logged(
        finished(0, 0.1),
        finished(1, 0.1, method="HEAD"),
        finished(1, 0.1, path="/v2/app/manifests/2"),
        finished(1, 0.1, client="127.0.0.2:1"),
        finished(1, 0.1, query="n=1"),
        finished(1, 0.1, client="127.0.0.1:99"),
    )
    assert matching("attempt:2", found) == [False] * 5 + [True]


def test_parallel_requests_do_not_repeat_each_other() -> None:
    """Each of two workers gets 429 and waits as long as it should."""
    limited = (("retry-after", "2"),)
    found = logged(
        finished(0, 0.5, 429, limited), finished(0.1, 0.5, 429, limited), finished(2.6, 1), finished(2.7, 1)
    )
    assert [each.repetition.attempt for each in found] == [1, 1, 2, 2]
    assert matching("retry-after:honoured", found) == [False, False, True, True]
    assert matching("since:>=2s", found) == [False, False, True, True]


def test_chunks_of_a_layer_are_no_repetitions() -> None:
    def chunk(started: float, span: str, status: int = 206) -> Exchange:
        return finished(started, 0.5, status, request_headers=(("range", span),))

    found = logged(chunk(0, "bytes=0-9"), chunk(1, "bytes=10-19", 503), chunk(2, "bytes=10-19"))
    assert [each.repetition.attempt for each in found] == [1, 1, 2]
    cut = finished(0, 1)
    cut.ended = Ended.ABORTED
    assert matching("attempt:2", logged(cut, chunk(2, "bytes=5-"))) == [False, True]


def test_retry_after() -> None:
    limited = (("retry-after", "2"),)
    dated = (("retry-after", "Thu, 01 Jan 1970 00:00:10 GMT"),)
    for headers, honoured in ((limited, 2.95), (dated, 9.95)):
        found = logged(finished(0, 1, 429, headers), finished(honoured + (headers is limited), 1))
        assert matching("retry-after:honoured", found) == [False, True]
        found = logged(finished(0, 1, 429, headers), finished(honoured - 0.3, 1))
        assert matching("retry-after:ignored", found) == [False, True]
    found = logged(finished(0, 1, 429, (("retry-after", "soon"),)), finished(1, 1))
    assert matching("retry-after:honoured | retry-after:ignored", found) == [False, False]


def test_forgotten_by_reset_and_limited() -> None:
    log = TrafficLog(capacity=3)
    _, second = logged(finished(0, 0.1), finished(1, 0.1), log=log)
    assert second.repetition.attempt == 2
    log.forget(lambda each: True)
    assert logged(finished(2, 0.1), log=log)[0].repetition.attempt == 1
    many = logged(*(finished(10 + each, 0.1, path=f"/v2/a/manifests/{each}") for each in range(9)), log=log)
    assert many[-1].repetition.attempt == 1
    assert logged(finished(30, 0.1, path="/v2/a/manifests/8"), log=log)[0].repetition.attempt == 2


def test_forgetting_one_namespace_keeps_what_others_repeat() -> None:
    log = TrafficLog(capacity=2)
    other = {"path": "/v2/broken/in/other/a/manifests/1"}
    own = {"path": "/v2/broken/in/own/a/manifests/1"}
    assert [each.repetition.attempt for each in logged(finished(0, 0.1, **other), log=log)] == [1]
    logged(finished(1, 0.1, **own), finished(2, 0.1, **own), log=log)[-1].repetition  # noqa: B018 - examines
    log.forget(lambda each: each.target.namespace == "own")
    repeated, first = logged(finished(3, 0.1, **other), finished(4, 0.1, **own), log=log)
    assert (repeated.repetition.attempt, first.repetition.attempt) == (2, 1)


def test_forgetting_keeps_what_was_not_examined() -> None:
    log = TrafficLog()
    logged(finished(0, 0.1), finished(1, 0.1, path="/v2/b/manifests/1"), log=log)
    assert log[1].repetition.attempt == 1
    logged(finished(2, 0.1), finished(3, 0.1, path="/v2/b/manifests/1"), log=log)
    log.forget(lambda each: each.path == "/v2/b/manifests/1")
    assert [each.repetition.attempt for each in log] == [1, 2]


async def test_the_log_is_examined_in_slices() -> None:
    """Each turn of the event loop examines at most 100 exchanges, while others arrive."""
    log = TrafficLog()
    logged(*(finished(number, 0.5) for number in range(2000)), log=log)
    task = asyncio.create_task(log.index_repetitions())
    turns = [0]
    while not task.done():
        await asyncio.sleep(0)
        turns.append(sum(each.known_repetition is not None for each in log))
        logged(finished(2000 + len(turns), 0.5), log=log)
    assert max(after - before for before, after in itertools.pairwise(turns)) <= 100
    assert log[log.end - 1].repetition.attempt == len(log)


async def test_new_exchanges_are_examined_while_a_filter_needs_it() -> None:
    log = TrafficLog()
    logged(*(finished(number, 0.5) for number in range(1000)), log=log)
    assert not any(each.known_repetition for each in log)
    await log.index_repetitions()
    log.keep_repetitions()
    for number in range(1000, 2000):
        each = finished(number, 0.5, id=log.next_id())
        log.opened(each)
        log.closed(each)
    assert 0 < sum(each.known_repetition is None for each in log) <= 100


def test_filters_that_need_repetitions() -> None:
    for text in ("attempt:2", "-attempt:2", "endpoint:layer | since:>2s", "Retry-After:ignored"):
        assert needs_repetitions(text)
    for text in ("", "endpoint:layer", "path:attempt", 'rule:"attempt:2"', 'rule:"'):
        assert not needs_repetitions(text)
