"""Breakpoints hold every response that a filter expression matches, once its head is ready.

Breakpoints are not rules. A rule is evaluated before there is a response, and only the first that matches is
applied. A breakpoint matches the response (`status:5xx`) after faults have changed it, and does not affect
the rules. So you can look at a changed response, and edit it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filter_keys import Filter
from brokenreg.traffic.filters import BEFORE_RESPONSE, FilterError, parse_filter

MAX_BREAKPOINTS = 100


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """A breakpoint with its filter expression. `id` counts from 1 and is never reused."""

    id: int
    expression: str
    matches: Filter


@dataclass(frozen=True, slots=True)
class BreakpointsState:
    """All breakpoints as other replicas of a fleet adopt them: ids and expressions, in order.

    `next_id` is the id of the next breakpoint.
    """

    entries: tuple[tuple[int, str], ...]
    are_on: bool
    next_id: int

    def document(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {"entries": [list(each) for each in self.entries], "on": self.are_on, "next_id": self.next_id}

    @classmethod
    def of(cls, document: dict[str, Any]) -> BreakpointsState:
        """Return the state in a document."""
        entries = tuple((number, expression) for number, expression in document["entries"])
        return cls(entries, document["on"], document["next_id"])


class Breakpoints:
    """The breakpoints of one server, in the order in which they were added. `are_on` applies to all."""

    def __init__(self) -> None:
        self.version = 0
        """Changes whenever the breakpoints do."""
        self.entries: list[Breakpoint] = []
        self._next_id = 1
        self._are_on = True

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def are_on(self) -> bool:
        """True unless all breakpoints are disabled."""
        return self._are_on

    @are_on.setter
    def are_on(self, are_on: bool) -> None:
        self._are_on = are_on
        self.version += 1

    def __iter__(self) -> Iterator[Breakpoint]:
        return iter(self.entries)

    def add(self, expression: str) -> Breakpoint:
        """Add a breakpoint, and enable all. Raise `FilterError` if the expression is invalid or empty."""
        expression = expression.strip()
        if not expression:
            raise FilterError("write what to hold, for example endpoint:layer status:5xx")
        if len(self.entries) >= MAX_BREAKPOINTS:
            raise FilterError(f"the limit of {MAX_BREAKPOINTS} breakpoints is reached; remove some")
        added = _breakpoint(self._next_id, expression)
        self._next_id += 1
        self.entries.append(added)
        self.are_on = True
        return added

    def remove(self, breakpoint_id: int) -> bool:
        """Remove a breakpoint. Return False if it does not exist."""
        left = [each for each in self.entries if each.id != breakpoint_id]
        is_found = len(left) < len(self.entries)
        self.entries = left
        self.version += 1
        return is_found

    def clear(self) -> None:
        """Remove all breakpoints."""
        self.entries = []
        self.version += 1

    def state(self) -> BreakpointsState:
        """Return what other replicas need to have the same breakpoints."""
        entries = tuple((each.id, each.expression) for each in self.entries)
        return BreakpointsState(entries, self.are_on, self._next_id)

    def adopt(self, state: BreakpointsState) -> None:
        """Have the breakpoints of a state."""
        known = {each.id: each for each in self.entries}
        self.entries = [known.get(number) or _breakpoint(number, text) for number, text in state.entries]
        self.are_on = state.are_on
        self._next_id = max(self._next_id, state.next_id)

    def first_match(self, exchange: Exchange, status: int) -> Breakpoint | None:
        """Return the first breakpoint that matches an exchange with that status, or None.

        The status is a parameter because an exchange gets its status only when the headers are sent.
        """
        if not self.entries or not self.are_on:
            return None
        answered = replace(exchange, status=status)
        return next((each for each in self.entries if each.matches(answered)), None)


def _breakpoint(number: int, expression: str) -> Breakpoint:
    """Return a breakpoint. Raise `FilterError` if the expression is invalid."""
    return Breakpoint(number, expression, parse_filter(expression, BEFORE_RESPONSE))
