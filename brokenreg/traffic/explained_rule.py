"""The explanations of rules for one exchange, as text for display. An exchange from a file has them too."""

from __future__ import annotations

from dataclasses import dataclass
from sys import getsizeof

_SIZE = 256
"""Memory of an explanation in addition to its texts, in bytes."""


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """What became of a rule in an exchange, and why.

    `id` is None for a path rule. `source` is for example `faults.yaml:14`, `path: ...`, or who added the
    rule. `outcome` is the name of an outcome, and `reason` is one line of text. If `is_final`, no further
    rule was evaluated, and `faults` has the rule's faults as `EvaluatedRule` has them. `matched` and
    `applied` are its counters in total, or None if they are unknown.
    """

    id: int | None
    label: str
    source: str
    outcome: str
    reason: str
    is_final: bool = False
    faults: tuple[dict[str, object], ...] = ()
    matched: int | None = None
    applied: int | None = None


@dataclass(frozen=True, slots=True)
class ExplainedRules:
    """The explanations of the rules in order: final ones first. `omitted` is the number of further ones."""

    rules: tuple[ExplainedRule, ...] = ()
    omitted: int = 0

    @property
    def final(self) -> tuple[ExplainedRule, ...]:
        return tuple(each for each in self.rules if each.is_final)

    @property
    def others(self) -> tuple[ExplainedRule, ...]:
        return tuple(each for each in self.rules if not each.is_final)


@dataclass(frozen=True, slots=True)
class Saved:
    """What a file says about an exchange that was read from it, and what it omits.

    `rules` are the explanations of rules, or None if the file has none. `has_messages` is false if the file
    has neither headers nor bodies. `is_own` is false if another program recorded the exchange.
    """

    rules: ExplainedRules | None = None
    has_messages: bool = True
    is_own: bool = True

    @property
    def size(self) -> int:
        """Return the memory in bytes."""
        rules = self.rules.rules if self.rules else ()
        return sum(
            _SIZE + sum(map(getsizeof, (each.label, each.source, each.reason, str(each.faults))))
            for each in rules
        )
