"""The rule books of all namespaces, and the path rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from brokenreg.rules.active_paths import ActivePaths
from brokenreg.rules.active_rule import ActiveRule, RuleHit, places_of
from brokenreg.rules.book_state import BookState
from brokenreg.rules.path_rules import PathRule
from brokenreg.rules.rule import FieldError
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.rule_ids import RuleIds
from brokenreg.rules.rule_snapshots import RulesSnapshot
from brokenreg.rules.scenario import MAX_RULES, ScenarioError, SourcedScenario
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import ExchangeEvent
from brokenreg.traffic.matching import Positions
from brokenreg.traffic.rule_outcome import EvaluatedRule
from brokenreg.wording import counted

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
        self.positions = positions
        self._ids = RuleIds()
        self._books: dict[str, RuleBook] = {}
        self.paths = ActivePaths(positions)
        self._switched_off: frozenset[tuple[str, int]] = frozenset()
        """The rules that `switch_all` disabled, by namespace and id."""
        self._load_initial()

    def _load_initial(self) -> None:
        for sourced in self._initial:
            self.book("").load(sourced)

    def book(self, namespace: str) -> RuleBook:
        """Return the book of a namespace, to change it. Do not keep it across an await: a reset replaces it.

        Raise `FieldError` if too many other namespaces have rules.
        """
        book = self._books.get(namespace)
        if book is None:
            self._make_place()
            book = self._books[namespace] = RuleBook(namespace, self._seed, self.positions, self._ids)
        return book

    def existing(self, namespace: str) -> RuleBook | None:
        """Return the book of a namespace; None if it has none, and therefore no rules."""
        return self._books.get(namespace)

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
        namespace = exchange.target.namespace
        if path_rules and (hits := self.paths.evaluate(exchange, path_rules, self.seed_of(namespace))):
            return hits
        book = self._books.get(namespace)
        hit = None if book is None else book.evaluate(exchange)
        return [hit] if hit is not None else []

    def seed_of(self, namespace: str) -> int:
        """Return the seed of the draws in a namespace."""
        book = self._books.get(namespace)
        return self._seed if book is None else book.seed

    def find(self, namespace: str, rule: EvaluatedRule) -> ActiveRule | None:
        """Return the rule of an outcome with its counters; None if it was removed or replaced."""
        book = self._books.get(namespace)
        if book is not None and rule.id:
            return active if (active := book.get(rule.id)) and active.evaluated is rule else None
        return self.paths.find(namespace, rule)

    def __len__(self) -> int:
        """Return the number of rules in all namespaces."""
        return sum(map(len, self._books.values()))

    def namespaces(self) -> list[str]:
        """Return the namespaces that have a book."""
        return list(self._books)

    def all_rules(self) -> list[tuple[str, ActiveRule]]:
        """Return the rules of all namespaces, each with its namespace."""
        return [(namespace, active) for namespace, book in self._books.items() for active in book]

    @property
    def has_armed(self) -> bool:
        """Return whether a rule or override of any namespace is armed."""
        return any(active.is_armed for _, active in self.all_rules())

    @property
    def switched_off(self) -> list[tuple[str, ActiveRule]]:
        """Return the rules that `switch_all` would enable, each with its namespace."""
        if not self._switched_off:
            return []
        disabled = ((name, active) for name, active in self.all_rules() if not active.rule.enabled)
        return [(name, active) for name, active in disabled if (name, active.id) in self._switched_off]

    def switch_all(self) -> tuple[list[tuple[str, ActiveRule]], bool]:
        """Disable every armed rule and override. If no rule is armed, enable those that this disabled last.

        Return these rules, each with its namespace, and whether they are enabled now.
        """
        armed = [(name, active) for name, active in self.all_rules() if active.is_armed]
        switched = armed or self.switched_off
        self._switched_off = frozenset((name, active.id) for name, active in armed)
        for name, active in switched:
            self._books[name].set_enabled(active.id, enabled=not armed)
        return switched, not armed

    def version_of(self, namespace: str) -> int:
        """Return a number that changes with every change of a namespace's rules; 0 without a book."""
        book = self._books.get(namespace)
        return 0 if book is None else book.version

    def is_blank(self, namespace: str) -> bool:
        """Return whether a namespace is as one that was never used."""
        book = self._books.get(namespace)
        return book is None or book.is_blank

    def state(self, namespace: str) -> BookState:
        """Return the rules of a namespace as other replicas adopt them. Raise `FieldError` as `book` does."""
        return self.book(namespace).state(
            rule_id for name, rule_id in self._switched_off if name == namespace
        )

    def adopt(self, namespace: str, state: BookState | None) -> None:
        """Have the rules that a namespace has at another replica; None if it is not used there.

        Raise `FieldError` as `book` does.
        """
        others = {each for each in self._switched_off if each[0] != namespace}
        if state is None:
            if (book := self._books.pop(namespace, None)) is not None:
                book.clear()  # for code that still holds a reference to it
            self._switched_off = frozenset(others)
        else:
            self.book(namespace).adopt(state)
            self._switched_off = frozenset(others | {(namespace, each) for each in state.switched_off})

    def snapshot(self, namespaces: Iterable[str]) -> RulesSnapshot:
        """Return what the rules of these namespaces are now, to undo a change. Raise `FieldError`."""
        return RulesSnapshot({name: self.book(name).snapshot() for name in namespaces}, self._switched_off)

    def restore(self, before: RulesSnapshot, after: RulesSnapshot) -> None:
        """Undo a change, of which these are the snapshots. Raise `ChangedSinceError`, and change nothing.

        The rules get back the counters that they had. What was changed elsewhere since stays.
        """
        for name, snapshot in before.books.items():
            self.book(name).check_restorable(snapshot, after.books[name])
        for name, snapshot in before.books.items():
            self.book(name).restore(snapshot, after.books[name])
        if self._switched_off == after.switched_off:
            self._switched_off = before.switched_off

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
        if not namespace:
            self._load_initial()
        self.paths.reset(namespace)

    def layers_of(self, exchange: Exchange) -> list[int]:
        """Return the positions of the requested layer in its manifests, from 1."""
        return sorted(set(places_of(exchange, self.positions)()))
