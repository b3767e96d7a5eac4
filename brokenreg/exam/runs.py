"""Runs the command against each scenario, and prints what the clients print and the verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from brokenreg.client import AsyncClient
from brokenreg.client.local_server import ServerProcess
from brokenreg.concurrency import in_own_thread
from brokenreg.exam.client_process import print_bytes
from brokenreg.exam.jobs import FindRegistry, in_jobs, run_task
from brokenreg.exam.options import RunOptions
from brokenreg.exam.own_registries import OwnRegistries
from brokenreg.exam.results import Results, RunResult
from brokenreg.exam.run_values import RunningRegistry
from brokenreg.exam.tasks import Task


async def run_all(
    tasks: Sequence[Task], options: RunOptions, servers: list[ServerProcess], results: Results
) -> None:
    """Run all tasks, add each result, and print its verdicts. Raise `RunError` or `ControlError`.

    Each job has a server of its own, unless `--url` names one. Servers for scenarios that need more are
    added. The first error ends all runs.
    """
    registries: list[FindRegistry] = [OwnRegistries(each, servers).find for each in servers] or [
        partial(shared_registry, options)
    ] * options.jobs
    output = _Output(results, is_alone=len(registries) == 1, has_headings=len(tasks) > 1)

    async def run(numbered: tuple[int, Task], find_registry: FindRegistry) -> None:
        number, task = numbered
        await output.begin(task)
        await output.end(number, await run_task(task, options, find_registry, passes_on=output.is_alone))

    await in_jobs(enumerate(tasks), registries, run)


class _Output:
    """What is printed: the output of the clients under the names of their scenarios, and the verdicts."""

    def __init__(self, results: Results, *, is_alone: bool, has_headings: bool) -> None:
        self.is_alone = is_alone
        """Whether there is one job, whose client prints its output itself."""

        self._results = results
        self._has_headings = has_headings
        self._printing = asyncio.Lock()

    async def begin(self, task: Task) -> None:
        if self.is_alone and self._has_headings:
            await self._print(self._results.heading(task.name))

    async def end(self, number: int, result: RunResult) -> None:
        async with self._printing:
            output = "" if self.is_alone else self._results.output(result)
            await self._print(f"{output}{self._results.add(number, result)}")

    async def _print(self, text: str) -> None:
        await in_own_thread(partial(print_bytes, text.encode(errors="replace")), "output of a run")


async def shared_registry(options: RunOptions, _: Task) -> RunningRegistry:
    """Return the registry of `--url`. Raise `ControlError`."""
    assert options.url is not None  # noqa: S101 - without servers, there is a URL
    async with AsyncClient(options.url, token=options.token) as control:
        status = await control.status()
    return RunningRegistry(status["registry"][0], control.url)
