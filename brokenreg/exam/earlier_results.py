"""The results in a file of `brokenreg exam --json`: a baseline, to go on with, or to show beside others."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brokenreg.exam.case_results import CaseResult
from brokenreg.exam.cases import cases
from brokenreg.exam.errors import RunError, RunUsageError
from brokenreg.exam.outcomes import Outcome
from brokenreg.exam.report import RunReport


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
            CaseResult.of_document(known[each["name"]], each, str(document["version"]))
            for each in document["cases"]
            if each["name"] in known
        )
        return EarlierResults(path.stem, int(document["seed"]), document, found)
    except OSError as error:
        raise RunError(f"{option}: {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RunUsageError(f"{option}: {path} is not a file that brokenreg exam --json wrote") from None
