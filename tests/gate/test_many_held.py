"""A thousand responses held at once; `python -m bench held` measures ten thousand."""

from __future__ import annotations

from bench import held
from tests.process import Brokenreg


def test_a_thousand_are_held_and_let_go(own_registry: Brokenreg) -> None:
    control = own_registry.control.partition("://")[2]
    holding = held.measure(own_registry.host, control, own_registry.process.pid, 1000)
    assert holding.whole == 1000
    assert holding.memory < 64 * 1024
    assert holding.release < 10
    assert holding.slower < 5
    assert own_registry.stop() == 0
