"""What a rule that matched an exchange said to it: it struck, or why it did not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from brokenreg.traffic.exchange import Exchange
from brokenreg.wording import counted, form_for

if TYPE_CHECKING:
    from brokenreg.rules.active_rule import ActiveRule

_MOST = 16
"""Of rules that did not strike, for each exchange: a thousand spent rules cost nothing."""


class Outcome(Enum):
    """What became of a rule that was asked."""

    APPLIED = auto()
    NO_EFFECT = auto()
    """The fault had no effect; this is not counted as applied."""
    SKIPPED = auto()
    """Within its `skip`."""
    SPENT = auto()
    """It had no strikes left."""
    LOST = auto()
    """It lost its draw."""
    ATTEMPT = auto()
    """Its match is about another attempt."""
    LAYER = auto()
    """Its match is about another layer."""
    INAPPLICABLE = auto()
    """None of its faults can strike such an exchange; the timeline says why."""


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """One of `Exchange.verdicts`. `matched` and `applied` are the rule's counts just after it was asked.

    They are of this exchange's repository, reference or client, where the rule counts by that.
    """

    active: ActiveRule
    outcome: Outcome
    matched: int = 0
    applied: int = 0
    attempt: int = 0

    @property
    def words(self) -> str:
        """In one line, without the rule's name."""
        rule = self.active.rule
        times = "" if rule.times is None else f" of {rule.times}"
        match self.outcome:
            case Outcome.APPLIED:
                return f"struck: match {self.matched}, strike {self.applied}{times}"
            case Outcome.NO_EFFECT:
                return f"had no effect, so not counted: match {self.matched}, struck {self.applied}{times}"
            case Outcome.SKIPPED:
                passes = form_for(rule.skip, "passes", "pass")
                return f"skipped: match {self.matched}, and the first {rule.skip} {passes}"
            case Outcome.SPENT:
                return f"spent: match {self.matched}, after {counted(rule.times or 0, 'strike')}"
            case Outcome.LOST:
                return f"lost its draw: match {self.matched}, probability {rule.probability:g}"
            case Outcome.ATTEMPT:
                return f"did not match: attempt {self.attempt} is not {rule.match.attempt}"
            case Outcome.LAYER:
                return f"did not match: not layer {rule.match.layer} of its manifest"
            case Outcome.INAPPLICABLE:
                return "passed over: its fault cannot strike here, as the timeline says"


def record(exchange: Exchange, verdict: RuleOutcome) -> None:
    """Write it down in the exchange; what did not strike only as long as there is room."""
    if verdict.outcome is Outcome.APPLIED or len(exchange.verdicts) < _MOST:
        exchange.verdicts.append(verdict)


def retract(exchange: Exchange, verdict: RuleOutcome) -> None:
    """Record that the fault of a rule had no effect on an exchange."""
    place = exchange.verdicts.index(verdict)
    exchange.verdicts[place] = replace(verdict, outcome=Outcome.NO_EFFECT, applied=verdict.applied - 1)


def verdicts_of(exchange: Exchange) -> list[RuleOutcome]:
    """What the rules said to it, in the order in which they were asked."""
    return [each for each in exchange.verdicts if isinstance(each, RuleOutcome)]
