"""Replicas with one database, each with a data folder of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from brokenreg.config.addresses import Address
from brokenreg.fleet.directory import Replica
from tests.postgresql import PostgreSQLServer
from tests.process import BrokenregProcess, brokenreg_process
from tests.proxy.chain import ask_control
from tests.server import Brokenreg, brokenreg

KEY = "the key of the fleet of these tests"


class Fleet:
    """A database, and replicas that are stopped at the end of a block."""

    def __init__(self, server: PostgreSQLServer, url: str, folder: Path, stack: ExitStack) -> None:
        self.url = url
        self._server = server
        self._folder = folder
        self._stack = stack

    def process(self, name: str, *options: str, key: str = KEY) -> BrokenregProcess:
        """Start a replica in a process of its own, with a data folder of that name."""
        return self._stack.enter_context(
            brokenreg_process(self._folder / name, *self._options(key), *options)
        )

    def thread(self, name: str, *options: str, key: str = KEY) -> Brokenreg:
        """Start a replica in this process."""
        return self._stack.enter_context(brokenreg(self._folder / name, *self._options(key), *options))

    def _options(self, key: str) -> tuple[str, ...]:
        return ("--database", self.url, "--fleet-key", key, "--blobs", "file:")

    def sql(self, statement: str) -> str:
        """Run a statement, and return what it printed."""
        return self._server.run_sql(statement, self.url)

    def replica(self, running: Brokenreg) -> Replica:
        """A running replica as the others know it."""
        name = name_of(running)
        return Replica(name, Address.parse(self.sql(f"SELECT address FROM replicas WHERE name = '{name}'")))


def name_of(running: Brokenreg) -> str:
    """The name of a replica."""
    return (running.data / "replica").read_text().strip()


def own_exchanges(running: Brokenreg, filter_: str = "") -> list[dict[str, Any]]:
    """The exchanges of one replica that match, oldest first."""
    return list(ask_control(running, "exchanges", filter=filter_, replica=name_of(running)))


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what nobody acknowledges."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


_numbers = iter(range(1, 10_000))


@contextmanager
def new_fleet(server: PostgreSQLServer, folder: Path) -> Iterator[Fleet]:
    """A fleet without replicas."""
    url = server.create_database(f"fleet_{next(_numbers)}")
    with ExitStack() as stack:
        yield Fleet(server, url, folder, stack)
