"""What clients choose takes bounded memory: keys of what is counted apart, and namespaces."""

from __future__ import annotations

import pytest

from brokenreg.oci.target import Endpoint, Target
from brokenreg.rules import rule_book as rulebook
from brokenreg.rules.active_rule import ActiveRule, Attempts
from brokenreg.rules.rule import FieldError, Rule
from brokenreg.rules.rule_book import RuleBooks
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.memory import LONGEST, Memory

RULE = Rule.model_validate({"fault": "error", "per": "client", "times": 1})


def exchange(agent: str = "", namespace: str = "") -> Exchange:
    target = Target(Endpoint.MANIFEST, namespace=namespace, repository="app", reference="v1")
    headers = (("user-agent", agent),)
    return Exchange(1, "GET", "", "", "1.1", "http", "c:1", target, request_headers=headers)


def test_long_texts_are_kept_as_their_beginning_and_a_digest() -> None:
    memory: Memory[object, int] = Memory(10)
    text = "x" * 60_000
    memory[text] = 1
    memory["a", text] = 2
    memory[text + "y"] = 3
    memory["short"] = 4
    assert [memory.get(key, 0) for key in (text, ("a", text), text + "y", "short", text + "z")] == [
        1,
        2,
        3,
        4,
        0,
    ]
    for key in memory:
        for part in key if isinstance(key, tuple) else (key,):
            assert len(part) <= LONGEST
    del memory["a", text]
    assert len(memory) == 3


def test_clients_with_long_names_are_counted_apart() -> None:
    books = RuleBooks(0, lambda _: ())
    active: ActiveRule = books.book("").add(RULE, "test")
    agent = "agent" * 10_000
    assert len(books.choose(exchange(agent + "1"), ())) == 1
    assert len(books.choose(exchange(agent + "2"), ())) == 1
    assert books.choose(exchange(agent + "1"), ()) == []
    assert active.applied == 2
    assert all(len(key) <= LONGEST for key in active._counts)


def test_attempts_of_long_methods_are_counted() -> None:
    attempts = Attempts()
    asked = exchange()
    asked.method = "M" * 60_000
    assert [attempts.count(asked), attempts.count(asked)] == [1, 2]
    attempts.forget("")
    assert attempts.count(asked) == 1


def test_namespaces_that_are_looked_at_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rulebook, "MAX_NAMESPACES", 5)
    books = RuleBooks(7, lambda _: ())
    books.book("kept").add(RULE, "test")
    books.book("seeded").seed = 9
    for number in range(100):
        assert not list(books.book(f"looked-at-{number}"))
    assert len(books.namespaces()) <= 5
    assert len(books.book("kept")) == 1
    assert books.book("seeded").seed == 9


def test_too_many_namespaces_with_rules_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rulebook, "MAX_NAMESPACES", 3)
    books = RuleBooks(7, lambda _: ())
    for number in range(3):
        books.book(f"n{number}").add(RULE, "test")
    with pytest.raises(FieldError, match="3 namespaces have rules"):
        books.book("one more")
    books.reset("n1")
    books.book("one more").add(RULE, "test")
    assert len(books) == 3
