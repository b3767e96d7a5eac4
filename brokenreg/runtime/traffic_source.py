"""What the Traffic tab shows: the traffic of a running brokenreg, or that of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from brokenreg.gate.gate import Gate
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.log import TrafficLog


class TrafficSource(Protocol):
    """The exchanges, with the gate that holds some of them and the rules that are evaluated for them."""

    @property
    def log(self) -> TrafficLog: ...
    @property
    def gate(self) -> Gate: ...
    @property
    def rules(self) -> RuleBooks: ...
    @property
    def registry_urls(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class RecordedTraffic:
    """The exchanges of a file. Nothing is held, and there are no rules. `registry_urls` is for exports."""

    log: TrafficLog
    gate: Gate
    rules: RuleBooks
    registry_urls: Sequence[str] = ("http://registry",)

    @classmethod
    def of(cls, log: TrafficLog) -> RecordedTraffic:
        """Return the traffic in a log that a file is read into."""
        return cls(log, Gate(log), RuleBooks(0, lambda _: ()))
