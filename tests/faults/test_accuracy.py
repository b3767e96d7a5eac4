"""How exact faults of time are beside other traffic, loosely; `python -m bench accuracy` tells it tightly."""

from __future__ import annotations

import statistics

from bench import accuracy
from tests.server import Brokenreg


def test_delays_and_rates_beside_other_requests(registry: Brokenreg) -> None:
    measured = accuracy.measure(registry.host, rounds=1)
    assert measured.passed > 0.5 * accuracy.REQUESTS_A_SECOND
    assert -0.005 < statistics.median(measured.delays) < 0.1
    for rate, errors in measured.rates.items():
        assert all(-0.25 < error < 0.05 for error in errors), rate
