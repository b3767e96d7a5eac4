"""Counters are bounded, and the least recently used are dropped first."""

from __future__ import annotations

import pytest
from cachetools import LRUCache

from brokenreg.oci.target import parse_target
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.traffic.exchange import Exchange


def test_what_was_read_is_kept() -> None:
    memory: LRUCache[str, int] = LRUCache(3)
    for number, key in enumerate("abc"):
        memory[key] = number
    assert memory.get("a", None) == 0
    assert memory.setdefault("b", 7) == 1
    memory["d"] = 3
    assert sorted(memory) == ["a", "b", "d"]
    assert (memory.get("c", None), sorted(memory.values())) == (None, [0, 1, 3])
    memory.pop("c", None)
    del memory["a"]
    assert (sorted(memory), len(memory)) == (["b", "d"], 2)


def _ask(active: ActiveRule, client: str) -> bool:
    target = parse_target("/v2/a/manifests/v1", "")
    exchange = Exchange(1, "GET", "/v2/a/manifests/v1", "", "1.1", "http", f"{client}:1", target)
    return active.evaluate(exchange, 0, "rule", 1, lambda: ()) is not None


def test_the_count_of_a_busy_client_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counter stays exhausted, regardless of the number of other clients."""
    monkeypatch.setattr("brokenreg.rules.counters.MAX_COUNTERS", 3)
    rule: Rule = rule_of({"fault": {"type": "error"}, "times": 1, "per": "client"})
    active = ActiveRule(rule, 1, "test")
    assert _ask(active, "busy")
    for number in range(9):
        assert _ask(active, f"other-{number}")
        assert not _ask(active, "busy")
    assert _ask(active, "other-0")  # which was quiet, and is forgotten
