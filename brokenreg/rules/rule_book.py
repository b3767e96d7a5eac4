"""The rules of one namespace, in the order in which they are evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from brokenreg.oci.target import Endpoint
from brokenreg.rules.active_rule import ActiveRule, RuleHit, places_of
from brokenreg.rules.book_state import BookState, RuleState
from brokenreg.rules.client_expectation import ClientExpectation
from brokenreg.rules.counters import Attempts
from brokenreg.rules.expectation_counts import Expectations
from brokenreg.rules.expectations import Verdict
from brokenreg.rules.registry_needs import RegistryNeeds
from brokenreg.rules.rule import FieldError, Rule
from brokenreg.rules.rule_ids import RuleIds
from brokenreg.rules.rule_index import RuleIndex
from brokenreg.rules.rule_snapshots import BookSnapshot, ChangedSinceError, ScenarioState, merged
from brokenreg.rules.rule_verdicts import rule_verdicts
from brokenreg.rules.scenario import MAX_RULES, Scenario, SourcedScenario, check_order
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import Positions

_versions = count(1)


class RuleBook:
    """The rules of one namespace, in the order in which they are evaluated.

    Attempts are counted while it has rules, and start again from 1 after the last rule is removed.
    """

    def __init__(self, namespace: str, seed: int, positions: Positions, ids: RuleIds) -> None:
        self.seed = self._first_seed = seed
        self.name: str | None = None
        """The name of the scenario that was loaded last."""
        self.expectations = Expectations()
        self.client: ClientExpectation | None = None
        """What the scenario expects of the client."""
        self.registry = RegistryNeeds()
        """What the scenarios need of the registry. It has all of it."""
        self.version = next(_versions)
        """Changes whenever the book does."""
        self._namespace = namespace
        self._positions = positions
        self._ids = ids
        self._rules: list[ActiveRule] = []
        self._attempts = Attempts()
        self._index: RuleIndex | None = None
        """Built when it is first needed after a change."""

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[ActiveRule]:
        """Iterate over the rules, then the overrides."""
        return iter(sorted(self._rules, key=lambda active: active.rule.override))

    @property
    def is_blank(self) -> bool:
        """Return whether the book equals a new one, so that it can be dropped."""
        is_named = self.name is not None or self.seed != self._first_seed
        has_expectations = self.expectations.requests is not None or any(True for _ in self.expectations)
        has_needs = self.registry != RegistryNeeds()
        return not (self._rules or is_named or has_expectations or has_needs or self.client)

    def add(self, rule: Rule, source: str) -> ActiveRule:
        """Add a rule at the end.

        Raise `FieldError` if the rule cannot match in this namespace, or if there are too many rules.
        """
        self._check(rule)
        check_order([each.rule for each in self._rules] + [rule], len(self._rules))
        if len(self._rules) >= MAX_RULES:
            raise FieldError((), f"the limit of {MAX_RULES} rules is reached; remove some")
        active = ActiveRule(rule, self._ids.take(), source)
        self._rules.append(active)
        self._note_change()
        return active

    def get(self, rule_id: int) -> ActiveRule | None:
        return next((active for active in self._rules if active.id == rule_id), None)

    def replace(self, rule_id: int, rule: Rule, source: str) -> ActiveRule | None:
        """Replace a rule with another, whose counters start at 0. Return None if the rule does not exist.

        Raise `FieldError` as `add` does.
        """
        self._check(rule)
        rules = [rule if each.id == rule_id else each.rule for each in self._rules]
        if rule in rules:
            check_order(rules, rules.index(rule))
        for place, active in enumerate(self._rules):
            if active.id == rule_id:
                self._rules[place] = ActiveRule(rule, rule_id, source)
                self._note_change()
                return self._rules[place]
        return None

    def remove(self, rule_id: int) -> bool:
        """Remove a rule. Return False if it does not exist."""
        left = [active for active in self._rules if active.id != rule_id]
        is_found = len(left) < len(self._rules)
        if left:
            self._rules = left
            self._note_change()
        else:
            self.clear()
        return is_found

    def set_enabled(self, rule_id: int, *, enabled: bool) -> bool:
        """Enable or disable a rule, which keeps its counters. Return False if it does not exist."""
        active = self.get(rule_id)
        if active is None:
            return False
        active.rule = active.rule.model_copy(update={"enabled": enabled})
        self._note_change()
        return True

    def move(self, rule_id: int, by: int) -> bool:
        """Move a rule down by that many positions (up if negative), among the rules or the overrides.

        It stops at the first and last position. Return False if the rule does not exist.
        """
        active = self.get(rule_id)
        if active is None:
            return False
        peers = [each for each in self._rules if each.rule.override == active.rule.override]
        others = [each for each in self._rules if each.rule.override != active.rule.override]
        place = peers.index(active)
        peers.insert(min(max(0, place + by), len(peers) - 1), peers.pop(place))
        self._rules = peers + others
        self._note_change()
        return True

    def load(self, sourced: SourcedScenario) -> None:
        """Append the rules and expectations of a scenario, and use its seed if it has one.

        Raise `FieldError` as `add` does.
        """
        self._load(sourced, self.prepare(sourced))

    def prepare(self, sourced: SourcedScenario) -> list[ActiveRule]:
        """Return the rules of a scenario without adding them. A thread may call this.

        Raise `FieldError` as `add` does.
        """
        for place, rule in enumerate(sourced.scenario.rules):
            self._check(rule, "rules", place)
            check_order(sourced.scenario.rules, place, "rules", place)
        prepared = [
            ActiveRule(rule, self._ids.take(), source)
            for rule, source in zip(sourced.scenario.rules, sourced.sources, strict=True)
        ]
        for active in prepared:
            active.is_required = not active.rule.optional
        return prepared

    def replace_all(self, sourced: SourcedScenario, prepared: list[ActiveRule]) -> None:
        """Replace all rules and expectations with those of a scenario; `prepare` returned its rules."""
        self.clear()
        self.name = None
        self.expectations = Expectations()  # a snapshot may have the earlier ones, with their counters
        self.client = None
        self.registry = RegistryNeeds()
        self._load(sourced, prepared)

    def _load(self, sourced: SourcedScenario, prepared: list[ActiveRule]) -> None:
        self.name = sourced.scenario.name or self.name
        if sourced.scenario.seed is not None:
            self.seed = sourced.scenario.seed
        self.client = sourced.scenario.client or self.client
        self.registry = self.registry.merged(sourced.scenario.registry)
        self._rules += prepared
        self._note_change()
        self.expectations.load(sourced.scenario.expect, sourced.scenario.requests)

    def scenario(self) -> Scenario:
        """Return the rules and expectations as a scenario."""
        rules = tuple(active.rule for active in self)
        return Scenario(
            name=self.name,
            seed=self.seed,
            rules=rules,
            expect=tuple(self.expectations),
            registry=self.registry if self.registry != RegistryNeeds() else None,
            client=self.client,
            requests=self.expectations.requests,
        )

    def verdicts(self, recent: Sequence[Exchange] | None = None) -> list[Verdict]:
        """Return the verdicts of the expectations, then those of the scenario's enabled rules.

        With `recent`, the newest exchanges of the namespace, they say why a rule was not applied.
        """
        required = (active for active in self if active.is_required and active.rule.enabled)
        return [*self.expectations.verdicts(), *rule_verdicts(required, recent)]

    def clear(self) -> None:
        """Remove all rules."""
        self._rules = []
        self._attempts = Attempts()
        self._note_change()

    def snapshot(self) -> BookSnapshot:
        """Return the current rules with their counters, and what else a scenario sets."""
        state = ScenarioState(self.name, self.seed, self.expectations, self.client, self.registry)
        return BookSnapshot(self, tuple((each, each.rule) for each in self._rules), state, self._attempts)

    def check_restorable(self, before: BookSnapshot, after: BookSnapshot) -> None:
        """Raise `ChangedSinceError` if `restore` is impossible."""
        now = self.snapshot()
        if now.book is not after.book:
            raise ChangedSinceError("the rules were reset since")
        if before.scenario != after.scenario != now.scenario:
            raise ChangedSinceError("another scenario was loaded since")
        if len(merged(now.rules, before.rules, after.rules)) > MAX_RULES:
            raise ChangedSinceError(f"there would be more than {MAX_RULES} rules")

    def restore(self, before: BookSnapshot, after: BookSnapshot) -> None:
        """Undo the change from `before` to `after`. Changes to other rules since stay."""
        now = self.snapshot()
        self._rules = []
        for active, rule in merged(now.rules, before.rules, after.rules):
            active.rule = rule
            self._rules.append(active)
        if now.attempts is after.attempts:
            self._attempts = before.attempts
        if before.scenario != after.scenario:
            state = before.scenario
            self.name, self.seed, self.expectations = state.name, state.seed, state.expectations
            self.client, self.registry = state.client, state.registry
        self._note_change()

    def state(self, switched_off: Iterable[int]) -> BookState:
        """Return what other replicas need to have the same rules. `switched_off` are ids of rules."""
        return BookState(
            tuple(RuleState(each.id, each.source, each.since, each.is_required, each.rule) for each in self),
            self.scenario().model_copy(update={"rules": ()}),
            self.expectations.id,
            self._attempts.id,
            self._ids.next,
            tuple(switched_off),
        )

    def adopt(self, state: BookState) -> None:
        """Have the rules of a state. Rules that are the same keep their counters, and so do expectations."""
        known = {(each.id, each.since): each for each in self._rules}
        self._rules = [each.applied_to(known.get((each.id, each.since))) for each in state.rules]
        self._note_change()
        self._ids.skip_to(state.next_id)
        scenario = state.scenario
        self.name, self.client = scenario.name, scenario.client
        self.seed = self._first_seed if scenario.seed is None else scenario.seed
        self.registry = scenario.registry or RegistryNeeds()
        self.expectations = self.expectations.adopted(state.expectations, scenario.expect, scenario.requests)
        if self._attempts.id != state.attempts:
            self._attempts = Attempts(state.attempts)

    def _note_change(self) -> None:
        self._index = None
        self.version = next(_versions)

    def _check(self, rule: Rule, *within: str | int) -> None:
        if self._namespace and rule.endpoint == Endpoint.CONNECT:
            raise FieldError(
                (*within, "fault"),
                f"{rule.fault[0].name} is applied before the namespace is known; leave the namespace out",
            )

    @property
    def attempts_id(self) -> str:
        """Return what identifies the counts of attempts, at all replicas."""
        return self._attempts.id

    def count_attempt(self, exchange: Exchange) -> int:
        """Count a request, and return its number, from 1."""
        return self._attempts.count(exchange)

    def candidates(self, exchange: Exchange) -> list[tuple[ActiveRule, str]]:
        """Return the rules that an exchange may match in their order, each with its position for the draw."""
        if self._index is None:
            self._index = RuleIndex(self)
        return self._index.of(exchange)

    def evaluate(self, exchange: Exchange) -> RuleHit | None:
        """Evaluate the rules in order until one is applied, and return its hit."""
        if not self._rules:
            return None
        attempt = self._attempts.count(exchange)
        places = places_of(exchange, self._positions)
        for active, position in self.candidates(exchange):
            hit = active.evaluate(exchange, self.seed, position, attempt, places)
            if hit is not None:
                return hit
        return None
