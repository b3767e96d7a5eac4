"""Counter keys and namespaces, which clients choose, take a bounded amount of memory."""

from __future__ import annotations

import pytest

from brokenreg.oci.target import Endpoint, Target
from brokenreg.rules import rule_books
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.counters import MAX_KEY, Attempts, shorten
from brokenreg.rules.rule import FieldError, Rule
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.exchange import Exchange

RULE = Rule.model_validate({"fault": "error", "per": "client", "times": 1})


def exchange(agent: str = "", namespace: str = "") -> Exchange:
    target = Target(Endpoint.MANIFEST, namespace=namespace, repository="app", reference="v1")
    headers = (("user-agent", agent),)
    return Exchange(1, "GET", "", "", "1.1", "http", "c:1", target, request_headers=headers)


def test_long_texts_are_kept_as_their_beginning_and_a_digest() -> None:
    text = "x" * 60_000
    keys = [shorten(text), shorten(text + "y"), shorten("short")]
    assert keys[0] == shorten(text)
    assert keys[2] == "short"
    assert len(set(keys)) == 3
    for key in keys:
        assert len(key) <= MAX_KEY


def test_clients_with_long_names_are_counted_apart() -> None:
    books = RuleBooks(0, lambda _: ())
    active: ActiveRule = books.book("").add(RULE, "test")
    agent = "agent" * 10_000
    assert len(books.evaluate(exchange(agent + "1"), ())) == 1
    assert len(books.evaluate(exchange(agent + "2"), ())) == 1
    assert books.evaluate(exchange(agent + "1"), ()) == []
    assert active.applied == 2
    assert all(len(key) <= MAX_KEY for key in active._counts)


def test_attempts_of_long_methods_are_counted() -> None:
    attempts = Attempts()
    asked = exchange()
    asked.method = "M" * 60_000
    assert [attempts.count(asked), attempts.count(asked)] == [1, 2]
    attempts.forget("")
    assert attempts.count(asked) == 1


def test_namespaces_that_are_looked_at_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_books, "MAX_NAMESPACES", 5)
    books = RuleBooks(7, lambda _: ())
    books.book("kept").add(RULE, "test")
    books.book("seeded").seed = 9
    for number in range(100):
        assert not list(books.book(f"looked-at-{number}"))
    assert len(books.namespaces()) <= 5
    assert len(books.book("kept")) == 1
    assert books.book("seeded").seed == 9


def test_too_many_namespaces_with_rules_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_books, "MAX_NAMESPACES", 3)
    books = RuleBooks(7, lambda _: ())
    for number in range(3):
        books.book(f"n{number}").add(RULE, "test")
    with pytest.raises(FieldError, match="3 namespaces have rules, which is the limit: run"):
        books.book("one more")
    books.reset("n1")
    books.book("one more").add(RULE, "test")
    assert len(books) == 3
