"""An exchange in one line: what was requested, and why it went as it did."""

from __future__ import annotations

from typing import Any

import pytest

from brokenreg.client.exchange_text import cells, line
from tests.exam.reports import exchange

_PATH = "/v2/broken/in/run-1/team/app/manifests/v7"


@pytest.mark.parametrize(
    ("changed", "result"),
    [
        ({}, "67 B, 50 ms"),
        ({"faults": ["error"], "rule": "fails twice"}, "67 B, 50 ms, fault error (fails twice)"),
        ({"faults": ["latency", "truncate"], "rule": "rule 3", "ended": "aborted"},
         "67 B, 50 ms, fault latency+truncate (rule 3), aborted"),
        ({"cache": "miss", "ended": "disconnected"}, "67 B, 50 ms, miss, disconnected"),
        ({"ended": None, "duration": None}, "67 B, in flight"),
        ({"ended": None, "duration": None, "progress": "fabricating layer 2 of 3, 5%"},
         "67 B, fabricating layer 2 of 3, 5%"),
        ({"held": True, "ended": None, "duration": None, "faults": ["hold"], "rule": "stop"},
         "67 B, fault hold (stop), held"),
        ({"faults": ["latency"], "rule": f"broken/with/latency/{'a' * 80}"},
         f"67 B, 50 ms, fault latency (broken/with/latency/{'a' * 40}…)"),
        ({"edited": "status 418"}, "67 B, 50 ms, edited: status 418"),
    ],
)  # fmt: skip
def test_a_line(changed: dict[str, Any], result: str) -> None:
    assert line(exchange(7, **changed)).partition("  200     ")[2] == f"GET {_PATH}  {result}"


def test_the_table_of_the_log_has_no_room_for_rules() -> None:
    assert cells(exchange(7, faults=["error"], rule="fails twice"))[4] == "67 B, 50 ms, fault error"


def test_a_line_is_short_and_safe_for_terminals() -> None:
    shown = line(exchange(7, path=f"/v2/\x1b[31m{'x' * 10_000}", rule="a\x07", faults=["error"]))
    assert len(shown) < 700
    assert "GET /v2/\\x1b[31mxxx" in shown
    assert "x…  67 B" in shown
    assert "(a\\x07)" in shown


def test_a_connection() -> None:
    assert "  -       (connection)  0 B" in line(
        exchange(7, endpoint="connect", path="", status=None, response_bytes=0)
    )
