"""The rules of one namespace as a document, which other replicas of a fleet adopt.

The state itself is replicated, not the operations that led to it. So it does not matter how many changes a
replica has missed. Counters are not part of it: those of a rule that stays are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.rules.scenario import Scenario, written


@dataclass(frozen=True, slots=True)
class RuleState:
    """A rule in effect. `id` and `since` identify it: a rule that replaces another has the same id.

    `since` is in seconds since the epoch.
    """

    id: int
    source: str
    since: float
    is_required: bool
    rule: Rule

    def applied_to(self, known: ActiveRule | None) -> ActiveRule:
        """Return the active rule with this state: `known` with its counters, or a new one."""
        if known is None:
            return ActiveRule(self.rule, self.id, self.source, self.since, is_required=self.is_required)
        known.rule = self.rule  # it may have been enabled or disabled
        return known


@dataclass(frozen=True, slots=True)
class BookState:
    """The rules of one namespace in the order in which they are evaluated, and what else a scenario sets.

    `scenario` has no rules. `expectations` and `attempts` are the ids of their counts: if one differs, these
    counts start again. `next_id` is the id of the next rule. `switched_off` are the ids of the rules that
    were disabled together.
    """

    rules: tuple[RuleState, ...]
    scenario: Scenario
    expectations: str
    attempts: str
    next_id: int
    switched_off: tuple[int, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the state as JSON. A thousand rules take a moment, so call this in a thread."""
        return {
            "rules": [
                {
                    "id": each.id,
                    "source": each.source,
                    "since": each.since,
                    "required": each.is_required,
                    "rule": each.rule.written(),
                }
                for each in self.rules
            ],
            "scenario": written(self.scenario),
            "expectations": self.expectations,
            "attempts": self.attempts,
            "next_id": self.next_id,
            "switched_off": list(self.switched_off),
        }

    @classmethod
    def of(cls, document: dict[str, Any]) -> BookState:
        """Return the state in a document. A thousand rules take a moment, so call this in a thread."""
        return cls(
            tuple(
                RuleState(each["id"], each["source"], each["since"], each["required"], rule_of(each["rule"]))
                for each in document["rules"]
            ),
            Scenario.model_validate(document["scenario"]),
            document["expectations"],
            document["attempts"],
            document["next_id"],
            tuple(document["switched_off"]),
        )
