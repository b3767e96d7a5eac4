"""The outcomes of the rules that were evaluated for an exchange, as data. Their text is added where shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OutcomeKind(StrEnum):
    """The outcome of a rule for one exchange."""

    APPLIED = "applied"
    NO_EFFECT = "no-effect"
    """It matched, but its faults had no effect. This does not count as applied."""
    SKIPPED = "skipped"
    """It matched, but was skipped because of its `skip`."""
    EXHAUSTED = "exhausted"
    """It matched, but had already been applied `times` times."""
    NOT_DRAWN = "not-drawn"
    """It matched, but lost its draw (`probability`)."""
    WAITING = "waiting"
    """The rule in its `after` has not been applied yet."""
    OTHER_ATTEMPT = "other-attempt"
    """It matches another attempt."""
    OTHER_LAYER = "other-layer"
    """It matches another layer of the manifest."""
    INAPPLICABLE = "inapplicable"
    """None of its faults can be applied to such an exchange. The timeline has the reasons."""

    @property
    def is_final(self) -> bool:
        """Return whether no further rule is evaluated after it."""
        return self in (OutcomeKind.APPLIED, OutcomeKind.NO_EFFECT)


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedRule:
    """A rule at the time of its evaluation. All outcomes of the rule share one, which also identifies it.

    `id` is 0 for a path rule. `source` is where the rule came from, for example `rules.yaml:12` or the path.
    `faults` are written as in rules: `{"type": <name>, <parameter>: <value>}`. `attempt` and `layer` are the
    values that the rule matches. `after` is the name of a rule that must be applied first.
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
    after: str | None


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """The outcome of one rule for one exchange.

    `matched` and `applied` are the counters of the rule immediately afterwards. If the rule counts separately
    by repository, reference or client, they are the counters for this exchange. `attempt` is the number of
    this request among equal ones.
    """

    rule: EvaluatedRule
    kind: OutcomeKind
    matched: int = 0
    applied: int = 0
    attempt: int = 0
