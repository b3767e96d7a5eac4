"""Examines a client: runs it in each case, and says what it did there."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from brokenreg import __version__
from brokenreg.client.local_server import ServerProcess
from brokenreg.exam.case_results import CaseResult
from brokenreg.exam.cases import Action, Case
from brokenreg.exam.jobs import FindRegistry, in_jobs, run_task
from brokenreg.exam.options import RunOptions
from brokenreg.exam.own_registries import OwnRegistries
from brokenreg.exam.registry_variables import with_variables
from brokenreg.exam.tasks import Task, redacted

SERVER_OPTIONS = ("--offline", "--second-origin", "localhost:0")
"""The options of all servers. The second origin has another host name, not only another port."""

_SEEDS = 2**31


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

    async def run(case: Case, find_registry: FindRegistry) -> None:
        seed = examination.seed_of(case)
        task = Task(None, case.scenario(seed), pushes=case.action == "push")
        options = replace(examination.options, command=examination.commands[case.action], seed=seed)
        result = await run_task(task, options, find_registry)
        done(CaseResult.of_run(case, replace(result.report, repeat=examination.repeat(case))))

    registries = [OwnRegistries(each, servers, SERVER_OPTIONS).find for each in servers]
    await in_jobs(examination.cases, registries, run)


def document_of(examination: Examination, results: Sequence[CaseResult]) -> dict[str, Any]:
    """Return all results as JSON, for a baseline or another report."""
    return {
        "version": __version__,
        "seed": examination.seed,
        "commands": examination.shown_commands,
        "cases": [each.document() for each in sorted(results, key=lambda each: each.case.name)],
    }
