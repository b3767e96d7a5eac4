"""The detail at a heading: a pull or push as a whole."""

from __future__ import annotations

import json

from exchanges import MANIFEST, NOW, answer, digest, end, exchange, passed
from screen import Clock, look, shown, text
from textual.pilot import Pilot

from brokenreg.traffic.bodies import Body, Kept
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.upstream_events import Cache

TALL, WIDE = (100, 60), (160, 45)
CONFIG, A, B, C = digest("cf"), digest("aa"), digest("bb"), digest("cc")
SESSION = "blobs/uploads/0123456789abcdef0123456789abcdef"


def of_app(
    log: TrafficLog, what: str, method: str = "GET", at: float = 60.0, config: bool = False
) -> Exchange:
    return exchange(log, f"/v2/library/app/{what}", method=method, at=at, config=config)


def manifest_body() -> Body:
    """Of a manifest that names a config and three layers."""
    layers = [{"digest": each} for each in (A, B, C)]
    content = json.dumps({"mediaType": MANIFEST, "config": {"digest": CONFIG}, "layers": layers}).encode()
    return Body(content, len(content))


def manifest_came(log: TrafficLog) -> None:
    came = of_app(log, "manifests/1.2")
    answer(log, came, size=manifest_body().size)
    end(log, came)
    log.bodies.keep(came, Kept(response=manifest_body()))


def half_a_pull(log: TrafficLog) -> Exchange:
    """A config from the cache; a layer that failed at first; one in flight, which it answers."""
    manifest_came(log)
    config = of_app(log, f"blobs/{CONFIG}", config=True)
    config.cache = Cache.HIT
    answer(log, config, size=100)
    end(log, config)
    cut, again = of_app(log, f"blobs/{A}"), of_app(log, f"blobs/{A}", at=60.5)
    answer(log, cut, size=1024, of=2048)
    end(log, cut, ended=Ended.ABORTED, fault="truncate")
    answer(log, again, size=2048)
    end(log, again)
    going = of_app(log, f"blobs/{B}", at=61.0)
    answer(log, going, size=1024, of=4096)
    return going


def said(pilot: Pilot[int]) -> str:
    return "\n".join(each.message for each in pilot.app._notifications)


async def test_a_heading_shows_client_image_and_missing_blobs() -> None:
    log = TrafficLog()
    half_a_pull(log)
    async with shown(log, size=TALL) as (_, pilot):
        await look(pilot)
        screen = await look(pilot, "g", "enter")
        for line in (
            "PULL library/app:1.2",
            "▸ 1 in flight for 15 s",
            "Client    docker/27.3.1, 127.0.0.1",
            "Started   2026-01-01 12:01:00",
            "Blobs     2 of 4",
            "Bytes     3.1 KiB of 6.1 KiB",
            "Cache     hit",
            "Faults    truncate\n",
            "Retries   layer",
            "in flight, 1 KiB of 4 KiB",
            "not requested",
            "A client does not request a blob that it already has.",
            "5 requests",
            "manifest  GET 200",
            "config    GET 200",
            "layer     GET 200 ×3",
        ):
            assert line in screen, line
        assert screen.count("in flight, ") == 1, "the layer that failed at first is here"


async def test_blobs_of_a_manifest_are_listed_before_their_requests() -> None:
    log = TrafficLog()
    head = of_app(log, "manifests/1.2", "HEAD")
    answer(log, head)
    end(log, head)
    manifest_came(log)
    async with shown(log, size=TALL) as (_, pilot):
        await look(pilot)
        screen = await look(pilot, "g", "enter")
        assert "Blobs     0 of 4" in screen
        assert screen.count("not requested") == 4
        assert "PULL library/app:1.2" in screen.split("0 of 4   ✓")[0], "its heading knows it too"


async def test_the_detail_is_updated_until_the_pull_is_complete() -> None:
    log, clock = TrafficLog(), Clock()
    going = half_a_pull(log)
    async with shown(log, clock, size=TALL) as (_, pilot):
        await look(pilot)
        await look(pilot, "g", "enter")
        going.held_since = NOW
        log.held(going)
        clock.now = NOW + 3
        screen = await look(pilot)
        assert "⏸ 1 in flight for 18 s, 1 held" in screen
        assert "held at 1 KiB of 4 KiB, for 3 s" in screen
        going.held_since = None
        end(log, going, after=16.0, ended=Ended.DISCONNECTED)
        screen = await look(pilot)
        assert "✗ ended after 17.0 s, 1 failed" in screen
        assert "failed: 200, disconnected" in screen
        for blob in (B, C):
            last = of_app(log, f"blobs/{blob}", at=78.0)
            answer(log, last, size=10)
            end(log, last)
        screen = await look(pilot)
        assert "✓ ended after 18.0 s" in screen
        assert "Blobs     4 of 4" in screen
        assert "Missing blobs" not in screen


async def test_on_a_wide_screen_the_detail_is_always_visible() -> None:
    log = TrafficLog()
    half_a_pull(log)
    async with shown(log, size=WIDE) as (_, pilot):
        await look(pilot)
        assert "Missing blobs" not in text(pilot.app)
        assert "Missing blobs" in await look(pilot, "g")
        screen = await look(pilot, "j")
        assert "Missing blobs" not in screen
        assert "GET /v2/library/app/manifests/1.2" in screen


async def test_the_detail_stays_on_its_pull_when_the_list_is_rebuilt() -> None:
    log = TrafficLog()
    half_a_pull(log)
    async with shown(log, size=TALL) as (_, pilot):
        await look(pilot)
        await look(pilot, "g", "enter", "f")
        assert "5 requests" in await look(pilot)
        of_app(log, f"blobs/{C}", at=62.0)
        assert "6 requests" in await look(pilot)


async def test_uploads_in_flight_of_a_push_are_listed() -> None:
    log = TrafficLog()
    for method, what in (("HEAD", f"blobs/{A}"), ("POST", "blobs/uploads/")):
        done = of_app(log, what, method)
        answer(log, done, 404 if method == "HEAD" else 202)
        end(log, done)
    sent = of_app(log, SESSION, "PATCH")
    sent.request_headers += (("content-length", "4096"),)
    sent.request_bytes = 1024
    async with shown(log, size=TALL) as (_, pilot):
        await look(pilot)
        screen = await look(pilot, "g", "enter")
        assert "PUSH library/app" in screen
        assert "▸ 1 in flight for" in screen
        assert "in flight, 1 KiB of 4 KiB" in screen
        assert "upload    POST 202, PATCH …" in screen
        put = of_app(log, "manifests/1.0", "PUT")
        answer(log, put, 201)
        end(log, put)
        log.bodies.keep(put, Kept(request=manifest_body()))
        screen = await look(pilot)
        assert "PUT 201" in screen
        assert " of 4\n" in screen
        assert "not requested" not in screen, "of a push nobody knows what is to come"


async def test_trimmed_exchanges_are_still_counted() -> None:
    log = TrafficLog(capacity=5)
    half_a_pull(log)
    async with shown(log, size=TALL) as (_, pilot):
        await look(pilot)
        await look(pilot, "g", "enter")
        passed(log, "/v2/")
        passed(log, "/v2/")
        assert "5 requests, 2 of them no longer in the log" in await look(pilot)
        for _ in range(5):
            passed(log, "/v2/")
        assert "Its exchanges are no longer in the log" in await look(pilot)


async def test_keys_of_exchanges_are_disabled_there() -> None:
    log = TrafficLog()
    half_a_pull(log)
    async with shown(log, size=TALL) as (_, pilot):
        await look(pilot)
        assert "enter Open" in await look(pilot, "g")
        screen = await look(pilot, "enter")
        assert "esc Back" in screen
        assert "Pane" not in screen
        assert "Export" not in screen
        assert "Summary" not in await look(pilot, "escape")


async def test_input_of_clients_is_escaped() -> None:
    log = TrafficLog()
    for what in ("manifests/1", f"blobs/{A}"):
        sent = exchange(log, f"/v2/library/app/{what}", at=60.0, agent="[bold]\x1b[31m/1")
        answer(log, sent, size=1)
        end(log, sent, fault="[red]\x1bx")
    async with shown(log, size=TALL) as (_, pilot):
        await look(pilot)
        screen = await look(pilot, "g", "enter")
        assert "Client    [bold]\\x1b[31m/1, 127.0.0.1" in screen
        assert "Faults    [red]\\x1bx ×2" in screen
