"""What the rules were before and after a change, in order to undo the change.

A snapshot has the rules themselves, with their counters, so that an undone change leaves no trace. A change
is undone only if the same rules were not changed since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.client_expectation import ClientExpectation
from brokenreg.rules.counters import Attempts
from brokenreg.rules.expectation_counts import Expectations
from brokenreg.rules.registry_needs import RegistryNeeds
from brokenreg.rules.rule import Rule

PlacedRules: TypeAlias = Sequence[tuple[ActiveRule, Rule]]
"""Rules in their order, each with what it was: enabling a rule replaces `ActiveRule.rule`."""


@dataclass(frozen=True, slots=True)
class ScenarioState:
    """What a book has apart from its rules."""

    name: str | None
    seed: int
    expectations: Expectations
    client: ClientExpectation | None
    registry: RegistryNeeds


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """The rules of one namespace at one moment. `book` identifies the book: a reset replaces it."""

    book: object
    rules: PlacedRules
    scenario: ScenarioState
    attempts: Attempts


@dataclass(frozen=True, slots=True)
class RulesSnapshot:
    """The rules of some namespaces at one moment, and which were disabled together (by namespace and id)."""

    books: Mapping[str, BookSnapshot]
    switched_off: frozenset[tuple[str, int]]


class ChangedSinceError(Exception):
    """A change cannot be undone, because the same rules were changed since; the message says which."""


def merged(now: PlacedRules, before: PlacedRules, after: PlacedRules) -> PlacedRules:
    """Return the rules `now`, with the change from `before` to `after` undone.

    Other rules that were added, changed or removed since stay as they are. Raise `ChangedSinceError` if the
    change concerns a rule that is no longer as `after` has it.
    """
    current, earlier, later = _by_id(now), _by_id(before), _by_id(after)
    changed = {each for each in {**earlier, **later} if earlier.get(each) != later.get(each)}
    for rule_id in changed:
        if current.get(rule_id) != later.get(rule_id):
            label = (later.get(rule_id) or earlier[rule_id])[0].label
            raise ChangedSinceError(f"{label} was changed since")
    was_moved = _common(earlier, later) != _common(later, earlier)
    if was_moved and _common(current, earlier, later) != _common(later, earlier, current):
        raise ChangedSinceError("the order of the rules was changed since")
    result = {rule_id: rule for rule_id, rule in current.items() if rule_id not in changed}
    result |= {rule_id: rule for rule_id, rule in earlier.items() if rule_id in changed}
    first, second = (earlier, current) if was_moved else (current, earlier)
    order = [each for each in first if each in result]
    place = 0
    for rule_id in second:
        if rule_id in order:
            place = order.index(rule_id) + 1
        elif rule_id in result:
            order.insert(place, rule_id)
            place += 1
    return [result[rule_id] for rule_id in order]


_Rules: TypeAlias = Mapping[int, tuple[ActiveRule, Rule]]


def _by_id(rules: PlacedRules) -> _Rules:
    return {active.id: (active, rule) for active, rule in rules}


def _common(rules: _Rules, *others: _Rules) -> list[int]:
    """Return the ids, in the order of `rules`, that the others have, too."""
    return [each for each in rules if all(each in other for other in others)]
