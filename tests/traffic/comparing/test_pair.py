"""Two exchanges are shown in full, with what differs, and with what is noise."""

from __future__ import annotations

import json
import time

from hypothesis import given
from hypothesis import strategies as st

from brokenreg.traffic.bodies import MOST as LONGEST_BODY
from brokenreg.traffic.comparing.documents import MOST, parts_of
from brokenreg.traffic.comparing.pair import PairLine, Section, Sign, pair_lines
from brokenreg.traffic.exchange import Ended, Exchange
from tests.traffic.comparing.pulls import Traffic, digest, manifest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=12,
)


def lines_of(traffic: Traffic, left: Exchange | None, right: Exchange | None) -> dict[str, PairLine]:
    lines = [*pair_lines(left, right, traffic.kept)]
    return {f"{line.section}: {line.label}": line for line in lines}


def test_what_differs_and_what_is_noise_have_other_signs() -> None:
    traffic = Traffic()
    left = traffic.exchange(
        "/v2/app/blobs/" + digest("a"), headers=(("accept", "*/*"),), answered=(("date", "a"), ("etag", "1"))
    )
    right = traffic.exchange(
        "/v2/other/blobs/" + digest("a"),
        status=206,
        ended=Ended.ABORTED,
        headers=(("range", "bytes=1-"),),
        answered=(("date", "b"), ("etag", "2")),
    )
    found = lines_of(traffic, left, right)
    signs = {label: line.sign for label, line in found.items()}
    assert signs["Summary: request"] is Sign.NOISE
    assert (found["Summary: status"].left, found["Summary: status"].right) == ("200", "206")
    assert signs["Summary: status"] is signs["Summary: outcome"] is Sign.DIFFERS
    assert signs["Summary: bytes"] is signs["Summary: digest"] is Sign.EQUAL
    assert signs["Summary: started"] in (Sign.NOISE, Sign.EQUAL)
    assert signs["Request headers: accept"] is Sign.LEFT
    assert signs["Request headers: range"] is Sign.RIGHT
    assert signs["Response headers: date"] is Sign.NOISE
    assert signs["Response headers: etag"] is Sign.DIFFERS
    assert found["Timeline: headers"].left == "5.0 ms  headers sent"


def test_an_exchange_of_one_side_is_shown_whole() -> None:
    traffic = Traffic()
    alone = traffic.exchange("/v2/app/manifests/1", body=b"{}")
    assert {line.sign for line in pair_lines(alone, None, traffic.kept)} == {Sign.LEFT}
    assert {line.sign for line in pair_lines(None, alone, traffic.kept)} == {Sign.RIGHT}


def test_manifests_are_compared_by_their_members() -> None:
    traffic = Traffic()
    left = traffic.exchange("/v2/app/manifests/1", body=manifest("sha256:c", "sha256:a", "sha256:b"))
    right = traffic.exchange("/v2/app/manifests/2", body=manifest("sha256:c", "sha256:a"))
    found = lines_of(traffic, left, right)
    assert found["Response body: config.digest"].sign is Sign.EQUAL
    assert found["Response body: layers[0].digest"].sign is Sign.EQUAL
    assert found["Response body: layers[1].digest"].sign is Sign.LEFT
    assert found["Response body: layers[1].digest"].left == '"sha256:b"'


def test_bodies_with_the_same_members_and_other_bytes_differ() -> None:
    traffic = Traffic()
    left = traffic.exchange("/v2/app/manifests/1", body=b'{"a": 1, "b": [2]}')
    right = traffic.exchange("/v2/app/manifests/1", body=b'{"b":[2],"a":1}')
    line = lines_of(traffic, left, right)["Response body: text"]
    assert (line.sign, line.left) == (Sign.DIFFERS, "the same parts, but other bytes")


def test_other_bodies_are_compared_by_lines() -> None:
    traffic = Traffic()
    left = traffic.exchange("/v2/app/manifests/1", status=503, body=b"<html>\nBusy\n</html>")
    right = traffic.exchange("/v2/app/manifests/1", status=503, body=b"<html>\nGone\n</html>")
    body = [line for line in pair_lines(left, right, traffic.kept) if line.section is Section.BODY]
    assert [(line.sign, line.left, line.right) for line in body] == [
        (Sign.EQUAL, "<html>", "<html>"),
        (Sign.RIGHT, None, "Gone"),
        (Sign.LEFT, "Busy", None),
        (Sign.EQUAL, "</html>", "</html>"),
    ]


def test_a_body_that_was_not_recorded_is_no_difference() -> None:
    traffic = Traffic()
    left = traffic.exchange("/v2/app/manifests/1", body=b"{}")
    right = traffic.exchange("/v2/app/manifests/1", size=2)
    line = lines_of(traffic, left, right)["Response body: text"]
    assert (line.sign, line.left, line.right) == (Sign.NOISE, "recorded", "not recorded")


@given(JSON, JSON)
def test_documents_have_equal_parts_if_and_only_if_they_are_equal(left: object, right: object) -> None:
    texts = [json.dumps(each, sort_keys=True) for each in ([left], [right])]
    assert all(ours == theirs for _, ours, theirs in parts_of(*texts)) == (texts[0] == texts[1])


def test_hostile_bodies_are_read_within_limits() -> None:
    half = LONGEST_BODY // 2
    for text in (
        "[" * half + "]" * half,
        "[" * LONGEST_BODY,
        "\n" * LONGEST_BODY,
        '{"a":' * 9_000,
        "x" * LONGEST_BODY,
    ):
        started = time.process_time()
        assert len([*parts_of(text, text[:-2])]) <= 2 * MOST
        assert time.process_time() - started < 0.2
