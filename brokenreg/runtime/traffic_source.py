"""What the Traffic tab shows: the traffic of a running brokenreg, or that of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from brokenreg.gate.breakpoints import Breakpoints
from brokenreg.gate.edits import EditableHead
from brokenreg.gate.gate import Gate
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog


class HeldResponse(Protocol):
    """What holds an exchange."""

    @property
    def exchange(self) -> Exchange: ...


class HoldingState(Protocol):
    """What is held, by id, and what holds it: a gate, or those of other replicas, too."""

    @property
    def held(self) -> Mapping[int, HeldResponse]: ...
    @property
    def breakpoints(self) -> Breakpoints: ...
    def can_hold(self, exchange: Exchange) -> bool:
        """Return whether an exchange is in flight and not held."""

    def head(self, exchange_id: int) -> EditableHead:
        """Return the held status and headers. Raise `NotHeldError` if there are none."""


class TrafficSource(Protocol):
    """The exchanges, with the gate that holds some of them and the rules that are evaluated for them."""

    @property
    def log(self) -> TrafficLog: ...
    @property
    def gate(self) -> HoldingState: ...
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
