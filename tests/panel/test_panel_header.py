"""The header shows what is held and which rules are active."""

from __future__ import annotations

from exchanges import NOON, NOW, passed
from running import registry
from screen import Clock, lines, look, shown

from brokenreg.rules.rule import rule_of
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.header import SECONDS, RequestRate, sparkline


async def test_the_header_shows_a_rule_until_it_is_applied() -> None:
    async with registry(TrafficLog()) as runtime:
        book = runtime.rules.book("")
        panel = Panel(runtime, clock=Clock())
        async with panel.run_test(size=(80, 24)) as pilot:
            assert "armed" not in (await look(pilot))
            once = book.add(rule_of({"fault": {"type": "error", "status": 503}, "times": 1}), "panel")
            await look(pilot)
            assert " FAULT 503×1 armed " in lines(panel)[0]
            once.applied = 1
            assert "armed" not in (await look(pilot))
            book.add(rule_of({"fault": {"type": "truncate", "after": "1KiB"}, "override": True}), "panel")
            await look(pilot)
            assert " FAULT truncate armed " in lines(panel)[0]
            runtime.rules.book("ci").add(rule_of({"fault": {"type": "hold"}}), "panel")
            book.add(rule_of({"fault": {"type": "hold"}, "enabled": False}), "panel")
            await look(pilot)
            assert " 2 FAULTS armed " in lines(panel)[0]


async def test_a_narrow_terminal_shows_the_most_important_parts() -> None:
    log = TrafficLog()
    async with registry(log) as runtime:
        runtime.rules.book("").add(rule_of({"fault": {"type": "error", "status": 503}}), "panel")
        panel = Panel(runtime, clock=Clock())
        async with panel.run_test(size=(42, 12)) as pilot:
            await look(pilot)
            assert lines(panel)[0].split() == ["brokenreg", ":8080", "FAULT", "503", "armed"]
            await pilot.resize_terminal(160, 45)
            await look(pilot)
            assert "http://127.0.0.1:8080" in lines(panel)[0]
            assert "● LIVE" in lines(panel)[0]
            assert lines(panel)[0].endswith("0.1.0")


async def test_requests_are_counted_by_the_second() -> None:
    log, clock = TrafficLog(), Clock(NOON + 10.5)
    for second, count in ((7, 2), (8, 4), (9, 3), (10, 9)):
        for _ in range(count):
            passed(log, "/v2/", at=second)
    async with shown(log, clock) as (panel, pilot):
        await look(pilot)
        assert "3 req/s  ▁▁▁▁▁▅█▆" in lines(panel)[0]
        clock.now += 1
        await look(pilot)
        assert "9 req/s" in lines(panel)[0]


def test_trimmed_exchanges_are_not_counted() -> None:
    log = TrafficLog(capacity=10)
    rate = RequestRate(log)
    for _ in range(25):
        passed(log, "/v2/", at=74)
    assert rate.tick(NOW) == [0] * (SECONDS - 1) + [10]
    assert rate.tick(NOW + 60) == [0] * SECONDS
    assert sparkline([0] * SECONDS) == "▁" * SECONDS
