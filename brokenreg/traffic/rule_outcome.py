"""What became of the rules that were evaluated for an exchange: data, which is worded where it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OutcomeKind(StrEnum):
    """What became of a rule for one exchange."""

    APPLIED = "applied"
    NO_EFFECT = "no-effect"
    """It matched, but its faults changed nothing; this does not count as applied."""
    SKIPPED = "skipped"
    """It matched, within its `skip`."""
    EXHAUSTED = "exhausted"
    """It matched, but had been applied `times` times."""
    NOT_DRAWN = "not-drawn"
    """It matched, but lost its draw (`probability`)."""
    OTHER_ATTEMPT = "other-attempt"
    """It matches another attempt."""
    OTHER_LAYER = "other-layer"
    """It matches another layer of the manifest."""
    INAPPLICABLE = "inapplicable"
    """None of its faults can be applied to such an exchange; the timeline has the reasons."""

    @property
    def is_final(self) -> bool:
        """Return whether no further rule is evaluated after it."""
        return self in (OutcomeKind.APPLIED, OutcomeKind.NO_EFFECT)


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedRule:
    """A rule as it was when it was evaluated. All its outcomes share one, which also identifies the rule.

    `id` is 0 for a path rule; `source` is where the rule came from: `rules.yaml:12`, the path, ... `faults`
    are as rules spell them: `{"type": <name>, <parameter>: <value>}`. `attempt` and `layer` are those that
    it matches.
    """

    id: int
    label: str
    source: str
    faults: tuple[dict[str, object], ...]
    skip: int
    times: int | None
    probability: float
    attempt: int | None
    layer: int | None


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What became of one rule for one exchange.

    `matched` and `applied` are the counts of the rule immediately afterwards, where it counts by repository,
    reference or client: those of this exchange. `attempt` is the number of this request among equal ones.
    """

    rule: EvaluatedRule
    kind: OutcomeKind
    matched: int = 0
    applied: int = 0
    attempt: int = 0
