"""What the brokenregs of the tests of real clients store their content in.

`BROKENREG_TEST_STORAGE` chooses one of `KINDS` for all of them:

- `folder` (the default): a data folder
- `shared`: an S3 server and PostgreSQL
- `fleet`: the same, for three replicas behind a proxy that sends each request to another
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import server
from tests.fleet.fleets import KEY
from tests.postgresql import PostgreSQLServer
from tests.round_robin import round_robin
from tests.server import Brokenreg

KINDS = ("folder", "shared", "fleet")
KIND = os.environ.get("BROKENREG_TEST_STORAGE", KINDS[0])

Start = Callable[..., AbstractContextManager[Brokenreg]]
"""Starts a brokenreg for the length of a block, with the parameters of `tests.server.brokenreg`."""

_numbers = itertools.count(1)


@dataclass
class Balanced(Brokenreg):
    """Replicas behind a proxy. What it says about itself is what the first one says."""

    replicas: list[Brokenreg] = field(default_factory=list)

    @property
    def is_running(self) -> bool:
        return all(each.is_running for each in self.replicas)

    @property
    def warnings(self) -> str:
        return "\n".join(filter(None, (each.warnings for each in self.replicas)))

    def stop(self) -> int:
        """Stop all replicas."""
        statuses = [each.stop() for each in self.replicas]
        lines = (line for each in self.replicas for line in each.lines)
        self.lines += sorted(lines, key=lambda line: line.get("time", 0))
        return max(statuses)


class SharedStorage:
    """An object store and a database. Brokenregs with the same data folder have the same content."""

    def __init__(self, postgresql: PostgreSQLServer) -> None:
        self._postgresql = postgresql
        self._options: dict[Path, tuple[str, ...]] = {}

    @contextmanager
    def one(self, data: Path, *arguments: str, **more: str) -> Iterator[Brokenreg]:
        """Run one brokenreg."""
        with server.brokenreg(data, *arguments, *self._options_of(data), **more) as running:
            yield running

    @contextmanager
    def three(self, data: Path, *arguments: str, **more: str) -> Iterator[Brokenreg]:
        """Run three replicas. With chosen addresses, run only one."""
        options = (*arguments, *self._options_of(data), "--fleet-key", KEY)
        with ExitStack() as stack:

            def start(folder: Path) -> Brokenreg:
                return stack.enter_context(server.brokenreg(folder, *options, **more))

            replicas = [start(data)]
            if "--listen" in arguments:
                yield replicas[0]
                return
            for name in "bc":
                folder = data.with_name(f"{data.name}-{name}")
                if (data / "tls").exists():  # replicas have the same certificate
                    shutil.copytree(data / "tls", folder / "tls", dirs_exist_ok=True)
                replicas.append(start(folder))
            ports = [int(each.host.rpartition(":")[2]) for each in replicas]
            port = stack.enter_context(round_robin(ports))
            url = replicas[0].url.replace(f":{ports[0]}", f":{port}")
            yield Balanced({**replicas[0].ready, "registry": url}, data, replicas=replicas)

    def _options_of(self, data: Path) -> tuple[str, ...]:
        if data not in self._options:
            number = next(_numbers)
            url = self._postgresql.create_database(f"clients_{number}")
            self._options[data] = ("--database", url, "--blobs", f"s3://blobs-of-tests/clients-{number}")
        return self._options[data]


@contextmanager
def shared_storage(postgresql: PostgreSQLServer) -> Iterator[SharedStorage]:
    """Yield a storage whose object store this process can reach."""
    from tests.storage.object_stores import (
        environment,
        s3_server,
    )  # not installed where only folders are used

    with s3_server() as s3, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(s3.port).items():
            patch.setenv(name, value)
        yield SharedStorage(postgresql)


_start: Start = server.brokenreg


def brokenreg(data: Path, *arguments: str, **more: str) -> AbstractContextManager[Brokenreg]:
    """Run a brokenreg on the chosen storage, as `tests.server.brokenreg` does on a folder."""
    return _start(data, *arguments, **more)


@contextmanager
def chosen_storage(postgresql: Callable[[], PostgreSQLServer]) -> Iterator[None]:
    """Use the storage that the environment names. `postgresql` starts a server, if one is needed."""
    global _start
    assert KIND in KINDS, f"BROKENREG_TEST_STORAGE={KIND}: use one of {', '.join(KINDS)}"
    if KIND == "folder":
        yield
        return
    with shared_storage(postgresql()) as storage:
        _start = storage.one if KIND == "shared" else storage.three
        yield
        _start = server.brokenreg
