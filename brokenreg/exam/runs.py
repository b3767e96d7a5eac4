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
from brokenreg.exam.one_run import Run, RunResult
from brokenreg.exam.options import RunOptions
from brokenreg.exam.own_registries import OwnRegistries
from brokenreg.exam.run_values import RunningRegistry
from brokenreg.exam.tasks import Task
from brokenreg.wording import counted, printable

FindRegistry = Callable[[Task], Awaitable[RunningRegistry]]


async def run_all(
    tasks: Sequence[Task], options: RunOptions, servers: list[ServerProcess]
) -> list[RunResult]:
    """Run all tasks, and return their results in the same order. Raise `RunError` or `ControlError`.

    There is a server for each job; with `--url`, there is none. Servers for scenarios that need more are
    added. The first error ends all runs.
    """
    registries: list[FindRegistry] = [OwnRegistries(each, servers).find for each in servers] or [
        partial(shared_registry, options)
    ] * options.jobs
    pending, results = iter(enumerate(tasks)), dict[int, RunResult]()
    printing = None if len(registries) == 1 else asyncio.Lock()
    jobs = [_job(pending, results, options, each, printing) for each in registries]
    await together(jobs)
    return [results[number] for number in range(len(tasks))]


async def _job(
    pending: Iterator[tuple[int, Task]],
    results: dict[int, RunResult],
    options: RunOptions,
    find_registry: FindRegistry,
    printing: asyncio.Lock | None,
) -> None:
    """Run the tasks that no other job has begun. `printing` says that there are other jobs."""
    for number, task in pending:
        async with client_process(passes_on=printing is None) as client:  # it starts while the registry does
            registry = await find_registry(task)
            try:
                result = results[number] = await Run(task, options, registry, client).result()
            except UnreachableError:
                if options.is_shared:
                    raise
                raise RunError("the registry ended during the run") from None
            except UsageError as error:
                raise RunUsageError(f"--scenario {task.file or task.name}: {error.detail}") from None
        if printing is not None:
            async with printing:
                await in_own_thread(partial(_print, result), "output of a run")


async def together(jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all jobs to their end; the first error ends the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in jobs:
                group.create_task(each)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _print(result: RunResult) -> None:
    """Print the output of a client that ran beside others."""
    omitted = f"({counted(result.dropped, 'byte')} omitted)\n" if result.dropped else ""
    end = "" if result.output.endswith("\n") or not result.output else "\n"
    text = f"── {printable(result.report.scenario)} ──\n{omitted}{result.output}{end}"
    print_bytes(text.encode(errors="replace"))


async def shared_registry(options: RunOptions, _: Task) -> RunningRegistry:
    """Return the registry of `--url`. Raise `ControlError`."""
    assert options.url is not None  # noqa: S101 - without servers, there is a URL
    async with AsyncClient(options.url, token=options.token) as control:
        status = await control.status()
    return RunningRegistry(status["registry"][0], control.url)
