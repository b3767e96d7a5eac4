"""Two pulls or pushes are compared: aligned by what was requested, with what differs, and nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Sequence
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.traffic.comparing.comparison import MOST, Comparison, Row, Sides, compare
from brokenreg.traffic.comparing.comparison_text import comparison_text
from brokenreg.traffic.comparing.differences import Aspect
from brokenreg.traffic.exchange import Ended, Exchange
from tests.traffic.comparing.pulls import Traffic, digest, manifest

UPLOAD = ("POST", "PATCH", "PUT")
KINDS = st.sampled_from(
    ["manifests/1.2", "manifests/1.3", *(f"blobs/{digest(each)}" for each in "abcd"), "tags/list"]
)
STEPS = st.lists(
    st.tuples(KINDS, st.sampled_from(["GET", "HEAD"]), st.sampled_from([200, 404, 503]), st.integers(0, 3)),
    max_size=12,
)


def made(traffic: Traffic, steps: list[tuple[str, str, int, int]], name: str) -> list[Exchange]:
    return [
        traffic.exchange(f"/v2/{name}/{part}", method, status=status, size=size)
        for part, method, status, size in steps
    ]


def compared(traffic: Traffic, left: Sequence[Exchange], right: Sequence[Exchange]) -> Comparison:
    return asyncio.run(compare(left, right, traffic.kept))


def requests(comparison: Comparison) -> list[str]:
    return [row.one.label for row in comparison.rows]


def aspects(row: Row) -> set[Aspect]:
    return {each.aspect for each in row.differences}


@given(STEPS)
def test_a_pull_does_not_differ_from_itself(steps: list[tuple[str, str, int, int]]) -> None:
    traffic = Traffic()
    pull = made(traffic, steps, "app")
    assert all(row.is_equal for row in compared(traffic, pull, pull).rows)


@given(STEPS)
def test_the_same_pull_of_another_repository_does_not_differ(steps: list[tuple[str, str, int, int]]) -> None:
    traffic = Traffic()
    comparison = compared(traffic, made(traffic, steps, "app"), made(traffic, steps, "broken/with/reset/app"))
    assert all(row.is_equal for row in comparison.rows)


@given(STEPS, STEPS)
def test_the_other_way_round_everything_is_mirrored(
    left: list[tuple[str, str, int, int]], right: list[tuple[str, str, int, int]]
) -> None:
    traffic = Traffic()
    one, other = made(traffic, left, "app"), made(traffic, right, "other")
    assert compared(traffic, other, one) == compared(traffic, one, other).mirrored()


@given(STEPS, STEPS)
def test_no_request_is_lost_or_shown_twice(
    left: list[tuple[str, str, int, int]], right: list[tuple[str, str, int, int]]
) -> None:
    traffic = Traffic()
    one, other = made(traffic, left, "app"), made(traffic, right, "other")
    rows = compared(traffic, one, other).rows
    assert Counter(row.left.exchange.id for row in rows if row.left) == Counter(each.id for each in one)
    assert Counter(row.right.exchange.id for row in rows if row.right) == Counter(each.id for each in other)
    for row in rows:
        if row.left and row.right:
            assert row.left.exchange.method == row.right.exchange.method
            assert row.left.exchange.endpoint is row.right.exchange.endpoint
            assert row.left.attempt == row.right.attempt


@given(STEPS, STEPS)
def test_first_attempts_are_in_order_unless_a_row_says_that_they_are_not(
    left: list[tuple[str, str, int, int]], right: list[tuple[str, str, int, int]]
) -> None:
    traffic = Traffic()
    rows = compared(traffic, made(traffic, left, "app"), made(traffic, right, "other")).rows
    first = [row for row in rows if row.one.attempt == 1]
    ours = [row.left.exchange.id for row in first if row.left]
    theirs = [row.right.exchange.id for row in first if row.right and Aspect.ORDER not in aspects(row)]
    assert ours == sorted(ours)
    assert theirs == sorted(theirs)


def test_a_pull_that_recovered_beside_a_healthy_one() -> None:
    traffic = Traffic()
    healthy = traffic.pull("app", "abc")
    broken = traffic.pull("broken/with/truncate/app", "abc")
    broken[3].response_bytes, broken[3].ended, broken[3].faults = 40, Ended.ABORTED, ("truncate",)
    traffic.now += 2
    path = f"/v2/broken/with/truncate/app/blobs/{digest('b')}"
    broken.append(traffic.exchange(path, status=206, size=60, headers=(("range", "bytes=40-"),)))
    comparison = compared(traffic, healthy, broken)
    assert requests(comparison) == [
        "GET manifest", "GET config", "GET layer 1", "GET layer 2", "GET layer 2", "GET layer 3",
    ]  # fmt: skip
    cut, again = comparison.rows[3:5]
    assert aspects(cut) == {Aspect.BYTES, Aspect.OUTCOME, Aspect.FAULT, Aspect.ATTEMPTS}
    assert {each.aspect: (each.left, each.right) for each in cut.differences} == {
        Aspect.OUTCOME: ("complete", "aborted"),
        Aspect.FAULT: ("none", "truncate"),
        Aspect.BYTES: ("100 B", "40 B"),
        Aspect.ATTEMPTS: ("1", "2"),
    }
    assert again.sides is Sides.RIGHT
    assert again.right is not None
    assert again.right.attempt == 2
    assert again.right.pause is not None
    assert 2 < again.right.pause < 2.1
    assert [row.is_equal for row in comparison.rows] == [True, True, True, False, False, True]
    assert comparison.counts[Aspect.ATTEMPTS] == comparison.counts[Sides.RIGHT] == 1


def test_layers_of_other_content_are_aligned_by_their_number_in_the_manifest() -> None:
    traffic = Traffic()
    left = traffic.pull("app", ["a", "b", "shared"])
    document = manifest(digest("config"), *map(digest, ["x", "shared", "y"]))
    right = [traffic.exchange("/v2/other/manifests/7", body=document)]
    right += [traffic.exchange(f"/v2/other/blobs/{digest(each)}") for each in ["config", "y", "shared", "x"]]
    comparison = compared(traffic, left, right)
    pairs = {
        (row.left and row.left.exchange.target.reference, row.right and row.right.exchange.target.reference)
        for row in comparison.rows
    }
    assert (digest("shared"), digest("shared")) in pairs
    assert (digest("a"), digest("x")) in pairs
    assert (digest("b"), None) in pairs
    assert (None, digest("y")) in pairs
    one = next(row for row in comparison.rows if row.left and row.left.subject.reference == digest("a"))
    assert aspects(one) >= {Aspect.DIGEST}


def test_the_uploads_of_a_push_are_aligned_by_the_layer_that_they_are_of() -> None:
    traffic = Traffic()

    def push(name: str, *order: str) -> list[Exchange]:
        made = []
        for layer in order:
            session = f"/v2/{name}/blobs/uploads/{uuid4().hex}"
            location = (("location", f"{session}?_state=x"),)
            made += [
                traffic.exchange(f"/v2/{name}/blobs/uploads/", "POST", status=202, answered=location),
                traffic.exchange(session, "PATCH", status=202, sent=b"x" * 9),
                traffic.exchange(
                    session, "PUT", status=201, query=f"digest={digest(layer).replace(':', '%3A')}"
                ),
            ]
        document = manifest(digest("config"), digest("a"), digest("b"))
        return [*made, traffic.exchange(f"/v2/{name}/manifests/1", "PUT", status=201, sent=document)]

    comparison = compared(traffic, push("one", "a", "config", "b"), push("two", "a", "b", "config"))
    assert requests(comparison) == [
        *(f"{method} upload of {part}" for part in ("layer 1", "config", "layer 2") for method in UPLOAD),
        "PUT manifest",
    ]  # fmt: skip
    moved = {row.one.label for row in comparison.rows if Aspect.ORDER in aspects(row)}
    assert moved in (
        {f"{method} upload of config" for method in UPLOAD},
        {f"{method} upload of layer 2" for method in UPLOAD},
    )
    assert all(aspects(row) <= {Aspect.ORDER} for row in comparison.rows)


@pytest.mark.parametrize("pause", [-0.01, 0.0])
def test_requests_in_flight_at_the_same_time_have_no_order(pause: float) -> None:
    """Clients that send them in parallel send them in any order."""
    traffic = Traffic()

    def pull(name: str, *blobs: str) -> list[Exchange]:
        made = []
        for blob in blobs:
            made.append(traffic.exchange(f"/v2/{name}/blobs/{digest(blob)}"))
            traffic.now += pause
        traffic.now += 1.0
        return made

    comparison = compared(traffic, pull("one", "a", "b"), pull("two", "b", "a"))
    moved = [row for row in comparison.rows if Aspect.ORDER in aspects(row)]
    assert len(moved) == (0 if pause else 1)


def test_what_is_noise_is_no_difference() -> None:
    traffic = Traffic()

    def pull(name: str, port: int, request: str, day: int) -> list[Exchange]:
        challenge = f'Bearer realm="http://127.0.0.1:{port}/token",scope="repository:{name}:pull"'
        return [
            traffic.exchange(
                f"/v2/{name}/manifests/1",
                status=401,
                headers=(("x-request-id", request), ("user-agent", f"client/{day}")),
                answered=(
                    ("date", f"Thu, 0{day} Jan 2026 12:00:00 GMT"),
                    ("www-authenticate", challenge),
                    ("location", f"http://127.0.0.1:{port}/v2/{name}/blobs/uploads/{request}?_state={day}"),
                ),
            )
        ]

    (row,) = compared(traffic, pull("app", 5001, "aa", 1), pull("broken/with/reset/app", 5002, "bb", 2)).rows
    assert row.is_equal


def test_a_header_of_one_side_is_a_difference() -> None:
    traffic = Traffic()
    left, right = (
        [traffic.exchange("/v2/app/manifests/1", headers=headers, answered=(("etag", tag), ("x-a", "1")))]
        for headers, tag in (((("accept", "a"),), '"1"'), ((), '"2"'))
    )
    (row,) = compared(traffic, left, right).rows
    assert {(each.aspect, each.name, each.left, each.right) for each in row.differences} == {
        (Aspect.REQUEST_HEADER, "accept", "a", "none"),
        (Aspect.RESPONSE_HEADER, "etag", '"1"', '"2"'),
    }


@pytest.mark.parametrize(
    ("ours", "theirs", "differs"),
    [
        (("a/b", "c/d;q=0.5"), ("c/d;q=0.5", "a/b"), False),
        (("a/b, c/d",), ("c/d", "a/b"), False),
        (("a/b", "c/d"), ("a/b",), True),
        (("a/b", "c/d;q=0.5"), ("c/d", "a/b;q=0.5"), True),
    ],
)
def test_the_order_of_media_types_is_not_a_difference(
    ours: tuple[str, ...], theirs: tuple[str, ...], differs: bool
) -> None:
    """Docker sends them in a random order."""
    traffic = Traffic()
    left, right = (
        [traffic.exchange("/v2/app/manifests/1", headers=tuple(("accept", each) for each in values))]
        for values in (ours, theirs)
    )
    (row,) = compared(traffic, left, right).rows
    assert row.is_equal is not differs


def test_only_a_much_longer_duration_is_a_difference() -> None:
    for ours, theirs, differs in ((0.01, 0.09, False), (1.0, 1.9, False), (0.1, 0.3, True), (9, 2, True)):
        traffic = Traffic()
        left = [traffic.exchange("/v2/app/tags/list", seconds=ours)]
        right = [traffic.exchange("/v2/app/tags/list", seconds=theirs)]
        (row,) = compared(traffic, left, right).rows
        assert (Aspect.TIMING in aspects(row)) is differs


def test_the_text_has_every_row_and_every_difference() -> None:
    traffic = Traffic()
    healthy, broken = traffic.pull("app", "abc"), traffic.pull("other", "ab")
    broken[1].status = 503
    text = "".join(
        comparison_text(compared(traffic, healthy, broken), ("PULL app:1.2", "PULL other:\x1b[31m"))
    )
    assert "left:  PULL app:1.2, 5 requests, " in text
    assert "\x1b" not in text
    assert "≠ GET config\n" in text
    assert "    status: 200 ≠ 503\n" in text
    assert "◀ GET layer 3, left only\n" in text
    assert "= GET layer 1\n" in text


def test_thousands_of_requests_do_not_block_the_loop() -> None:
    traffic = Traffic()
    layers = [str(number) for number in range(MOST + 200)]
    left = traffic.pull("app", layers)
    right = traffic.pull("other", layers[::-1])

    async def longest_pause() -> float:
        longest, is_done = 0.0, False

        async def watch() -> None:
            nonlocal longest
            last = time.process_time()
            while not is_done:
                await asyncio.sleep(0)
                now = time.process_time()
                longest, last = max(longest, now - last), now

        watching = asyncio.create_task(watch())
        comparison = await compare(left, right, traffic.kept)
        is_done = True
        await watching
        assert comparison.left.requests == comparison.right.requests == MOST
        assert comparison.left.omitted == comparison.right.omitted == 202
        assert len(comparison.rows) >= MOST
        return longest

    gc.collect()
    gc.freeze()  # what other tests have left is no part of the measurement
    assert min(asyncio.run(longest_pause()) for _ in range(3)) < 0.02
