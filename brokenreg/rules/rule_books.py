"""The rule books of all namespaces, and the path rules."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from cachetools import LRUCache

from brokenreg.rules.active_rule import ActiveRule, RuleHit, places_of
from brokenreg.rules.counters import Attempts
from brokenreg.rules.path_rules import PathRule
from brokenreg.rules.rule import FieldError
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.scenario import MAX_RULES, ScenarioError, SourcedScenario
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import ExchangeEvent
from brokenreg.traffic.matching import Positions
from brokenreg.traffic.rule_outcome import EvaluatedRule
from brokenreg.wording import counted

_MAX_PATHS = 4096
"""Maximum number of paths whose rules keep their counters."""

MAX_NAMESPACES = 1000
"""Maximum number of namespaces with rules. Namespaces without rules are not limited."""


class RuleBooks:
    """The rule books of all namespaces, and the path rules.

    `seed` is for books without a seed of their own. `initial` are the scenarios that are loaded without a
    namespace, at the start and after a reset. Raise `ScenarioError` if they have too many rules together.
    """

    def __init__(self, seed: int, positions: Positions, initial: Sequence[SourcedScenario] = ()) -> None:
        if (total := sum(len(sourced.scenario.rules) for sourced in initial)) > MAX_RULES:
            raise ScenarioError(f"{counted(total, 'rule')} in all scenario files: use at most {MAX_RULES}")
        self._seed = seed
        self._initial = initial
        self._positions = positions
        self._ids = count(1)
        self._books: dict[str, RuleBook] = {}
        self._paths: LRUCache[tuple[str, str], ActiveRule] = LRUCache(_MAX_PATHS)
        self._attempts = Attempts()
        self.reset("")

    def book(self, namespace: str) -> RuleBook:
        """Return the book of a namespace, to change it. Do not keep it across an await: a reset replaces it.

        Raise `FieldError` if too many other namespaces have rules.
        """
        book = self._books.get(namespace)
        if book is None:
            self._make_place()
            book = self._books[namespace] = RuleBook(namespace, self._seed, self._positions, self._ids)
        return book

    def _make_place(self) -> None:
        if len(self._books) < MAX_NAMESPACES:
            return
        self._books = {name: book for name, book in self._books.items() if not book.is_blank}
        if len(self._books) >= MAX_NAMESPACES:
            raise FieldError(
                (),
                f"{MAX_NAMESPACES} namespaces have rules, which is the limit: "
                'run "brokenreg rules clear --namespace NAME" for one that is no longer used',
            )

    def evaluate(self, exchange: Exchange, path_rules: Sequence[PathRule]) -> list[RuleHit]:
        """Return the hits of the path rules, which combine; if there are none, the hit of a rule."""
        hits = self._evaluate_path(exchange, path_rules) if path_rules else []
        book = self._books.get(exchange.target.namespace)
        if hits or book is None:
            return hits
        hit = book.evaluate(exchange)
        return [hit] if hit is not None else []

    def find(self, namespace: str, rule: EvaluatedRule) -> ActiveRule | None:
        """Return the rule of an outcome with its counters; None if it was removed or replaced."""
        book = self._books.get(namespace)
        active = book.get(rule.id) if book is not None and rule.id else None
        active = active or self._paths.get((namespace, rule.source))
        return active if active is not None and active.evaluated is rule else None

    def __len__(self) -> int:
        """Return the number of rules in all namespaces."""
        return sum(map(len, self._books.values()))

    def namespaces(self) -> list[str]:
        """Return the namespaces that have a book."""
        return list(self._books)

    def observe(self, _: ExchangeEvent, exchange: Exchange) -> None:
        """Count an exchange that has ended, for the expectations of its namespace."""
        book = self._books.get(exchange.target.namespace)
        if book is not None:
            book.expectations.observe(exchange)

    def leaked(self, exchange: Exchange, kind: str) -> None:
        """Count a credential that arrived at the second origin, for the expectations of its namespace."""
        book = self._books.get(exchange.target.namespace)
        if book is not None:
            book.expectations.leaked(exchange, kind)

    def reset(self, namespace: str) -> None:
        """Restore the rules that a namespace had at startup, with new counters."""
        if (book := self._books.pop(namespace, None)) is not None:
            book.clear()  # for code that still holds a reference to it
        self._attempts.forget(namespace)
        if not namespace:
            for sourced in self._initial:
                self.book("").load(sourced)
        for key in [key for key in self._paths if key[0] == namespace]:
            del self._paths[key]

    def _evaluate_path(self, exchange: Exchange, path_rules: Sequence[PathRule]) -> list[RuleHit]:
        hits = []
        book = self._books.get(exchange.target.namespace)
        seed = self._seed if book is None else book.seed
        attempt = self._attempts.count(exchange)
        places = places_of(exchange, self._positions)
        for path_rule in path_rules:
            rule = path_rule.rule
            if exchange.target.endpoint not in rule.endpoints() or not rule.applies_to(exchange.method):
                continue
            active = self._path_rule(exchange.target.namespace, path_rule)
            if not active.may_match(exchange):
                continue
            hit = active.evaluate(exchange, seed, path_rule.path, attempt, places)
            if hit is None:
                continue
            hits.append(hit)
            if any(fault.is_final for fault in hit.faults):
                break  # the faults inside it are never reached
        return hits

    def _path_rule(self, namespace: str, path_rule: PathRule) -> ActiveRule:
        """Return the active rule of a path; its counters continue if the path was requested recently."""
        key = namespace, path_rule.path
        active = self._paths.get(key)
        if active is None:
            active = self._paths[key] = ActiveRule(path_rule.rule, 0, path_rule.path)
        return active
