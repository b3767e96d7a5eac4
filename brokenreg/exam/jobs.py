"""Runs tasks in jobs: one after another in each job, and several jobs at the same time.

Each job has a registry of its own, and runs one task at a time there. So requests that ignore their
namespace, and rules for connections, concern no other run. With `--url`, all jobs share one registry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from brokenreg.client import UnreachableError, UsageError
from brokenreg.exam.client_process import client_process
from brokenreg.exam.errors import RunError, RunUsageError
from brokenreg.exam.one_run import Run
from brokenreg.exam.options import RunOptions
from brokenreg.exam.results import RunResult
from brokenreg.exam.run_values import RunningRegistry
from brokenreg.exam.tasks import Task

Item = TypeVar("Item")
FindRegistry = Callable[[Task], Awaitable[RunningRegistry]]


async def in_jobs(
    items: Iterable[Item],
    registries: Sequence[FindRegistry],
    run: Callable[[Item, FindRegistry], Awaitable[None]],
) -> None:
    """Run all items, in a job for each registry. The first error ends all jobs, and is raised."""
    pending = iter(items)

    async def job(find_registry: FindRegistry) -> None:
        for each in pending:  # that no other job has begun
            await run(each, find_registry)

    try:
        async with asyncio.TaskGroup() as group:
            for each in registries:
                group.create_task(job(each))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def run_task(
    task: Task, options: RunOptions, find_registry: FindRegistry, *, passes_on: bool = False
) -> RunResult:
    """Run the client against a task, and return what it did.

    `passes_on` says whether its output goes to standard output, too. Raise `RunError` or `ControlError`.
    """
    async with client_process(passes_on=passes_on) as client:  # it starts while the registry does
        registry = await find_registry(task)
        try:
            return await Run(task, options, registry, client).result()
        except UnreachableError:
            if options.is_shared:
                raise
            raise RunError(f"the registry ended during the run of {task.name}") from None
        except UsageError as error:
            raise RunUsageError(f"--scenario {task.file or task.name}: {error.detail}") from None
