"""The live table: rows are added, changed and removed, and the cursor stays on its exchange."""

from __future__ import annotations

import pytest
from exchanges import NOW, answer, digest, end, exchange, passed, small_pull
from screen import Clock, line_at_cursor, line_with, lines, look, shown, text

from brokenreg.listening.connection_events import (
    TLSHandshakeCompleted,
    TLSHandshakeFailed,
    TLSHelloOnPlainPort,
)
from brokenreg.oci.target import Endpoint, Target
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import ExchangeEnded
from brokenreg.tui.traffic import cells
from brokenreg.tui.traffic.table import TrafficTable
from tests.hang_guard import hang_guard

SIZE = (80, 24)


async def test_an_empty_log_says_how_to_point_a_client_here() -> None:
    async with shown(TrafficLog(), size=SIZE) as (panel, pilot):
        screen = await look(pilot)
        assert "docker pull 127.0.0.1:8080/broken/random:layers-3_size-1024" in screen
        assert "brokenreg :8080  ● LIVE  0 req/s  ▁▁▁▁▁▁▁▁  0 in flight  0 exchanges" in screen
        await look(pilot, "j", "k", "g", "G", "enter", "pagedown")
        assert "docker pull" in text(panel)


def test_a_duration_is_rounded_as_in_files() -> None:
    """A file has microseconds; rounded twice, 119.4999996 ms would be 120 ms there."""
    for live in (0.1194999996, 0.0029499996):
        assert cells.duration_word(live) == cells.duration_word(round(live, 6))


async def test_an_exchange_appears_in_flight_and_ends() -> None:
    log, clock = TrafficLog(), Clock()
    async with shown(log, clock, size=SIZE) as (panel, pilot):
        pull = exchange(log, "/v2/library/app/manifests/1.2", at=74.5)
        screen = await look(pilot)
        assert "docker pull" not in screen
        assert "1 in flight  1 exchange" in screen
        assert " ".join(line_at_cursor(panel).split()) == (
            "▌▸ 12:01:14 docker/27 GET library/app manifests/1.2 … 0B 500"
        )
        clock.now = NOW + 2.5
        await look(pilot)
        assert line_at_cursor(panel).endswith(" 3000")
        answer(log, pull, 200, size=1153)
        await look(pilot)
        assert " 200 " in line_at_cursor(panel)
        assert "▸" in line_at_cursor(panel)
        end(log, pull, after=3.25)
        screen = await look(pilot)
        assert "0 in flight  1 exchange" in screen
        assert " ".join(line_at_cursor(panel).split()) == (
            "▌✓ 12:01:14 docker/27 GET library/app manifests/1.2 200 1.1K 3250"
        )


async def test_rows_show_outcomes() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        assert line_with(panel, "tools/edge").startswith(" ✗ ")
        assert "404" in line_with(panel, "tools/edge")
        assert "timeout · closed" in line_with(panel, "dur-30s")
        assert "disconnected 200" in line_with(panel, "curl/8")
        assert line_with(panel, "HEAD manifests/1.2").startswith(" ✓ ")
        assert f"GET blobs/{digest('77ab03')[:24]}… 200" in line_with(panel, "77ab03"), (
            "as long as there is room"
        )
        assert "10.0.2.4" in line_with(panel, "/v2/_catalog")
        assert all(len(line) <= 80 for line in lines(panel))


async def test_a_connection_without_a_request_is_shown() -> None:
    log = TrafficLog()
    probe = Exchange(
        log.next_id(), "", "", "", "", "", "10.0.0.1:5", Target(Endpoint.CONNECT), ended=Ended.DISCONNECTED
    )
    probe.add(ExchangeEnded())
    log.opened(probe)
    log.closed(probe)
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        assert "10.0.0.1   no request" in line_at_cursor(panel)
        assert "disconnected" in line_at_cursor(panel)
        assert "A connection without a request" in await look(pilot, "enter")


def test_the_reason_why_a_connection_has_no_request() -> None:
    garbage = Exchange(1, "", "", "", "", "", "10.0.0.1:5", Target(Endpoint.CONNECT), status=400)
    assert cells.no_request(garbage) == "no request: not HTTP"
    assert garbage.summary()["protocol"] == "", "it is known only with a request"
    garbage.add(TLSHelloOnPlainPort())
    assert cells.no_request(garbage) == "no request: TLS on plain port"
    on_tls = Exchange(1, "", "", "", "", "", "c:1", Target(Endpoint.CONNECT), ended=Ended.DISCONNECTED)
    assert cells.no_request(on_tls) == "no request: idle"
    on_tls.add(TLSHandshakeCompleted("TLSv1.3"))
    assert cells.no_request(on_tls) == "no request: TLS handshake only"
    on_tls.add(TLSHandshakeFailed("unknown ca", by_client=True))
    assert cells.no_request(on_tls) == "no request: TLS handshake failed"


async def test_the_cursor_keeps_its_exchange_when_old_ones_are_trimmed() -> None:
    log = TrafficLog(capacity=50)
    for number in range(50):
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        panel.query_one(TrafficTable).action_move(-10)
        await look(pilot)
        assert "manifests/n39" in line_at_cursor(panel)
        row = lines(panel).index(line_at_cursor(panel))
        for number in range(50, 75):
            passed(log, f"/v2/library/app/manifests/n{number}")
            if number % 12 == 0:
                await look(pilot)
                assert "manifests/n39" in line_at_cursor(panel)
        await look(pilot)
        assert "manifests/n39" in line_at_cursor(panel)
        assert "35 newer" in text(panel)
        assert lines(panel).index(line_at_cursor(panel)) <= row
        for number in range(75, 100):
            passed(log, f"/v2/library/app/manifests/n{number}")
        await look(pilot)
        assert "manifests/n50" in line_at_cursor(panel), "what is gone leaves the cursor to the oldest"


async def test_visible_rows_do_not_move_while_others_arrive() -> None:
    log = TrafficLog(capacity=200)
    for number in range(200):
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await look(pilot, "pageup", "pageup")
        before = [line[:79].rstrip() for line in lines(panel)[3:-1]]
        for number in range(200, 260):
            passed(log, f"/v2/library/app/manifests/n{number}")
        await look(pilot)
        assert [line[:79].rstrip() for line in lines(panel)[3:-1]] == before


async def test_follow_works_only_at_the_end() -> None:
    log = TrafficLog()
    for number in range(40):
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        assert "manifests/n39" in line_at_cursor(panel)
        passed(log, "/v2/library/app/manifests/n40")
        await look(pilot)
        assert "manifests/n40" in line_at_cursor(panel)
        await look(pilot, "k")
        passed(log, "/v2/library/app/manifests/n41")
        await look(pilot)
        assert "manifests/n39" in line_at_cursor(panel)
        assert "○ 2 newer" in text(panel)
        await look(pilot, "G")
        assert "● LIVE" in text(panel)
        passed(log, "/v2/library/app/manifests/n42")
        await look(pilot)
        assert "manifests/n42" in line_at_cursor(panel)


async def test_follow_can_be_turned_off_and_on() -> None:
    log = TrafficLog()
    for number in range(30):
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        assert "○ not following" in await look(pilot, "F")
        passed(log, "/v2/library/app/manifests/n30")
        await look(pilot)
        assert "manifests/n29" in line_at_cursor(panel)
        assert "● LIVE" in await look(pilot, "F")
        assert "manifests/n30" in line_at_cursor(panel)


async def test_scrolling_with_the_wheel_stops_following() -> None:
    log = TrafficLog()
    for number in range(60):
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        table = panel.query_one(TrafficTable)
        table.scroll_to(y=5, animate=False)
        passed(log, "/v2/library/app/manifests/n60")
        screen = await look(pilot)
        assert "manifests/n5 " in screen
        assert "manifests/n60" not in screen


async def test_keys_move_the_cursor() -> None:
    log = TrafficLog()
    for number in range(100):
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        for keys, expected in (
            ("g k", "n0 "),
            ("j down", "n2 "),
            ("home pagedown", "n19 "),
            ("end up", "n98 "),
            ("G j", "n99 "),
            ("pageup", "n80 "),
        ):
            await look(pilot, *keys.split())
            assert f"manifests/{expected}" in line_at_cursor(panel)


async def test_a_click_moves_the_cursor() -> None:
    log = TrafficLog()
    for number in range(10):
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        await pilot.click(TrafficTable, offset=(20, 4))
        await look(pilot)
        assert "manifests/n3 " in line_at_cursor(panel)


async def test_the_end_stays_visible_after_a_resize() -> None:
    log = TrafficLog()
    for number in range(100):
        passed(log, f"/v2/library/app/manifests/n{number}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        for size in ((80, 10), (140, 40), (75, 12)):
            await pilot.resize_terminal(*size)
            passed(log, f"/v2/app/manifests/at{size[1]}")
            await look(pilot)
            assert f"app manifests/at{size[1]} " in line_at_cursor(panel)
            assert "● LIVE" in text(panel)


@pytest.mark.slow
async def test_many_rows_and_a_thousand_more_each_second_are_fast() -> None:
    log = TrafficLog()
    for number in range(10_000):
        passed(log, f"/v2/library/app/blobs/{digest(f'{number:06x}')}")
    async with shown(log, size=SIZE) as (panel, pilot):
        await look(pilot)
        with hang_guard():
            for _ in range(10):
                for number in range(100):
                    passed(log, f"/v2/library/app/blobs/{digest(f'{number:06x}')}")
                await look(pilot)
            await look(pilot, "g")
            await look(pilot, "G")
        assert "11000 exchanges" in text(panel)
        assert log.first == 1000


LONG = "team/department/project/service/component"


@pytest.mark.parametrize("keys", [(), ("enter",)])
async def test_wide_lists_show_names_clients_and_digests_as_long_as_there_is_room(
    keys: tuple[str, ...],
) -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=(160, 45)) as (_, pilot):
        screen = await look(pilot, *keys)
        assert " skopeo/1.16.1 " in screen
        assert " docker/27.3.1 " in screen
        assert f"GET blobs/{digest('77ab03')[:24]}" in screen
        passed(log, f"/v2/{LONG}/manifests/v1.2.3", at=80)
        passed(log, f"/v2/{LONG}/blobs/{digest('c0ffee')}", at=80)
        await look(pilot, *keys)
        screen = await look(pilot)  # the columns fit from the second time on that the rows are painted
        assert f"PULL {LONG}:v1.2.3 " in screen, "the waterfall is shorter instead"
        assert "Waterfall" in screen


@pytest.mark.parametrize("width", [100, 119, 120, 160, 200])
async def test_the_waterfall_is_shown_from_100_columns_on_with_the_detail_open_too(width: int) -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=(width, 30)) as (panel, pilot):
        assert "Waterfall" in await look(pilot)
        screen = await look(pilot, "g", "j", "j", "j", "enter")
        assert "Waterfall" in screen
        assert "▏" in line_with(panel, "GET manifests/")
        assert " Headers │" in screen
    async with shown(log, size=(99, 30)) as (panel, pilot):
        assert "Waterfall" not in await look(pilot)
