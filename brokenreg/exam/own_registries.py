"""The registries of a job: one that has started already, and others for scenarios that need more of it."""

from __future__ import annotations

from collections.abc import Sequence

from brokenreg.client import NotStartedError
from brokenreg.client.local_server import ServerProcess
from brokenreg.concurrency import in_own_thread
from brokenreg.exam.errors import RunError
from brokenreg.exam.run_values import RunningRegistry
from brokenreg.exam.tasks import Task


class OwnRegistries:
    """Finds the registry of each task of a job. `servers` are those that stop at the end of all runs.

    All have the options `of_all`, and more of them if a scenario needs more.
    """

    def __init__(
        self, first: ServerProcess, servers: list[ServerProcess], of_all: Sequence[str] = ()
    ) -> None:
        self._started: dict[tuple[str, ...], ServerProcess] = {(): first}
        self._servers = servers
        self._of_all = of_all

    async def find(self, task: Task) -> RunningRegistry:
        """Return a registry that has what the scenario of a task needs. Raise `RunError`.

        One that has started for an earlier task of the job is used again.
        """
        options = task.server_options
        server = self._started.get(options)
        if server is None:
            server = self._started[options] = ServerProcess([*self._of_all, *options])
            self._servers.append(server)
        try:
            found = await in_own_thread(server.ready, "start of the registry")
        except NotStartedError as error:
            raise RunError(str(error)) from None
        return RunningRegistry(found.registry_url, found.control_url, found.authority)
