"""Examines a client: runs it in each case, and says what it did there."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from brokenreg import __version__
from brokenreg.client import UnreachableError
from brokenreg.client.local_server import ServerProcess
from brokenreg.exam.cases import Action, Case
from brokenreg.exam.client_process import client_process
from brokenreg.exam.errors import RunError
from brokenreg.exam.one_run import Run
from brokenreg.exam.options import RunOptions
from brokenreg.exam.outcomes import RANKS, Outcome, clarity_of, outcome_of, reason_unexamined
from brokenreg.exam.own_registries import OwnRegistries
from brokenreg.exam.registry_variables import with_variables
from brokenreg.exam.report import RunReport, Verdict
from brokenreg.exam.run_values import RunningRegistry
from brokenreg.exam.runs import together
from brokenreg.exam.tasks import Task, redacted

_SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What a client did in a case. `report` is that of its run, and its first verdict is the outcome."""

    case: Case
    outcome: Outcome
    clarity: tuple[str, ...]
    report: RunReport
    requests: int
    known: Outcome | None = None
    """The outcome in the baseline; None without one."""

    @property
    def fails(self) -> bool:
        """Return whether the outcome is not good, and worse than in the baseline."""
        return not self.is_good and (self.known is None or RANKS[self.outcome] > RANKS[self.known])

    @property
    def is_good(self) -> bool:
        return self.outcome in self.case.about.good

    @property
    def words(self) -> str:
        """Return the outcome, and what the words of a client that failed name."""
        if self.outcome is not Outcome.FAILED_CLEANLY:
            return str(self.outcome)
        named = ", ".join(self.clarity) if self.clarity else "neither status, code, digest nor cause"
        return f"{self.outcome} (names {named})"

    def document(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "name": self.case.name,
            "action": self.case.action,
            "outcome": self.outcome,
            "good": self.is_good,
            "names": list(self.clarity),
            "exit": self.report.exit,
            "duration": round(self.report.duration, 3),
            "requests": self.requests,
            "started": round(self.report.started, 3),
            "command": list(self.report.command),
            "seed": self.report.seed,
            "repeat": self.report.repeat,
        }


@dataclass(frozen=True, slots=True)
class Examination:
    """What is examined: the cases, and the command for each action."""

    cases: Sequence[Case]
    commands: Mapping[Action, tuple[str, ...]]
    options: RunOptions
    seed: int
    """The seeds of all cases, and thereby their content, depend on it."""

    def seed_of(self, case: Case) -> int:
        """Return the seed of a case, which no other case of this examination has."""
        digest = hashlib.sha256(f"{self.seed} {case.name}".encode()).digest()
        return int.from_bytes(digest[:8]) % _SEEDS

    @property
    def shown_commands(self) -> dict[str, str]:
        """Return the commands without secrets."""
        return {action: shlex.join(redacted(command)) for action, command in self.commands.items()}

    def repeat(self, case: Case) -> str:
        """Return the command line that examines the client in that case again, without secrets."""
        command = self.commands[case.action]
        words = ["brokenreg", "exam", "--only", case.name, "--seed", str(self.seed)]
        words += ["--timeout", f"{self.options.timeout:g}s"]
        if self.options.cleanup:
            words += ["--cleanup", shlex.join(redacted(self.options.cleanup))]
        words += (
            ["--", *redacted(command)]
            if case.action == "pull"
            else [f"--{case.action}", shlex.join(redacted(command))]
        )
        return with_variables(shlex.join(words), os.environ)


async def examine(
    examination: Examination, servers: list[ServerProcess], done: Callable[[CaseResult], None]
) -> None:
    """Run the client in all cases, and call `done` with each result. There is a job for each server.

    Raise `RunError` or `ControlError`. The first error ends all runs.
    """
    pending = iter(examination.cases)
    await together([_job(pending, examination, OwnRegistries(each, servers).find, done) for each in servers])


async def _job(
    pending: Iterator[Case],
    examination: Examination,
    find_registry: Callable[[Task], Awaitable[RunningRegistry]],
    done: Callable[[CaseResult], None],
) -> None:
    for case in pending:
        seed = examination.seed_of(case)
        task = Task(None, case.scenario(seed), pushes=case.action == "push")
        options = replace(examination.options, command=examination.commands[case.action], seed=seed)
        async with client_process(passes_on=False) as client:
            registry = await find_registry(task)
            try:
                result = await Run(task, options, registry, client).result()
            except UnreachableError:
                raise RunError(f"the registry ended during the case {case.name}") from None
        done(_judged(case, replace(result.report, repeat=examination.repeat(case))))


def _judged(case: Case, report: RunReport) -> CaseResult:
    """Return the result. Its report has the outcome as the only verdict that counts."""
    outcome, clarity = outcome_of(report), clarity_of(report)
    good = " or ".join(case.about.good)
    nearest = next((each.nearest for each in report.verdicts if not each.met), ())
    verdict = Verdict("outcome", "outcome", good, outcome, outcome in case.about.good, nearest=nearest)
    result = CaseResult(case, outcome, clarity, report, len(report.exchanges))
    about = f"{case.about.summary} {case.about.why}"
    reason = reason_unexamined(report) if outcome is Outcome.NOT_EXAMINED else ""
    got = f"{result.words} ({reason})" if reason else result.words
    judged = replace(report, about=about, verdicts=(replace(verdict, got=got),))
    return replace(result, report=judged)


def document_of(examination: Examination, results: Sequence[CaseResult]) -> dict[str, Any]:
    """Return all results as JSON, for a baseline or another report."""
    return {
        "version": __version__,
        "seed": examination.seed,
        "commands": examination.shown_commands,
        "cases": [each.document() for each in sorted(results, key=lambda each: each.case.name)],
    }


def against(result: CaseResult, known: Outcome | None) -> CaseResult:
    """Return the result with the outcome in the baseline. What is not worse than that is as expected."""
    if known is None or result.is_good:
        return result
    compared = replace(result, known=known)
    (verdict,) = result.report.verdicts
    words = f"{verdict.got}, and {known} in the baseline"
    verdicts = (replace(verdict, got=words, met=not compared.fails),)
    return replace(compared, report=replace(result.report, verdicts=verdicts))
