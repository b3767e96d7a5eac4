"""Runs the command against each scenario: one after another, or as several jobs in parallel.

Each job has a registry of its own, and runs one scenario at a time there. So requests that ignore their
namespace, and rules for connections, concern no other run. With `--url`, all jobs share one registry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any

from brokenreg.client import AsyncClient, UnreachableError, UsageError
from brokenreg.client.local_server import ServerProcess
from brokenreg.concurrency import in_own_thread
from brokenreg.exam.client_process import client_process, print_bytes
from brokenreg.exam.errors import RunError, RunUsageError
from brokenreg.exam.one_run import Run
from brokenreg.exam.options import RunOptions
from brokenreg.exam.own_registries import OwnRegistries
from brokenreg.exam.results import Results, RunResult
from brokenreg.exam.run_values import RunningRegistry
from brokenreg.exam.tasks import Task

FindRegistry = Callable[[Task], Awaitable[RunningRegistry]]


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
    pending = iter(enumerate(tasks))
    await together([_job(pending, options, each, output) for each in registries])


async def _job(
    pending: Iterator[tuple[int, Task]], options: RunOptions, find_registry: FindRegistry, output: _Output
) -> None:
    """Run the tasks that no other job has begun."""
    for number, task in pending:
        async with client_process(passes_on=output.is_alone) as client:  # it starts while the registry does
            registry = await find_registry(task)
            await output.begin(task)
            try:
                result = await Run(task, options, registry, client).result()
            except UnreachableError:
                if options.is_shared:
                    raise
                raise RunError("the registry ended during the run") from None
            except UsageError as error:
                raise RunUsageError(f"--scenario {task.file or task.name}: {error.detail}") from None
        await output.end(number, result)


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


async def together(jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all jobs to their end; the first error ends the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in jobs:
                group.create_task(each)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def shared_registry(options: RunOptions, _: Task) -> RunningRegistry:
    """Return the registry of `--url`. Raise `ControlError`."""
    assert options.url is not None  # noqa: S101 - without servers, there is a URL
    async with AsyncClient(options.url, token=options.token) as control:
        status = await control.status()
    return RunningRegistry(status["registry"][0], control.url)
