"""The detail of one exchange, whose content cannot damage the screen."""

from __future__ import annotations

import unicodedata

import pytest
from exchanges import NOW, answer, end, exchange, passed, small_pull
from rich.cells import cell_len
from screen import Clock, line_at_cursor, lines, look, shown, text

from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.text import fit, fit_end, visible
from brokenreg.tui.traffic.detail.view import Detail
from brokenreg.tui.traffic.table import TrafficTable

TALL = (80, 60)
WIDE = (140, 50)


async def test_the_detail_shows_the_exchange_in_full() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=TALL) as (panel, pilot):
        await look(pilot)
        panel.query_one(TrafficTable).action_move(-5)
        assert "Request headers" not in text(panel)
        screen = await look(pilot, "enter")
        assert "GET /v2/tools/edge/manifests/nightly" in screen
        assert "✗ 404 Not Found, complete after 1.3 ms" in screen
        assert "user-agent: skopeo/1.16.1" in screen
        assert "content-length: 122" in screen
        assert "Client    10.0.2.7:51122" in screen
        assert "Started   2026-01-01 12:00:09.500" in screen
        assert "Response  122 B" in screen
        assert "1.3 ms  end" in await look(pilot, "l", "l")
        screen = await look(pilot, "escape")
        assert "Request headers" not in screen
        assert "tools/edge" in line_at_cursor(panel)


async def test_the_detail_names_the_fault_and_the_end() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=TALL) as (panel, pilot):
        await look(pilot)
        panel.query_one(TrafficTable).action_move(-4)
        screen = await look(pilot, "enter")
        assert "Fault     timeout\n" in screen
        assert "✗ no response, disconnected after 30.0 s" in screen
        assert "Response headers" not in screen


async def test_the_detail_follows_an_exchange_in_flight() -> None:
    log, clock = TrafficLog(), Clock()
    async with shown(log, clock, size=TALL) as (_, pilot):
        pull = exchange(log, "/v2/library/app/manifests/1.2", at=74.5)
        await look(pilot)
        assert "▸ no response yet, in flight for 500 ms" in await look(pilot, "enter")
        answer(log, pull, size=2048, of=8192)
        clock.now = NOW + 0.25
        screen = await look(pilot)
        assert "▸ 200 OK, in flight for 750 ms" in screen
        assert "Response  2 KiB of 8 KiB" in screen
        assert "2.0 ms  headers" in await look(pilot, "right", "right")
        end(log, pull, after=0.9)
        assert "✓ 200 OK, complete after 900 ms" in await look(pilot)


async def test_the_cursor_stays_while_the_detail_is_read() -> None:
    log = TrafficLog()
    passed(log, "/v2/library/app/manifests/read")
    async with shown(log, size=TALL) as (panel, pilot):
        await look(pilot)
        await look(pilot, "enter")
        passed(log, "/v2/library/app/manifests/newer")
        assert "GET /v2/library/app/manifests/read" in await look(pilot)
        assert "○ 1 newer" in text(panel)
        await look(pilot, "escape")
        assert "manifests/read" in line_at_cursor(panel)


async def test_an_open_detail_stays_after_trimming() -> None:
    log = TrafficLog(capacity=5)
    passed(log, "/v2/library/app/manifests/read")
    async with shown(log, size=TALL) as (panel, pilot):
        await look(pilot)
        await look(pilot, "enter")
        for number in range(9):
            passed(log, f"/v2/library/app/manifests/n{number}")
        assert "GET /v2/library/app/manifests/read" in await look(pilot)
        assert "manifests/read " not in text(panel).partition("Exchange")[0].partition("GET /v2")[0]
        await look(pilot, "escape")
        assert "manifests/n4" in line_at_cursor(panel)


async def test_a_small_terminal_scrolls_the_detail() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=(80, 24)) as (panel, pilot):
        await look(pilot, "g", "j", "j")
        screen = await look(pilot, "enter")
        assert "HEAD /v2/library/app/manifests/1.2" in screen
        assert "content-length" not in screen
        assert "content-length: 1153" in await look(pilot, "G")
        assert "HEAD manifests/1.2" in text(panel), "the table stays in sight"
        assert "HEAD /v2/library/app/manifests/1.2" in await look(pilot, "g")
        assert panel.query_one(Detail).scroll_offset.y == 0


async def test_at_120_columns_the_detail_is_at_the_right() -> None:
    log = TrafficLog()
    async with shown(log, size=WIDE) as (panel, pilot):
        assert "Request headers" not in await look(pilot)
        small_pull(log)
        assert "Request headers" in await look(pilot)
        await look(pilot, "g")
        assert "Headers │ Body │ Timeline │ Why" in lines(panel)[2]
        assert "GET /v2/" in lines(panel)[3]
        await look(pilot, "j", "j")
        assert "HEAD /v2/library/app/manifests/1.2" in lines(panel)[3]


async def test_disabled_keys_are_not_offered() -> None:
    log = TrafficLog()
    small_pull(log)
    async with shown(log, size=(80, 24)) as (panel, pilot):
        await look(pilot)
        footer = lines(panel)[-1]
        assert "esc" not in footer
        assert "enter Open" in footer
        await look(pilot, "enter")
        footer = lines(panel)[-1]
        assert "esc Back" in footer
        assert "Open" not in footer


HOSTILE = (
    "[bold]x[/] [@click=app.quit]y[/] \x1b[2J\x1b]0;owned\x07 \x9b31m \r\n\t \u202eabc\u0301\u200b \ud800"
)


@pytest.mark.parametrize("size", [TALL, WIDE])
async def test_input_of_clients_is_shown_and_never_interpreted(size: tuple[int, int]) -> None:
    log = TrafficLog()
    path = f"/v2/[bold]evil[/]/{HOSTILE}"
    nasty = exchange(
        log,
        path,
        method="GET\x1b[31m",
        agent=f"[red]\x1b]52;c;AAAA\x07/1 {HOSTILE}",
        headers=(("x-[/bold]", HOSTILE), ("x-ok", "[/]")),
        query=HOSTILE,
    )
    nasty.faults = (f"odd{HOSTILE}",)
    answer(log, nasty, 200, kind=HOSTILE)
    end(log, nasty, fault=nasty.faults[0])
    async with shown(log, size=size) as (panel, pilot):
        await look(pilot)
        await look(pilot, "enter")
        screen = text(panel)
        for character in screen.replace("\n", ""):
            assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Mn"), repr(character)
        joined = "".join(line.strip() for line in lines(panel))
        assert "[bold]x[/]" in joined
        assert "x-[/bold]: [bold]x" in screen
        assert "x-ok: [/]" in screen
        assert "\\x1b[2J" in joined
        assert panel.is_running


def test_visible_does_not_change_plain_text() -> None:
    assert visible("library/app:1.2 – grün") == "library/app:1.2 – grün"
    assert visible("a\x00b\x7f") == "a\\x00b\\x7f"
    assert visible("") == ""


@pytest.mark.parametrize("text", ["", "abc", "abcdefgh", "漢字漢字漢字"])
@pytest.mark.parametrize("width", [0, 1, 2, 5, 9])
def test_fitted_text_has_its_width(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit_end(text, width)) <= width
