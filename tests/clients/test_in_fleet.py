"""skopeo again, with each of its requests at another of three replicas.

With `BROKENREG_TEST_STORAGE=fleet`, all tests of real clients run like this.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.storages import shared_storage
from tests.clients.test_skopeo import *  # noqa: F403
from tests.postgresql import PostgreSQLServer
from tests.server import Brokenreg


@pytest.fixture(scope="module")
def registry(postgresql: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    with (
        shared_storage(postgresql) as storage,
        storage.three(tmp_path_factory.mktemp("fleet") / "data") as running,
    ):
        yield running
