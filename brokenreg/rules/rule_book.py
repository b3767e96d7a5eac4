"""The rules in force, in the order in which they are asked. One book for each namespace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from brokenreg.oci.target import Endpoint
from brokenreg.rules.active_rule import ActiveRule, Attempts, Choice, places_of
from brokenreg.rules.expectations import Expectations
from brokenreg.rules.rule import FieldError, Rule
from brokenreg.rules.rule_index import RuleIndex
from brokenreg.rules.scenario import MAX_RULES, Scenario, ScenarioError, SourcedScenario
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import ExchangeEvent
from brokenreg.traffic.matching import Positions
from brokenreg.traffic.memory import Memory
from brokenreg.wording import counted

_PATH_RULES = 4096

MAX_NAMESPACES = 1000
"""Maximum number of namespaces with rules. Namespaces without rules are not limited."""


@dataclass(frozen=True, slots=True)
class PathRule:
    """A rule that a path spells, and that path: rules are counted by it."""

    rule: Rule
    path: str


class RuleBook:
    """The rules of one namespace, in the order in which they are asked.

    Attempts are counted from its first rule on, and anew once it has none.
    """

    def __init__(self, namespace: str, seed: int, positions: Positions, ids: Iterator[int]) -> None:
        self.seed = self._first_seed = seed
        self.name: str | None = None
        """Of the scenario that was loaded last."""
        self.expectations = Expectations()
        self._namespace = namespace
        self._positions = positions
        self._ids = ids
        self._rules: list[ActiveRule] = []
        self._attempts = Attempts()
        self._index: RuleIndex | None = None
        """Found when they are first asked for after a change."""

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[ActiveRule]:
        """Rules, then overrides."""
        return iter(sorted(self._rules, key=lambda active: active.rule.override))

    @property
    def is_blank(self) -> bool:
        """Return whether it equals a new one, so that it can be dropped."""
        is_named = self.name is not None or self.seed != self._first_seed
        return not (self._rules or is_named or any(True for _ in self.expectations))

    def add(self, rule: Rule, source: str) -> ActiveRule:
        """Put a rule last. Raise `FieldError` if it can strike nothing of this namespace, or is too many."""
        self._check(rule)
        if len(self._rules) >= MAX_RULES:
            raise FieldError((), f"there are {MAX_RULES} rules here, and no more are taken; remove some")
        active = ActiveRule(rule, next(self._ids), source)
        self._rules.append(active)
        self._index = None
        return active

    def get(self, rule_id: int) -> ActiveRule | None:
        return next((active for active in self._rules if active.id == rule_id), None)

    def replace(self, rule_id: int, rule: Rule, source: str) -> ActiveRule | None:
        """Put another rule in the place of one; its counts begin anew. None if there is no such rule.

        Raise `FieldError` as `add` does.
        """
        self._check(rule)
        for place, active in enumerate(self._rules):
            if active.id == rule_id:
                self._rules[place] = ActiveRule(rule, rule_id, source)
                self._index = None
                return self._rules[place]
        return None

    def remove(self, rule_id: int) -> bool:
        """Whether there was one."""
        left = [active for active in self._rules if active.id != rule_id]
        is_found = len(left) < len(self._rules)
        if left:
            self._rules = left
            self._index = None
        else:
            self.clear()
        return is_found

    def switch(self, rule_id: int, *, enabled: bool) -> bool:
        """Enable or disable a rule, which keeps its counts. Whether there is one."""
        active = self.get(rule_id)
        if active is None:
            return False
        active.rule = active.rule.model_copy(update={"enabled": enabled})
        self._index = None
        return True

    def move(self, rule_id: int, by: int) -> bool:
        """Put a rule some places further down (up, if negative), among rules or among overrides.

        Further than to the end is to the end. Whether there is such a rule.
        """
        active = self.get(rule_id)
        if active is None:
            return False
        peers = [each for each in self._rules if each.rule.override == active.rule.override]
        others = [each for each in self._rules if each.rule.override != active.rule.override]
        place = peers.index(active)
        peers.insert(min(max(0, place + by), len(peers) - 1), peers.pop(place))
        self._rules = peers + others
        self._index = None
        return True

    def load(self, sourced: SourcedScenario) -> None:
        """Put the rules and expectations of a scenario last.

        Its seed, if it has one, is the book's from now on.
        """
        self._load(sourced, self.prepared(sourced))

    def prepared(self, sourced: SourcedScenario) -> list[ActiveRule]:
        """The rules of a scenario, not yet in force; changes nothing, so that a thread may do it.

        Raise `FieldError` as `add` does.
        """
        for place, rule in enumerate(sourced.scenario.rules):
            self._check(rule, "rules", place)
        return [
            ActiveRule(rule, next(self._ids), source)
            for rule, source in zip(sourced.scenario.rules, sourced.sources, strict=True)
        ]

    def replace_all(self, sourced: SourcedScenario, prepared: list[ActiveRule]) -> None:
        """Put a scenario, whose rules were `prepared` here, in the place of all rules and expectations."""
        self.clear()
        self.name = None
        self.expectations.clear()
        self._load(sourced, prepared)

    def _load(self, sourced: SourcedScenario, prepared: list[ActiveRule]) -> None:
        self.name = sourced.scenario.name or self.name
        if sourced.scenario.seed is not None:
            self.seed = sourced.scenario.seed
        self._rules += prepared
        self._index = None
        self.expectations.load(sourced.scenario.expect)

    def scenario(self) -> Scenario:
        """What there is, as a scenario."""
        rules = tuple(active.rule for active in self)
        return Scenario(name=self.name, seed=self.seed, rules=rules, expect=tuple(self.expectations))

    def clear(self) -> None:
        """Remove all rules."""
        self._rules = []
        self._attempts = Attempts()
        self._index = None

    def _check(self, rule: Rule, *within: str | int) -> None:
        if self._namespace and rule.endpoint == Endpoint.CONNECT:
            raise FieldError(
                (*within, "fault"),
                f"{rule.fault[0].name} strikes before a path names a namespace; leave the namespace out",
            )

    def choose(self, exchange: Exchange) -> Choice | None:
        """The first rule that strikes an exchange."""
        if not self._rules:
            return None
        attempt = self._attempts.count(exchange)
        if self._index is None:
            self._index = RuleIndex(self)
        places = places_of(exchange, self._positions)
        for active, position in self._index.of(exchange):
            choice = active.ask(exchange, self.seed, position, attempt, places)
            if choice is not None:
                return choice
        return None


class RuleBooks:
    """The books of all namespaces, and what paths spell.

    `seed` is for books without their own; `initial` are the scenarios that the namespace without a name has
    at the start, and again after a reset. Raise `ScenarioError` if they have too many rules together.
    """

    def __init__(self, seed: int, positions: Positions, initial: Sequence[SourcedScenario] = ()) -> None:
        if (total := sum(len(sourced.scenario.rules) for sourced in initial)) > MAX_RULES:
            raise ScenarioError(
                f"files have {counted(total, 'rule')} together; at most {MAX_RULES} are accepted"
            )
        self._seed = seed
        self._initial = initial
        self._positions = positions
        self._ids = count(1)
        self._books: dict[str, RuleBook] = {}
        self._paths: Memory[tuple[str, str], ActiveRule] = Memory(_PATH_RULES)
        self._attempts = Attempts()
        self.reset("")

    def book(self, namespace: str) -> RuleBook:
        """Return the book of a namespace, to write in. A reset replaces it: do not keep it over an await.

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
                f"{MAX_NAMESPACES} namespaces have rules, which is the limit; "
                "clear one with POST /v1/reset?namespace=NAME",
            )

    def choose(self, exchange: Exchange, path_rules: Sequence[PathRule]) -> list[Choice]:
        """The strikes on an exchange: those that its path asks for, which combine; else the first rule's."""
        choices = self._choose_on_path(exchange, path_rules) if path_rules else []
        book = self._books.get(exchange.target.namespace)
        if choices or book is None:
            return choices
        choice = book.choose(exchange)
        return [choice] if choice is not None else []

    def __len__(self) -> int:
        """How many rules there are, in all namespaces."""
        return sum(map(len, self._books.values()))

    def namespaces(self) -> list[str]:
        """Those that have a book."""
        return list(self._books)

    def observe(self, _: ExchangeEvent, exchange: Exchange) -> None:
        """Count an exchange that has ended for what its namespace expects."""
        book = self._books.get(exchange.target.namespace)
        if book is not None:
            book.expectations.observe(exchange)

    def reset(self, namespace: str) -> None:
        """Put the rules of a namespace back to what they were at the start, and forget what was counted."""
        if (book := self._books.pop(namespace, None)) is not None:
            book.clear()  # for code that still holds a reference to it
        self._attempts.forget(namespace)
        if not namespace:
            for sourced in self._initial:
                self.book("").load(sourced)
        for key in [key for key in self._paths if key[0] == namespace]:
            del self._paths[key]

    def _choose_on_path(self, exchange: Exchange, path_rules: Sequence[PathRule]) -> list[Choice]:
        choices = []
        book = self._books.get(exchange.target.namespace)
        seed = self._seed if book is None else book.seed
        attempt = self._attempts.count(exchange)
        places = places_of(exchange, self._positions)
        for path_rule in path_rules:
            rule = path_rule.rule
            if exchange.target.endpoint not in rule.endpoints() or not rule.takes(exchange.method):
                continue
            active = self._on_path(exchange.target.namespace, path_rule)
            choice = active.ask(exchange, seed, path_rule.path, attempt, places)
            if choice is None:
                continue
            choices.append(choice)
            if any(fault.answers for fault in choice.faults):
                break  # nothing further inside is reached
        return choices

    def _on_path(self, namespace: str, path_rule: PathRule) -> ActiveRule:
        """What was counted of a path, as long as it is among the last some thousand asked for."""
        key = namespace, path_rule.path
        active = self._paths.get(key, None)
        if active is None:
            active = self._paths[key] = ActiveRule(path_rule.rule, 0, path_rule.path)
        return active
