"""A book that adopts the state of another has the same rules, and evaluates exchanges in the same way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from brokenreg.oci.target import parse_target
from brokenreg.rules.book_state import BookState
from brokenreg.rules.rule import FieldError, rule_of
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.scenario import SourcedScenario, scenario_of
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import ExchangeEvent

Change = Callable[[RuleBooks], object]
SPACE = "ci"

names = st.sampled_from(["first", "second", "third"])
rules = st.fixed_dictionaries(
    {"fault": st.sampled_from(["error", {"type": "error", "status": 503}, ["latency", "error"], "reset"])},
    optional={
        "name": names,
        "match": st.sampled_from(
            [{"attempt": 2}, {"repository": "app"}, {"endpoint": "any", "method": "GET"}]
        ),
        "skip": st.integers(0, 2),
        "times": st.integers(1, 2),
        "probability": st.sampled_from([0.3, 1.0]),
        "per": st.sampled_from(["rule", "repository", "client"]),
        "enabled": st.booleans(),
        "override": st.booleans(),
        "optional": st.booleans(),
        "after": names,
    },
)
scenarios = st.fixed_dictionaries(
    {"rules": st.lists(rules, max_size=3)},
    optional={
        "name": names,
        "seed": st.integers(0, 3),
        "expect": st.lists(st.sampled_from([{"filter": "status:2xx", "count": 1}, {"leaks": 0}]), max_size=2),
        "requests": st.just("none"),
        "registry": st.just({"auth": "basic"}),
        "client": st.just({"exit": 0}),
    },
)


def added(document: dict[str, Any]) -> Change:
    return lambda books: books.book(SPACE).add(rule_of(document), "test")


def replaced(place: int, document: dict[str, Any]) -> Change:
    return lambda books: books.book(SPACE).replace(at(books, place), rule_of(document), "other")


def removed(place: int) -> Change:
    return lambda books: books.book(SPACE).remove(at(books, place))


def enabled(place: int, is_on: bool) -> Change:
    return lambda books: books.book(SPACE).set_enabled(at(books, place), enabled=is_on)


def moved(place: int, by: int) -> Change:
    return lambda books: books.book(SPACE).move(at(books, place), by)


def cleared() -> Change:
    return lambda books: books.book(SPACE).clear()


def loaded(document: dict[str, Any], replaces: bool) -> Change:
    def load(books: RuleBooks) -> None:
        scenario, book = scenario_of(document), books.book(SPACE)
        sourced = SourcedScenario(scenario, tuple(f"file:{n}" for n in range(len(scenario.rules))))
        if replaces:
            book.replace_all(sourced, book.prepare(sourced))
        else:
            book.load(sourced)

    return load


def reset() -> Change:
    return lambda books: books.reset(SPACE)


def switched() -> Change:
    return RuleBooks.switch_all


def at(books: RuleBooks, place: int) -> int:
    """The id of the rule at a place, or of none."""
    ids = [active.id for active in books.book(SPACE)]
    return ids[place % len(ids)] if ids else 999


places = st.integers(0, 5)
changes = st.one_of(
    st.builds(added, rules),
    st.builds(added, rules),
    st.builds(replaced, places, rules),
    st.builds(removed, places),
    st.builds(enabled, places, st.booleans()),
    st.builds(moved, places, st.integers(-3, 3)),
    st.builds(cleared),
    st.builds(loaded, scenarios, st.booleans()),
    st.builds(reset),
    st.builds(switched),
)
exchanges = st.tuples(
    st.sampled_from(["GET", "HEAD"]),
    st.sampled_from(["/v2/app/manifests/v1", "/v2/other/manifests/v2", "/v2/app/blobs/uploads/"]),
    st.sampled_from(["1.1.1.1:1", "2.2.2.2:2"]),
)
steps = st.tuples(st.booleans(), st.lists(changes, max_size=3), st.lists(exchanges, max_size=3))


def sent(source: RuleBooks, to: RuleBooks) -> None:
    """What the database does: the state travels as text."""
    text = json.dumps(source.state(SPACE).document())
    to.adopt(SPACE, BookState.of(json.loads(text)))


def listed(books: RuleBooks) -> list[object]:
    """Everything that users see of a book."""
    book: RuleBook = books.book(SPACE)
    actives = [
        (each.id, each.source, each.since, each.is_required, each.rule, each.matched, each.applied)
        for each in book
    ]
    off = [(name, active.id) for name, active in books.switched_off]
    return [actives, book.scenario(), book.verdicts(), off, books.has_armed]


def evaluated(books: RuleBooks, exchange: tuple[str, str, str]) -> list[object]:
    """What happens to an exchange, which is counted."""
    method, path, client = exchange
    target = parse_target(path.replace("/v2/", f"/v2/broken/in/{SPACE}/"))
    seen = Exchange(1, method, path, "", "1.1", "http", client, target)
    hits = books.evaluate(seen, ())
    seen.status = 200
    books.observe(ExchangeEvent.ENDED, seen)
    outcomes = [
        (each.rule.id, each.rule.label, each.kind, each.matched, each.applied) for each in seen.rule_outcomes
    ]
    return [outcomes, [(hit.active.id, hit.draw, hit.faults) for hit in hits]]


@settings(max_examples=300)
@given(st.lists(steps, max_size=6))
def test_two_replicas_have_the_same_rules_whoever_changes_them(
    history: list[tuple[bool, list[Change], list[tuple[str, str, str]]]],
) -> None:
    """Any changes at either replica, and any exchanges at both in between."""
    here, there = RuleBooks(7, lambda _: ()), RuleBooks(7, lambda _: ())
    sent(here, there)
    for is_here, made, requests in history:
        changed, other = (here, there) if is_here else (there, here)
        for change in made:
            try:
                change(changed)
            except FieldError:  # `after` names no rule
                continue
        sent(changed, other)
        assert listed(here) == listed(there)
        for request in requests:
            assert evaluated(here, request) == evaluated(there, request)
        assert listed(here) == listed(there)


def test_ids_are_not_given_again_at_another_replica() -> None:
    here, there = RuleBooks(7, lambda _: ()), RuleBooks(7, lambda _: ())
    document = {"fault": "error"}
    for _ in range(3):
        added(document)(here)
    here.book(SPACE).remove(3)
    sent(here, there)
    assert there.book(SPACE).add(rule_of(document), "test").id == 4


def test_a_change_can_be_undone_although_another_replica_made_a_change_since() -> None:
    here, there = RuleBooks(7, lambda _: ()), RuleBooks(7, lambda _: ())
    added({"name": "first", "fault": "error"})(here)
    before = here.snapshot([SPACE])
    added({"name": "second", "fault": "error"})(here)
    after = here.snapshot([SPACE])
    sent(here, there)
    added({"name": "third", "fault": "error"})(there)
    sent(there, here)
    here.restore(before, after)
    sent(here, there)
    assert [active.label for active in there.book(SPACE)] == ["first", "third"]


def test_a_state_with_a_thousand_rules_is_adopted_quickly(
    record_property: Callable[[str, object], None],
) -> None:
    """Only reading the document takes long, which a thread does; the event loop is blocked by the rest."""
    import time

    here, there = RuleBooks(7, lambda _: ()), RuleBooks(7, lambda _: ())
    for number in range(1000):
        added({"fault": {"type": "error", "status": 503}, "match": {"repository": f"app-{number}"}})(here)
    began = time.perf_counter()
    document = here.state(SPACE)
    stated = time.perf_counter()
    text = json.dumps(document.document())
    written = time.perf_counter()
    state = BookState.of(json.loads(text))
    read = time.perf_counter()
    there.adopt(SPACE, state)
    first = time.perf_counter()
    there.adopt(SPACE, state)
    again = time.perf_counter()
    record_property(
        "reported",
        f"a book of 1000 rules: state {stated - began:.4f} s, to JSON {written - stated:.4f} s, from JSON "
        f"{read - written:.4f} s, adopted {first - read:.4f} s, adopted again {again - first:.4f} s",
    )
    assert len(there.book(SPACE)) == 1000


def test_attempts_start_again_where_they_do_at_the_other_replica() -> None:
    here, there = RuleBooks(7, lambda _: ()), RuleBooks(7, lambda _: ())
    request = ("GET", "/v2/app/manifests/v1", "1.1.1.1:1")
    second_time = added({"fault": {"type": "error", "status": 503}, "match": {"attempt": 2}})
    second_time(here)
    sent(here, there)
    assert evaluated(here, request) == evaluated(there, request)
    cleared()(here)
    second_time(here)
    sent(here, there)
    for expected in (0, 1, 0):
        assert len(evaluated(here, request)[1]) == expected  # type: ignore[arg-type]
        assert len(evaluated(there, request)[1]) == expected  # type: ignore[arg-type]
