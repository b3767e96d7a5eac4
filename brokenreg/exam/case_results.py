"""What a client did in a case: the outcome in words, whether it is good, and its form as JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from brokenreg.exam.cases import Case
from brokenreg.exam.clarity import clarity_of
from brokenreg.exam.outcomes import RANKS, Outcome, details_of, outcome_of
from brokenreg.exam.report import RunReport, Verdict


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What a client did in a case. `run` is the report of its run, without a verdict if it is from a file."""

    case: Case
    outcome: Outcome
    words: str
    """The outcome with its details."""

    clarity: tuple[str, ...]
    run: RunReport
    requests: int
    known: Outcome | None = None
    """The outcome in the baseline; None without one."""

    @classmethod
    def of_run(cls, case: Case, run: RunReport) -> CaseResult:
        """Return what the client of a run did."""
        outcome, clarity = outcome_of(run), clarity_of(run)
        details = _named(clarity) if outcome is Outcome.FAILED_CLEANLY else details_of(run, outcome)
        words = f"{outcome} ({details})" if details else str(outcome)
        return cls(case, outcome, words, clarity, run, len(run.exchanges))

    @classmethod
    def of_document(cls, case: Case, document: dict[str, Any], version: str) -> CaseResult:
        """Return a result that `document` wrote. Raise `KeyError`, `TypeError` or `ValueError`."""
        run = RunReport(
            version=version,
            scenario=case.name,
            seed=int(document["seed"]),
            started=float(document["started"]),
            duration=float(document["duration"]),
            command=tuple(map(str, document["command"])),
            repeat=str(document["repeat"]),
            exit=None if document["exit"] is None else int(document["exit"]),
            verdicts=(),
            exchanges=(),
            lacks_exchanges=True,
            output="",
        )
        outcome = Outcome(document["outcome"])
        words = str(document.get("words", outcome))
        return cls(case, outcome, words, tuple(map(str, document["names"])), run, int(document["requests"]))

    @property
    def fails(self) -> bool:
        """Return whether the outcome is not good, and worse than in the baseline."""
        return not self.is_good and (self.known is None or RANKS[self.outcome] > RANKS[self.known])

    @property
    def is_good(self) -> bool:
        return self.outcome in self.case.about.good

    @property
    def report(self) -> RunReport:
        """Return the report of the run, with the outcome as its only verdict."""
        about = self.case.about
        compared = "" if self.known is None or self.is_good else f", and {self.known} in the baseline"
        verdict = Verdict(
            name="outcome",
            kind="outcome",
            wanted=" or ".join(about.good),
            got=f"{self.words}{compared}",
            met=not self.fails,
            nearest=next((each.nearest for each in self.run.verdicts if not each.met), ()),
        )
        return replace(self.run, about=f"{about.summary} {about.why}", verdicts=(verdict,))

    def document(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "name": self.case.name,
            "action": self.case.action,
            "outcome": self.outcome,
            "words": self.words,
            "good": self.is_good,
            "names": list(self.clarity),
            "exit": self.run.exit,
            "duration": round(self.run.duration, 3),
            "requests": self.requests,
            "started": round(self.run.started, 3),
            "command": list(self.run.command),
            "seed": self.run.seed,
            "repeat": self.run.repeat,
        }


def _named(clarity: tuple[str, ...]) -> str:
    return f"names {', '.join(clarity) if clarity else 'neither status, code, digest nor cause'}"
