"""Counts what could not be read from a file, and names it in one line."""

from __future__ import annotations

from brokenreg.wording import form_for, printable

_NAMED = 2
"""Number of parts that are named. All are counted."""


class Unread:
    """What could not be read. `noun` and `plural` are the word for the parts of the file: entry, line."""

    def __init__(self, noun: str, plural: str) -> None:
        self._noun = noun
        self._plural = plural
        self.parts = 0
        """Number of parts of the file so far, readable or not."""
        self._unread = 0
        self._incomplete = 0
        self._named: list[str] = []
        self.other: list[str] = []
        """What else is missing, as clauses."""

    def part(self, number: int, problem: str) -> None:
        """Count a part that could not be read. `problem` completes a sentence: `has no request.url`."""
        self._unread += 1
        self._name(number, problem)

    def detail(self, number: int, problem: str) -> None:
        """Count a part of which a detail could not be read."""
        self._incomplete += 1
        self._name(number, problem)

    def _name(self, number: int, problem: str) -> None:
        if len(self._named) < _NAMED:
            self._named.append(f"{self._noun} {number} {printable(problem)}")

    @property
    def line(self) -> str:
        """Return everything in one line, or an empty string."""
        of = f"of {self.parts} {form_for(self.parts, self._noun, self._plural)}"
        clauses = []
        if self._unread:
            clauses.append(f"{self._unread} {of} could not be read")
        if self._incomplete:
            clauses.append(f"{self._incomplete} {of} could be read only in part")
        more = self._unread + self._incomplete - len(self._named)
        named = [*self._named, f"and {more} more"] if more else self._named
        parts = [", ".join(clauses) + f": {', '.join(named)}"] if clauses else []
        return ", ".join([*parts, *self.other])
