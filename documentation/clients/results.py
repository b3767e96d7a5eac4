"""The published results of clients: one small file for each, from which the page is made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from brokenreg.exam.earlier_results import EarlierResults
from brokenreg.exam.outcomes import Outcome
from brokenreg.exam.report import EXCHANGES

FOLDER = Path(__file__).parent / "results"
_HEX = re.compile(r"\b[0-9a-f]{12,}\b")
"""Parts of digests, which depend on the seed."""


class CaseResult(BaseModel):
    """What a client did in a case. `exit` is None if it had not ended when its time was up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Outcome
    words: str = ""
    """The details of the outcome, such as what the client's own words named."""

    exit: int | None
    requests: int
    duration: float
    """Seconds."""

    @property
    def counted_requests(self) -> str:
        """Return the number of requests. The exam counts no more than `EXCHANGES`."""
        return f"{self.requests}{'+' if self.requests >= EXCHANGES else ''}"


class ClientResults(BaseModel):
    """The results of a client. `commands` has a command for each action of the exam that it was given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client: str
    version: str
    note: str
    date: str
    brokenreg: str
    seed: int
    timeout: str
    commands: Mapping[str, str]
    cleanup: str
    cases: Mapping[str, CaseResult]

    def updated(self, newer: ClientResults) -> ClientResults:
        """Return these results with the cases of newer ones, and with all else that those say."""
        return newer.model_copy(
            update={
                "commands": {**self.commands, **newer.commands},
                "cases": {**self.cases, **newer.cases},
            }
        )


def cases_of(results: EarlierResults) -> dict[str, CaseResult]:
    """Return what is published of the results in a file of `brokenreg exam --json`."""
    return {
        each.case.name: CaseResult(
            outcome=each.outcome,
            words=_HEX.sub("…", each.words.removeprefix(each.outcome).removeprefix(" (").removesuffix(")")),
            exit=each.run.exit,
            requests=each.requests,
            duration=round(each.run.duration, 1),
        )
        for each in results.results
    }


def write_results(results: ClientResults) -> Path:
    """Write the file of a client, with a line for each case, and return its path."""
    document = results.model_dump(mode="json")
    cases = document.pop("cases")
    head = json.dumps(document, indent=2, ensure_ascii=False).removesuffix("\n}")
    lines = [f'    "{name}": {_line(case)}' for name, case in sorted(cases.items())]
    path = FOLDER / f"{results.client}.json"
    rows = ",\n".join(lines)
    path.write_text(f'{head},\n  "cases": {{\n{rows}\n  }}\n}}\n', encoding="utf-8")
    read_results.cache_clear()
    return path


@cache
def read_results() -> Mapping[str, ClientResults]:
    """Return the results of all clients by name."""
    found = [ClientResults.model_validate_json(each.read_bytes()) for each in sorted(FOLDER.glob("*.json"))]
    return {each.client: each for each in found}


def _line(case: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in case.items() if value != ""}, ensure_ascii=False)
