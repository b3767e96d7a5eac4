"""The results in a file of `brokenreg exam --json`: a baseline, to go on with, or to show beside others."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brokenreg.exam.cases import cases
from brokenreg.exam.errors import RunError, RunUsageError
from brokenreg.exam.examination import CaseResult
from brokenreg.exam.outcomes import Outcome
from brokenreg.exam.report import RunReport, Verdict


@dataclass(frozen=True, slots=True)
class EarlierResults:
    """The results of an exam. Their reports have no exchanges. `label` is the name of the file."""

    label: str
    seed: int
    document: dict[str, Any]
    results: tuple[CaseResult, ...]

    @property
    def outcomes(self) -> dict[str, Outcome]:
        return {each["name"]: Outcome(each["outcome"]) for each in self.document["cases"]}

    @property
    def commands(self) -> dict[str, str]:
        return dict(self.document["commands"])

    def labelled_reports(self) -> list[RunReport]:
        """Return the reports, with names that say from which file they are."""
        return [replace(each.report, scenario=f"{each.case.name} · {self.label}") for each in self.results]


def earlier_results(option: str, path: Path) -> EarlierResults:
    """Read the results. Those of cases that this version does not have are left out.

    Raise `RunError` or `RunUsageError`.
    """
    known = {each.name: each for each in cases()}
    try:
        document = json.loads(path.read_bytes())
        found = tuple(
            _result(known[each["name"]], each, document["version"])
            for each in document["cases"]
            if each["name"] in known
        )
        return EarlierResults(path.stem, int(document["seed"]), document, found)
    except OSError as error:
        raise RunError(f"{option}: {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RunUsageError(f"{option}: {path} is not a file that brokenreg exam --json wrote") from None


def _result(case: Any, document: dict[str, Any], version: str) -> CaseResult:
    outcome = Outcome(document["outcome"])
    is_good = outcome in case.about.good
    report = RunReport(
        version=str(version),
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
    result = CaseResult(case, outcome, tuple(map(str, document["names"])), report, int(document["requests"]))
    verdict = Verdict("outcome", "outcome", " or ".join(case.about.good), result.words, is_good)
    return replace(result, report=replace(report, verdicts=(verdict,)))
