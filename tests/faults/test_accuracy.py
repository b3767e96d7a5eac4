"""Timing faults are not too fast under load; `python -m bench accuracy` measures how accurate they are."""

from __future__ import annotations

import statistics

import pytest

from bench import accuracy
from tests.server import Brokenreg

pytestmark = pytest.mark.slow


def test_delays_and_rates_beside_other_requests(registry: Brokenreg) -> None:
    measured = accuracy.measure(registry.host, rounds=1)
    assert measured.passed > 0
    assert statistics.median(measured.delays) > -0.005
    for rate, errors in measured.rates.items():
        assert all(error < 0.05 for error in errors), rate
