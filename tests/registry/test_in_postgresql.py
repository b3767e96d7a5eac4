"""The tests of the registry again, with the index in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.postgresql import PostgreSQLServer
from tests.registry.test_blobs import *  # noqa: F403
from tests.registry.test_blobs import _pushed as _pushed  # a fixture that pushes what its tests read
from tests.registry.test_catalog import *  # noqa: F403
from tests.registry.test_fabricating import *  # noqa: F403
from tests.registry.test_manifests import *  # noqa: F403
from tests.registry.test_pages import *  # noqa: F403
from tests.registry.test_referrers import *  # noqa: F403
from tests.registry.test_tags import *  # noqa: F403
from tests.registry.test_tags import _pushed as _tagged  # noqa: F401 - the same for tags
from tests.registry.test_uploads import *  # noqa: F403
from tests.server import Brokenreg, brokenreg

_numbers = count(1)


@pytest.fixture(scope="module")
def new_database(postgresql: PostgreSQLServer) -> Callable[[], str]:
    return lambda: postgresql.create_database(f"registry_{next(_numbers)}")


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]
) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path_factory.mktemp("data") / "data", "--database", new_database()) as running:
        yield running


@pytest.fixture
def own_registry(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path / "data", "--database", new_database()) as running:
        yield running


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]) -> Iterator[Brokenreg]:
    folder = tmp_path_factory.mktemp("secure") / "data"
    with brokenreg(folder, "--tls", "self-signed", "--database", new_database()) as running:
        yield running
