"""Fleets for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.fleets import Fleet, new_fleet
from tests.postgresql import PostgreSQLServer
from tests.process import BrokenregProcess


@pytest.fixture
def fleet(postgresql: PostgreSQLServer, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet that a test has for itself, without replicas."""
    with new_fleet(postgresql, tmp_path) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def shared_fleet(postgresql: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The fleet of `pair`."""
    with new_fleet(postgresql, tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def pair(shared_fleet: Fleet) -> tuple[BrokenregProcess, BrokenregProcess]:
    """Two replicas in processes, for all tests of a module."""
    return shared_fleet.process("a"), shared_fleet.process("b")
