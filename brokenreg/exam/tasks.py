"""What is to be run: scenarios, the command, and where the registry is."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brokenreg.exam.errors import RunError, RunUsageError
from brokenreg.exam.referred import IMAGE as REFERRED_IMAGE
from brokenreg.oci.target import Endpoint
from brokenreg.redaction import redact_text
from brokenreg.rules.client_expectation import ClientExpectation
from brokenreg.rules.rule import Rule
from brokenreg.rules.scenario import Scenario, ScenarioError, UnreadableScenarioError
from brokenreg.rules.scenario_text import load_scenario, write_scenario

IMAGE = "broken/random:layers-3_size-64kib"
"""The image that `{image}` names unless a scenario names another."""


_WITHOUT_NAMESPACE = (Endpoint.CONNECT, Endpoint.PING, Endpoint.CATALOG)
"""The endpoints whose requests name no repository, and therefore no namespace."""


@dataclass(frozen=True, slots=True)
class Task:
    """A scenario to run a command against. `file` is None for a registry without any rule.

    If the command `pushes`, it gets an image to push, and is judged by what is in the registry then.
    """

    file: Path | None
    scenario: Scenario
    pushes: bool = False

    @property
    def name(self) -> str:
        """Return the name in reports."""
        return self.scenario.name or (str(self.file) if self.file else "a registry that works")

    @property
    def image(self) -> str:
        return self.client.image or IMAGE

    @property
    def has_referrers(self) -> bool:
        """Return whether the image is the one that is pushed with referrers before the client starts."""
        return self.image == REFERRED_IMAGE

    @property
    def client(self) -> ClientExpectation:
        """Return what is expected of the client: by default, that it exits with 0."""
        return self.scenario.client or ClientExpectation()

    @property
    def server_options(self) -> tuple[str, ...]:
        """Return options of `brokenreg serve` for a registry with all that the scenario needs."""
        return () if self.scenario.registry is None else tuple(self.scenario.registry.options())

    @property
    def has_rules_for_everyone(self) -> bool:
        return any(map(_is_for_everyone, self.scenario.rules))

    def text(self, seed: int, *, for_everyone: bool) -> str:
        """Return the scenario as YAML with only its rules for everyone, or all but those."""
        kept = [each for each in self.scenario.rules if _is_for_everyone(each) == for_everyone]
        changed: dict[str, object] = {"seed": seed, "rules": tuple(kept)}
        if for_everyone:
            changed |= {"expect": (), "requests": None}
        return write_scenario(self.scenario.model_copy(update=changed))


def tasks_of(files: Sequence[Path], url: str | None) -> list[Task]:
    """Return a task for each file. Raise `RunError`, `RunUsageError`."""
    tasks = [_task(each) for each in files] or [Task(None, Scenario())]
    for each in tasks:
        if url is not None and each.has_rules_for_everyone:
            raise RunUsageError(
                f"--url: {each.file} has rules at endpoint connect, ping or catalog, which would affect "
                "everyone: leave --url out"
            )
    return tasks


def repeat_line(command: Sequence[str], task: Task, seed: int, options: Sequence[str]) -> str:
    """Return the command line that runs the command against the task again, without secrets."""
    scenario = [] if task.file is None else ["--scenario", str(task.file)]
    words = ["brokenreg", "run", *scenario, "--seed", str(seed), *options, "--", *redacted(command)]
    return shlex.join(words)


def redacted(command: Sequence[str]) -> tuple[str, ...]:
    """Return a command without secrets: `--password`, `SECRET` and `--token=SECRET` lose theirs."""
    joined = [redact_text(each) for each in command]
    for place, (option, value) in enumerate(itertools.pairwise(command), 1):
        pair = redact_text(f"{option.lstrip('-')}={value}")
        if option.startswith("-") and "=" not in option and not value.startswith(("-", "{")):
            joined[place] = pair.partition("=")[2]
    return tuple(joined)


def _task(file: Path) -> Task:
    try:
        return Task(file, load_scenario(file).scenario)
    except UnreadableScenarioError as error:
        raise RunError(f"--scenario {error}") from None
    except ScenarioError as error:
        raise RunUsageError(f"--scenario {error}") from None


def _is_for_everyone(rule: Rule) -> bool:
    return rule.endpoint in _WITHOUT_NAMESPACE
