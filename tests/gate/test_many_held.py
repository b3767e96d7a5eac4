"""1,000 responses are held at the same time; `python -m bench held` measures 10,000."""

from __future__ import annotations

import pytest

from bench import held
from tests.process import BrokenregProcess

pytestmark = pytest.mark.slow


def test_a_thousand_are_held_and_let_go(own_process: BrokenregProcess) -> None:
    control = own_process.control.partition("://")[2]
    holding = held.measure(own_process.host, control, own_process.process.pid, 1000)
    assert holding.whole == 1000
    assert holding.memory < 64 * 1024
    assert holding.release < 10
    assert holding.slower < 5
    assert own_process.stop() == 0
