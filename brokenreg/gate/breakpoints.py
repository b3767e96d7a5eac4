"""Breakpoints hold every response that a filter expression matches, once its head is ready.

Breakpoints are not rules. A rule is evaluated before there is a response, and only the first that matches is
applied. A breakpoint matches the response (`status:5xx`) after faults have changed it, and does not affect
the rules. So you can look at a changed response, and edit it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

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


class Breakpoints:
    """The breakpoints of one server, in the order in which they were added. `are_on` applies to all."""

    def __init__(self) -> None:
        self.entries: list[Breakpoint] = []
        self._ids = count(1)
        self.are_on = True

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Breakpoint]:
        return iter(self.entries)

    def add(self, expression: str) -> Breakpoint:
        """Add a breakpoint, and enable all. Raise `FilterError` if the expression is invalid or empty."""
        expression = expression.strip()
        if not expression:
            raise FilterError("write what to hold, for example endpoint:layer status:5xx")
        if len(self.entries) >= MAX_BREAKPOINTS:
            raise FilterError(f"the limit of {MAX_BREAKPOINTS} breakpoints is reached; remove some")
        added = Breakpoint(next(self._ids), expression, parse_filter(expression, BEFORE_RESPONSE))
        self.entries.append(added)
        self.are_on = True
        return added

    def remove(self, breakpoint_id: int) -> bool:
        """Remove a breakpoint. Return False if it does not exist."""
        left = [each for each in self.entries if each.id != breakpoint_id]
        is_found = len(left) < len(self.entries)
        self.entries = left
        return is_found

    def clear(self) -> None:
        """Remove all breakpoints."""
        self.entries = []

    def first_match(self, exchange: Exchange, status: int) -> Breakpoint | None:
        """Return the first breakpoint that matches an exchange with that status, or None.

        The status is a parameter because an exchange gets its status only when the headers are sent.
        """
        if not self.entries or not self.are_on:
            return None
        answered = replace(exchange, status=status)
        return next((each for each in self.entries if each.matches(answered)), None)
