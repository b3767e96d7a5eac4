"""Hiding routine exchanges: those that failed, were held or had a fault applied are never routine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from exchanges import answer, end, exchange, passed, small_pull
from hypothesis import given
from hypothesis import strategies as st
from screen import lines, look, shown, text
from serving import serving

from brokenreg.listening.connection_events import (
    ClosedBeforeTLSHello,
    MalformedRequest,
    TLSHandshakeCompleted,
    TLSHandshakeFailed,
    TLSHelloOnPlainPort,
)
from brokenreg.oci.target import Endpoint, Target, parse_target
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import ExchangeEnded, TimelineEvent
from brokenreg.tui.traffic.view import is_routine

CHALLENGE = (("www-authenticate", 'Basic realm="brokenreg"'),)
HELLO, END = TLSHelloOnPlainPort(), ExchangeEnded()


def made(path: str, *, method: str = "GET", status: int | None = 200, **more: object) -> Exchange:
    """One that has come to its end, unless told otherwise."""
    fields = {"ended": Ended.COMPLETE, **more}
    return Exchange(1, method, path, "", "1.1", "http", "c:1", parse_target(path), status=status, **fields)


def connection(
    *events: TimelineEvent, status: int | None = None, ended: Ended = Ended.DISCONNECTED
) -> Exchange:
    seen = Exchange(1, "", "", "", "", "http", "c:1", Target(Endpoint.CONNECT), status=status, ended=ended)
    for event in events:
        seen.add(event)
    return seen


def test_successful_pings_tokens_and_probes_are_routine() -> None:
    assert is_routine(made("/v2/"))
    assert is_routine(made("/v2/", method="HEAD"))
    assert is_routine(made("/v2/", status=401, response_headers=CHALLENGE))
    assert is_routine(made("/token"))
    assert is_routine(made("/token", method="POST"))
    assert is_routine(connection(HELLO, END, status=400, ended=Ended.COMPLETE))
    assert is_routine(connection(END, status=400, ended=Ended.COMPLETE)), "not HTTP"
    assert is_routine(connection(END))
    assert is_routine(connection(ClosedBeforeTLSHello(), END))


def test_interesting_exchanges_are_not_routine() -> None:
    shown = (("authorization", "***"),)
    assert not is_routine(made("/v2/", status=401)), "no challenge"
    assert not is_routine(made("/v2/", status=401, response_headers=CHALLENGE, request_headers=shown))
    assert not is_routine(made("/v2/", method="PUT"))
    assert not is_routine(made("/token", status=401))
    assert not is_routine(made("/token", origin=Origin.SECOND))
    assert not is_routine(made("/v2/", replay_of=7))
    assert not is_routine(made("/v2/_catalog"))
    assert not is_routine(made("/v2/app/manifests/1", status=401, response_headers=CHALLENGE))
    assert not is_routine(connection(MalformedRequest("no :path"), END)), "HTTP, but invalid"
    assert not is_routine(connection(TLSHandshakeFailed("unknown ca", by_client=True), END))
    assert not is_routine(connection(TLSHandshakeCompleted("TLSv1.3"), END)), (
        "a client that disconnects may not trust us"
    )
    assert not is_routine(connection(END, ended=Ended.ABORTED)), "it was we"


ROUTINE = (
    lambda: made("/v2/"),
    lambda: made("/v2/", status=401, response_headers=CHALLENGE),
    lambda: made("/token", method="POST"),
    lambda: connection(HELLO, END, status=400, ended=Ended.COMPLETE),
    lambda: connection(END),
)
SIGNALS = (
    *(("status", status) for status in (403, 404, 429, 500, 503)),
    *(("ended", ended) for ended in (None, Ended.ABORTED)),
    ("faults", ("error",)),
    ("rule", "a rule"),
    ("held_since", 1.0),
    ("edited", "status"),
    ("replay_of", 3),
    ("origin", Origin.SECOND),
    ("target", parse_target("/v2/library/app/manifests/1")),
)


@given(st.sampled_from(ROUTINE), st.sets(st.sampled_from(SIGNALS), min_size=1))
def test_unusual_exchanges_are_not_routine(
    make: Callable[[], Exchange], signals: set[tuple[str, object]]
) -> None:
    one = make()
    assert is_routine(one)
    for name, value in signals:
        setattr(one, name, value)
    assert not is_routine(one)


async def test_routine_is_shown_until_it_is_hidden_and_then_counted() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=(100, 30)) as (panel, pilot):
        assert "GET /v2/ " in await look(pilot)
        screen = await look(pilot, "f")
        assert "GET /v2/ " not in screen
        assert "GET /v2/_catalog" in screen
        assert "routine: 1 hidden" in lines(panel)[1]
        passed(log, "/v2/")
        passed(log, "/v2/", status=500)
        screen = await look(pilot)
        assert "routine: 2 hidden" in lines(panel)[1]
        assert screen.count("GET /v2/ ") == 1, "one that failed is none"
        screen = await look(pilot, "f")
        assert screen.count("GET /v2/ ") == 3
        assert "routine" not in lines(panel)[1]


async def test_a_ping_is_visible_while_it_is_in_flight() -> None:
    log = TrafficLog()
    passed(log, "/v2/library/app/tags/list")
    async with shown(log) as (_, pilot):
        await look(pilot, "f")
        ping = exchange(log, "/v2/", at=74.0)
        assert "GET /v2/ " in await look(pilot)
        ping.held_since = ping.started
        log.held(ping)
        answer(log, ping)
        assert "GET /v2/ " in await look(pilot), "held"
        ping.held_since = None
        end(log, ping)
        assert "GET /v2/ " not in await look(pilot)


@pytest.mark.slow
async def test_routine_exchanges_are_counted_within_the_filter() -> None:
    log = TrafficLog(capacity=8)
    for number in range(4):
        passed(log, "/v2/")
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=(120, 24)) as (panel, pilot):
        await look(pilot, "f")
        assert "routine: 4 hidden" in lines(panel)[1]
        await look(pilot, "/", *"ep:manifest", "enter")
        assert "routine: 0 hidden  / ep:manifest" in lines(panel)[1]
        assert "manifests/n3" in text(panel)
        await look(pilot, "\\")
        assert "routine: 4 hidden  / off: ep:manifest" in lines(panel)[1]
        for _ in range(3):
            passed(log, "/v2/_catalog")
        await look(pilot)
        assert "routine: 2 hidden" in lines(panel)[1], "what has left the log is counted no more"


async def test_a_list_with_only_routine_exchanges_says_so() -> None:
    log = TrafficLog()
    passed(log, "/v2/")
    async with shown(log) as (_, pilot):
        assert "All exchanges are routine and hidden." in await look(pilot, "f")


async def test_connections_without_a_request_say_why_and_are_hidden() -> None:
    async with serving() as served:
        for sent in (b"\x16\x03\x01\x00\x05hello", b"EHLO mail.example.org\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(sent)
            if sent:
                assert b"400" in await reader.read()
            writer.close()
            await served.until(lambda each: each.ended is not None)
        await (await served.client()).ask("/v2/_catalog")
        await served.until(lambda each: each.endpoint is Endpoint.CATALOG and each.ended)
        screen = await served.look()
        for why in ("TLS on plain port", "not HTTP", "idle"):
            assert screen.count(f"no request: {why} ") == 1, screen
        screen = await served.look("f")
        assert "no request" not in screen
        assert "routine: 3 hidden" in screen
        assert "GET /v2/_catalog" in screen
