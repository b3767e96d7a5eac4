"""The rules of image paths, with their counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from cachetools import LRUCache

from brokenreg.rules.active_rule import ActiveRule, RuleHit, places_of
from brokenreg.rules.counters import Attempts, client_of, shorten
from brokenreg.rules.path_rules import PathRule
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import Positions
from brokenreg.traffic.rule_outcome import EvaluatedRule

_MAX_PATHS = 4096
"""Maximum number of paths whose rules keep their counters."""

_IDENTITIES = "path "
"""The beginning of the identities of all rules of paths. The namespace follows, and a space."""

Candidates = Iterable[tuple[PathRule, ActiveRule]]


class ActivePaths:
    """The rules of recently requested paths. Those of a profile count each client separately."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._rules: LRUCache[tuple[str, str, str], ActiveRule] = LRUCache(_MAX_PATHS)
        self._attempts = Attempts()
        self.note_reset: Callable[[str], None] = lambda _: None
        """Called with the beginning of the identities of rules whose counters were forgotten."""

    def evaluate(self, exchange: Exchange, path_rules: Sequence[PathRule], seed: int) -> list[RuleHit]:
        """Return the hits of the rules of a path, which combine."""
        attempt, places = self.count_attempt(exchange, path_rules), places_of(exchange, self._positions)
        hits = PathHits()
        for path_rule, active in hits.reached(self.candidates(exchange, path_rules)):
            hits.add(path_rule, active.evaluate(exchange, seed, path_rule.path, attempt, places))
        return hits.hits

    def count_attempt(self, exchange: Exchange, path_rules: Sequence[PathRule]) -> int:
        """Count a request with these path rules, and return its number, from 1."""
        return self._attempts.count(exchange, _counted_client(exchange, path_rules))

    def candidates(
        self, exchange: Exchange, path_rules: Sequence[PathRule]
    ) -> Iterator[tuple[PathRule, ActiveRule]]:
        """Yield the rules that an exchange may match, with their counters of recent requests."""
        awaited = {(each.profile, each.rule.after) for each in path_rules if each.rule.after is not None}
        for path_rule in path_rules:
            rule = path_rule.rule
            if exchange.target.endpoint not in rule.endpoints() or not rule.applies_to(exchange.method):
                continue
            active = self._active(exchange, path_rule, path_rules)
            active.is_awaited = (path_rule.profile, rule.name) in awaited
            if active.may_match(exchange):
                yield path_rule, active

    def _active(self, exchange: Exchange, path_rule: PathRule, path_rules: Sequence[PathRule]) -> ActiveRule:
        client = shorten(client_of(exchange)) if path_rule.profile else ""
        key = namespace, path, _ = exchange.target.namespace, path_rule.path, client
        active = self._rules.get(key)
        if active is None:
            identity = f"{identities_of(namespace)}{shorten(f'{path} {client}')}"
            active = self._rules[key] = ActiveRule(path_rule.rule, 0, path, identity=identity)
        if path_rule.rule.after is not None:
            active.awaited = next(
                (
                    self._active(exchange, other, ())
                    for other in path_rules
                    if (other.profile, other.rule.name) == (path_rule.profile, path_rule.rule.after)
                ),
                None,
            )
        return active

    def find(self, namespace: str, rule: EvaluatedRule) -> ActiveRule | None:
        """Return the rule of an outcome with its counters; None if it was forgotten."""
        found = (active for key, active in self._rules.items() if key[:2] == (namespace, rule.source))
        return next((active for active in found if active.evaluated is rule), None)

    def reset(self, namespace: str) -> None:
        """Forget the counters of the paths of a namespace."""
        self._attempts.forget(namespace)
        for key in [key for key in self._rules if key[0] == namespace]:
            del self._rules[key]
        self.note_reset(identities_of(namespace))

    def reset_all(self) -> None:
        """Forget the counters of all paths."""
        self._attempts = Attempts()
        self._rules.clear()
        self.note_reset(_IDENTITIES)


class PathHits:
    """The hits of the rules of one path so far, which decide which of the others are evaluated."""

    def __init__(self) -> None:
        self.hits: list[RuleHit] = []
        self._profiles: set[str] = set()
        self._is_final = False

    def reached(self, candidates: Candidates) -> Iterator[tuple[PathRule, ActiveRule]]:
        """Yield the rules to evaluate: none within a final fault, and of a profile until one is applied."""
        for path_rule, active in candidates:
            if self._is_final:
                return
            if path_rule.profile not in self._profiles:
                yield path_rule, active

    def add(self, path_rule: PathRule, hit: RuleHit | None) -> None:
        """Add the result of evaluating a rule."""
        if hit is None:
            return
        self.hits.append(hit)
        if path_rule.profile:
            self._profiles.add(path_rule.profile)
        self._is_final = any(fault.is_final for fault in hit.faults)


def identities_of(namespace: str) -> str:
    """Return how the identities of the rules of a namespace's paths begin."""
    return f"{_IDENTITIES}{namespace} "


def attempts_key(exchange: Exchange, path_rules: Sequence[PathRule]) -> str:
    """Return the key of the requests with these path rules whose attempts are counted together."""
    return shorten("\x1f".join(Attempts.key(exchange, _counted_client(exchange, path_rules))))


def _counted_client(exchange: Exchange, path_rules: Sequence[PathRule]) -> str:
    """Return whose requests are counted together; empty for those of everyone."""
    return shorten(client_of(exchange)) if any(each.profile for each in path_rules) else ""
