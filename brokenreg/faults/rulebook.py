"""The rules in force: their order, their counts, their draws. One book for each namespace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from brokenreg.faults.catalogue import Fault
from brokenreg.faults.matching import Positions, Predicate
from brokenreg.faults.memory import Memory
from brokenreg.faults.rules import Rule
from brokenreg.faults.scenario import SourcedScenario
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange

_REMEMBERED = 10_000
"""Repositories, references or clients that one rule counts apart, and attempts that it remembers."""

_PATH_RULES = 4096
_CANDIDATES = 1024


@dataclass(slots=True)
class _Count:
    matched: int = 0
    struck: int = 0


class ActiveRule:
    """A rule in force, with what it has seen; `source` is where it came from: `rules.yaml:12`, ..."""

    def __init__(self, rule: Rule, rule_id: int, source: str, positions: Positions) -> None:
        self.rule = rule
        self.id = rule_id
        self.source = source
        self.memory: dict[Any, Any] = {}
        """What its fault keeps between exchanges."""
        self.predicates: list[Predicate] = rule.match.predicates(positions)
        self.matched = 0
        self.struck = 0
        self._counts: Memory[str, _Count] = Memory(_REMEMBERED)
        self._attempts: Memory[tuple[str, ...], int] = Memory(_REMEMBERED)

    @property
    def label(self) -> str:
        """What an exchange says of it."""
        return self.rule.name or (f"rule {self.id}" if self.id else self.source)

    def ask(self, exchange: Exchange, seed: int, position: str) -> Choice | None:
        """Its strike on an exchange that it matches; None if it does not strike this one.

        `position` stands for its name in the draw, if it has none.
        """
        faults = []
        for fault in self.rule.fault:
            objection = fault.objection(exchange) if fault.takes(exchange.method) else ""
            if objection:
                exchange.mark(f"{fault.name}: passed over, {objection}")
            elif objection is None:
                faults.append(fault)
        lot = self._draw(exchange, seed, position) if faults else None
        return Choice(self, faults, lot) if lot is not None else None

    def _draw(self, exchange: Exchange, seed: int, position: str) -> Lot | None:
        """Count a match, and say whether it is to be struck."""
        rule = self.rule
        attempt = self._attempt(exchange)
        if rule.match.attempt is not None and rule.match.attempt != attempt:
            return None
        counts = self._count(exchange)
        counts.matched += 1
        self.matched += 1
        if counts.matched <= rule.skip or (rule.times is not None and counts.struck >= rule.times):
            return None
        draw = draw_of(seed, rule.name or position, exchange, attempt)
        if rule.probability < 1 and draw >= rule.probability * 2**64:
            return None
        counts.struck += 1
        self.struck += 1
        return Lot(draw, counts, self)

    def _count(self, exchange: Exchange) -> _Count:
        key = _key(self.rule.per, exchange)
        if key not in self._counts:
            self._counts[key] = _Count()
        return self._counts[key]

    def _attempt(self, exchange: Exchange) -> int:
        target = exchange.target
        key = exchange.method, target.endpoint, target.repository, target.reference
        attempt = self._attempts.get(key, 0) + 1
        self._attempts[key] = attempt
        return attempt


@dataclass(frozen=True, slots=True)
class PathRule:
    """A rule that a path spells, and that path: rules are counted by it."""

    rule: Rule
    path: str


@dataclass(slots=True)
class Lot:
    """A strike that was drawn; `give_back` if nothing came of it."""

    draw: int
    counts: _Count
    active: ActiveRule

    def give_back(self) -> None:
        self.counts.struck -= 1
        self.active.struck -= 1


@dataclass(slots=True)
class Choice:
    """The rule that strikes an exchange, those of its faults that can, and its draw."""

    active: ActiveRule
    faults: list[Fault]
    lot: Lot


def draw_of(seed: int, rule: str, exchange: Exchange, attempt: int) -> int:
    """64 bits that depend on what is asked, never on the order in which requests arrive."""
    target = exchange.target
    what = (
        str(seed),
        rule,
        exchange.method,
        target.endpoint,
        target.repository,
        target.reference,
        str(attempt),
    )
    return int.from_bytes(hashlib.blake2b("\x1f".join(what).encode(), digest_size=8).digest())


def _key(per: str, exchange: Exchange) -> str:
    match per:
        case "repository":
            return exchange.target.repository
        case "reference":
            return f"{exchange.target.repository}:{exchange.target.reference}"
        case "client":
            return f"{exchange.client.rpartition(':')[0]} {exchange.user_agent}"
    return ""


class RuleBook:
    """The rules of one namespace, in the order in which they are asked."""

    def __init__(self, seed: int, positions: Positions, ids: Iterator[int]) -> None:
        self.seed = seed
        self._positions = positions
        self._ids = ids
        self._rules: list[ActiveRule] = []
        self._candidates: dict[tuple[Endpoint, str], list[tuple[ActiveRule, str]]] = {}

    def __iter__(self) -> Iterator[ActiveRule]:
        """Rules, then overrides."""
        return iter(sorted(self._rules, key=lambda active: active.rule.override))

    def add(self, rule: Rule, source: str) -> ActiveRule:
        """Put a rule last."""
        active = ActiveRule(rule, next(self._ids), source, self._positions)
        self._rules.append(active)
        self._candidates.clear()
        return active

    def get(self, rule_id: int) -> ActiveRule | None:
        return next((active for active in self._rules if active.id == rule_id), None)

    def replace(self, rule_id: int, rule: Rule, source: str) -> ActiveRule | None:
        """Put another rule in the place of one; its counts begin anew. None if there is no such rule."""
        for place, active in enumerate(self._rules):
            if active.id == rule_id:
                self._rules[place] = ActiveRule(rule, rule_id, source, self._positions)
                self._candidates.clear()
                return self._rules[place]
        return None

    def remove(self, rule_id: int) -> bool:
        """Whether there was one."""
        before = len(self._rules)
        self._rules = [active for active in self._rules if active.id != rule_id]
        self._candidates.clear()
        return len(self._rules) < before

    def load(self, sourced: SourcedScenario) -> None:
        """Put the rules of a scenario last; its seed, if it has one, is the book's from now on."""
        if sourced.scenario.seed is not None:
            self.seed = sourced.scenario.seed
        for rule, source in zip(sourced.scenario.rules, sourced.sources, strict=True):
            self.add(rule, source)

    def clear(self) -> None:
        self._rules = []
        self._candidates.clear()

    def choose(self, exchange: Exchange) -> Choice | None:
        """The first rule that strikes an exchange."""
        if not self._rules:
            return None
        for active, position in self._candidates_for(exchange):
            for predicate in active.predicates:
                if not predicate(exchange):
                    break
            else:
                choice = active.ask(exchange, self.seed, position)
                if choice is not None:
                    return choice
        return None

    def _candidates_for(self, exchange: Exchange) -> list[tuple[ActiveRule, str]]:
        """The enabled rules for that endpoint and method, each with its place in the draws."""
        key = exchange.target.endpoint, exchange.method
        found = self._candidates.get(key)
        if found is None:
            found = [
                (active, str(place))
                for place, active in enumerate(self, start=1)
                if active.rule.enabled and key[0] in active.rule.endpoints() and active.rule.takes(key[1])
            ]
            if len(self._candidates) >= _CANDIDATES:  # methods are made up by clients
                self._candidates.clear()
            self._candidates[key] = found
        return found


class RuleBooks:
    """The books of all namespaces, and what paths spell.

    `seed` is for books without their own; `initial` are the scenarios that the namespace without a name has
    at the start, and again after a reset.
    """

    def __init__(self, seed: int, positions: Positions, initial: Sequence[SourcedScenario] = ()) -> None:
        self._seed = seed
        self._initial = initial
        self._positions = positions
        self._ids = count(1)
        self._books: dict[str, RuleBook] = {}
        self._paths: Memory[tuple[str, str], ActiveRule] = Memory(_PATH_RULES)
        self.reset("")

    def book(self, namespace: str) -> RuleBook:
        """The book of a namespace, to write in."""
        book = self._books.get(namespace)
        if book is None:
            book = self._books[namespace] = RuleBook(self._seed, self._positions, self._ids)
        return book

    def choose(self, exchange: Exchange, path_rules: Sequence[PathRule]) -> list[Choice]:
        """The strikes on an exchange: those that its path asks for, which combine; else the first rule's."""
        choices = self._choose_on_path(exchange, path_rules) if path_rules else []
        book = self._books.get(exchange.target.namespace)
        if choices or book is None:
            return choices
        choice = book.choose(exchange)
        return [choice] if choice is not None else []

    def reset(self, namespace: str) -> None:
        """Put the rules of a namespace back to what they were at the start, and forget what was counted."""
        self._books.pop(namespace, None)
        if not namespace:
            for sourced in self._initial:
                self.book("").load(sourced)
        for key in [key for key in self._paths if key[0] == namespace]:
            del self._paths[key]

    def _choose_on_path(self, exchange: Exchange, path_rules: Sequence[PathRule]) -> list[Choice]:
        choices = []
        book = self._books.get(exchange.target.namespace)
        seed = self._seed if book is None else book.seed
        for path_rule in path_rules:
            rule = path_rule.rule
            if exchange.target.endpoint not in rule.endpoints() or not rule.takes(exchange.method):
                continue
            choice = self._on_path(exchange.target.namespace, path_rule).ask(exchange, seed, path_rule.path)
            if choice is None:
                continue
            choices.append(choice)
            if any(fault.answers for fault in choice.faults):
                break  # nothing further inside is reached
        return choices

    def _on_path(self, namespace: str, path_rule: PathRule) -> ActiveRule:
        """What was counted of a path, as long as it is among the last some thousand asked for."""
        key = namespace, path_rule.path
        active = self._paths.get(key) or ActiveRule(path_rule.rule, 0, path_rule.path, self._positions)
        self._paths[key] = active
        return active
