"""What HAR files of ours contain comes back when they are read."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokenreg.oci.errors import OCIError
from brokenreg.oci.target import Endpoint, Target, parse_target
from brokenreg.traffic.bodies import Body, Form, Kept, form_of
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.explained_rule import ExplainedRule, ExplainedRules
from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.redaction import redact_headers, redact_line, redact_query, redact_target
from brokenreg.traffic.rule_outcome import OutcomeKind
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.traffic.timeline import Timeline
from brokenreg.traffic.timeline_events import EXCHANGE_ENDED, FabricationProgress, TimelineEvent, data_of
from brokenreg.traffic.upstream_events import Cache

DIGEST = f"sha256:{'ab' * 32}"
PATHS = (
    "/v2/",
    "/v2/library/app/manifests/1.2",
    f"/v2/library/app/blobs/{DIGEST}",
    "/v2/app/blobs/uploads/",
    "/v2/broken/with/truncate/broken/random/manifests/layers-1_size-9",
    "/v2/broken/in/ci/app/tags/list",
    "/v2/UPPER/manifests/x",
    "/token",
    "/docs.example.com/v2/app/manifests/x",
)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EVENTS: st.SearchStrategy[TimelineEvent] = st.one_of(*map(st.from_type, get_args(TimelineEvent))).filter(
    lambda event: all(
        abs(value) < 2**63 for value in data_of(event).values() if isinstance(value, int | float)
    )
)
"""Events with numbers that JSON and our clocks can have."""
LATIN = st.text(st.characters(max_codepoint=255), max_size=20)
HEADERS = st.lists(st.tuples(LATIN, LATIN), max_size=4)


@st.composite
def targets(draw: st.DrawFn, path: str, query: str) -> Target:
    """A target as a server with other options would have it."""
    target = parse_target(path, query)
    if target.endpoint is Endpoint.LAYER and target.error is None:
        target = target.refine(is_config=draw(st.booleans()))
    if target.repository and draw(st.booleans()):
        target = replace(target, upstream="quay.io", repository=f"quay.io/{target.remote}")
    if draw(st.booleans()):
        target = replace(target, error=OCIError(404, "NAME_UNKNOWN", draw(WORDS)))
    return redact_target(target)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    timeline = Timeline()
    for event in draw(st.lists(EVENTS, max_size=6)):
        timeline.add(event, draw(st.floats(0, 1e5)))
    return timeline


@st.composite
def rules(draw: st.DrawFn) -> ExplainedRules:
    final = ExplainedRule(
        draw(st.none() | st.integers(1, 99)),
        draw(WORDS),
        draw(WORDS),
        draw(st.sampled_from(OutcomeKind)),
        "applied to match 1",
        is_final=True,
        faults=({"type": "truncate", "after": draw(st.integers(0, 9))},),
        matched=draw(st.none() | st.integers(0, 9)),
        applied=1,
    )
    other = ExplainedRule(3, draw(WORDS), "faults.yaml:3", "no-match", "did not match: client")
    return ExplainedRules((final, other)[: draw(st.integers(0, 2))], draw(st.integers(0, 5)))


@st.composite
def exchanges(draw: st.DrawFn, number: int) -> tuple[Exchange, Kept, ExplainedRules | None]:
    path = redact_line(draw(st.sampled_from(PATHS) | WORDS))
    query = redact_query(draw(st.sampled_from(("", "a=b%20c&ns=", "scope=repository:app:pull")) | WORDS))
    is_ended = draw(st.booleans())
    made = Exchange(
        id=number,
        method=draw(st.sampled_from(("GET", "HEAD", "PUT", "POST")) | WORDS),
        path=path,
        query=query,
        http_version=draw(st.sampled_from(("1.0", "1.1", "2"))),
        scheme=draw(st.sampled_from(("http", "https"))),
        client=draw(st.sampled_from(("127.0.0.1:1", "[::1]:443"))),
        target=draw(targets(path, query)),
        request_headers=_headers(draw(HEADERS)),
        started=draw(st.floats(0, 2e9)),
        status=draw(st.none() | st.integers(100, 599)),
        response_headers=_headers(draw(HEADERS)),
        request_bytes=draw(st.integers(0, 2**40)),
        response_bytes=draw(st.integers(0, 2**40)),
        origin=draw(st.sampled_from(Origin)),
        cache=draw(st.none() | st.sampled_from(Cache)),
        faults=draw(st.sampled_from(((), ("truncate", "latency")))),
        rule=draw(st.none() | st.just("layers break")),
        replay_of=draw(st.none() | st.integers(1, 9)),
        held_since=draw(st.none() | st.floats(0, 2e9)),
        held_by=draw(st.none() | st.just('rule "x"')),
        edited=draw(st.none() | st.just("status 200 to 500")),
        ended=draw(st.sampled_from(Ended)) if is_ended else None,
        progress=None if is_ended else draw(st.none() | st.just(FabricationProgress(1, 2, 3))),
        timeline=draw(timelines()),
        has_wrong_bytes=draw(st.booleans()),
    )
    data = st.binary(min_size=1, max_size=50)
    request = response = None
    if made.endpoint is Endpoint.MANIFEST and draw(st.booleans()):
        request = Body.of(draw(data), made.request_bytes, is_document=True)
    form = form_of(made)
    if form is not None and draw(st.booleans()):
        response = Body.of(draw(data), draw(st.integers(50, 99)), is_document=form is Form.DOCUMENT)
    return made, Kept(request, response), draw(st.none() | rules())


def _headers(pairs: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    kept = redact_headers(raw)
    return tuple(each for each in kept if not each[0].startswith(":"))


async def read(path: Path) -> TrafficFile:
    file = TrafficFile(path, TrafficLog())
    await file.read()
    return file


def facts(exchange: Exchange) -> dict[str, Any]:
    """Return the fields that HAR keeps."""
    dropped = {
        "user", "rule_outcomes", "counted", "revision", "known_repetition", "find_repetitions", "_clock",
        "saved", "timeline", "target",
    }  # fmt: skip
    kept = {field.name: getattr(exchange, field.name) for field in fields(Exchange)}
    target = {
        name: value for name, value in asdict(replace(exchange.target, error=None)).items() if name != "base"
    }
    error = exchange.target.error
    return {
        **{name: value for name, value in kept.items() if name not in dropped},
        "target": target,
        "error": None if error is None else (error.status, error.code, error.message),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(exchanges(4), exchanges(9)))
def test_exchange_to_har_to_exchange(
    tmp_path: Path, made: tuple[tuple[Exchange, Kept, ExplainedRules | None], ...]
) -> None:
    log = TrafficLog()
    for exchange, kept, _ in made:
        log.opened(exchange)
        log.bodies.keep(exchange, kept)
    explained = {exchange.id: rules for exchange, _, rules in made}
    path = tmp_path / "own.har"
    path.write_text("".join(har_pieces(log, log.bodies, "http://127.0.0.1:8080", lambda e: explained[e.id])))
    file = asyncio.run(read(path))
    assert file.unread.line == ""
    assert len(file.log) == len(made)
    for (before, kept, rules_before), after in zip(made, file.log, strict=True):
        assert facts(after) == facts(before)
        assert [event for event, _ in after.timeline] == [event for event, _ in before.timeline]
        times = [at for _, at in before.timeline]
        assert [at for _, at in after.timeline] == pytest.approx(times, abs=1e-8)
        assert file.log.bodies.of(after) == kept
        assert after.saved is not None
        assert after.saved.rules == rules_before


def test_durations_are_rounded_only_when_they_are_shown(tmp_path: Path) -> None:
    """Rounded to nanoseconds in the file, each of these would be another microsecond."""
    log = TrafficLog()
    for number, at in enumerate((0.10555750000639819, 0.0657154999935301, 0.09323349999613129), 1):
        exchange = Exchange(
            number, "GET", "/v2/", "", "1.1", "http", "127.0.0.1:1", Target(Endpoint.PING),
            started=float(number), ended=Ended.COMPLETE, status=200,
        )  # fmt: skip
        exchange.timeline.add(EXCHANGE_ENDED, at)
        log.opened(exchange)
    path = tmp_path / "own.har"
    path.write_text("".join(har_pieces(log, log.bodies, "http://127.0.0.1:8080")))
    file = asyncio.run(read(path))
    assert [each.summary()["duration"] for each in file.log] == [0.105558, 0.065715, 0.093233]


def test_connections_without_a_request_keep_their_place(tmp_path: Path) -> None:
    log = TrafficLog()
    for number in range(1, 6):
        is_request = number in (2, 4)
        log.opened(
            Exchange(
                number, "GET" if is_request else "", "/v2/" if is_request else "", "",
                "1.1" if is_request else "", "http", f"127.0.0.1:{number}",
                Target(Endpoint.PING if is_request else Endpoint.CONNECT),
                started=float(number), ended=Ended.COMPLETE, status=400,
            )
        )  # fmt: skip
    path = tmp_path / "own.har"
    path.write_text("".join(har_pieces(log, log.bodies, "http://127.0.0.1:8080")))
    file = asyncio.run(read(path))
    assert [facts(each) for each in file.log] == [facts(each) for each in log]


def test_of_very_many_connections_the_newest_are_kept(tmp_path: Path) -> None:
    log = TrafficLog()
    for number in range(1, 1502):
        log.opened(Exchange(number, "", "", "", "", "http", "127.0.0.1:1", Target(Endpoint.CONNECT)))
    log.opened(Exchange(1502, "GET", "/v2/", "", "1.1", "http", "127.0.0.1:1", Target(Endpoint.PING)))
    path = tmp_path / "own.har"
    path.write_text("".join(har_pieces(log, log.bodies, "http://127.0.0.1:8080")))
    file = asyncio.run(read(path))
    assert [each.id for each in file.log] == [*range(502, 1503)]
    assert file.unread.line == ""
