"""The results of runs so far, and what is printed of them while others continue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from brokenreg.exam.report import RunReport
from brokenreg.exam.summary import lines_of_report
from brokenreg.wording import counted, printable


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run found, what the client printed, and the exchanges as HAR if they are wanted."""

    report: RunReport
    output: str
    """Longer than that of the report. `dropped` is the number of bytes before it."""

    dropped: int
    har: dict[str, Any] | None


class Results:
    """The results of the runs that have ended. They are printed in the order of the scenarios."""

    def __init__(self) -> None:
        self._found: dict[int, RunResult] = {}
        self._next = 0
        self._has_headings = False

    def __len__(self) -> int:
        return len(self._found)

    @property
    def in_order(self) -> list[RunResult]:
        return [self._found[each] for each in sorted(self._found)]

    @property
    def reports(self) -> list[RunReport]:
        return [each.report for each in self.in_order]

    def add(self, number: int, result: RunResult) -> str:
        """Add the result of a scenario, and return the verdicts that can be printed now."""
        self._found[number] = result
        ready = []
        while self._next in self._found:
            ready.append(self._found[self._next].report)
            self._next += 1
        return _text(ready)

    def rest(self) -> str:
        """Return the verdicts that could not be printed because an earlier scenario has none."""
        return _text([self._found[each].report for each in sorted(self._found) if each >= self._next])

    def heading(self, scenario: str) -> str:
        """Return the heading of a client's output."""
        before = "\n" if self._has_headings else ""
        self._has_headings = True
        return f"{before}── {printable(scenario)} ──\n"

    def output(self, result: RunResult) -> str:
        """Return the output of a client that ran beside others."""
        omitted = f"({counted(result.dropped, 'byte')} omitted)\n" if result.dropped else ""
        end = "" if result.output.endswith("\n") or not result.output else "\n"
        return f"{self.heading(result.report.scenario)}{omitted}{result.output}{end}"


def _text(reports: Sequence[RunReport]) -> str:
    return "".join(f"{line}\n" for each in reports for line in lines_of_report(each))
