"""The fast JSON of an exchange is identical to the JSON of its summary."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from brokenreg.assembly.output import exchange_line
from brokenreg.oci.target import Endpoint, Target
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.exchange_json import summary_json
from brokenreg.traffic.timeline_events import EXCHANGE_ENDED, FabricationQueued
from brokenreg.traffic.upstream_events import Cache

TEXT = st.text(st.characters(codec=None), max_size=8) | st.sampled_from(['"\\', "\x00\x7f\u2028", "\ud800é𝄞"])
NUMBER = st.integers(0, 2**60)
SECONDS = st.floats(0, 1e10)


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """Draw any exchange. In half of them, rarely used fields are set."""
    target = Target(draw(st.sampled_from(Endpoint)), draw(TEXT), (), draw(TEXT), draw(TEXT))
    made = Exchange(
        draw(NUMBER),
        *(draw(TEXT) for _ in range(6)),
        target,
        request_headers=draw(st.sampled_from([(), (("user-agent", "a\u00e9"), ("user-agent", "b"))])),
        started=draw(SECONDS),
        status=draw(st.none() | st.integers(100, 999)),
        request_bytes=draw(NUMBER),
        response_bytes=draw(NUMBER),
        origin=draw(st.sampled_from(Origin)),
        cache=draw(st.none() | st.sampled_from(Cache)),
        ended=draw(st.none() | st.sampled_from(Ended)),
    )
    if draw(st.booleans()):
        made.faults = tuple(draw(st.lists(TEXT, max_size=2)))
        made.rule, made.held_by, made.edited = (draw(st.none() | TEXT) for _ in range(3))
        made.replay_of = draw(st.none() | NUMBER)
        made.held_since = draw(st.none() | SECONDS)
        made.progress = draw(st.none() | st.just(FabricationQueued(2)))
    if draw(st.booleans()):
        made.timeline.add(EXCHANGE_ENDED, draw(SECONDS))
    return made


@given(exchanges())
def test_the_fast_json_equals_that_of_the_summary(exchange: Exchange) -> None:
    assert summary_json(exchange) == json.dumps(exchange.summary(), separators=(",", ":"))


@given(exchanges())
def test_a_line_says_that_it_is_an_exchange(exchange: Exchange) -> None:
    event = {"event": "exchange", **exchange.summary()}
    assert exchange_line(exchange) == json.dumps(event, separators=(",", ":"))
