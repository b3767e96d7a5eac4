"""The tests of the registry again, with each request at another of three replicas.

The replicas have one PostgreSQL database and one object store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import cycle
from pathlib import Path

import httpx
import pytest

from tests.fleet.fleets import Fleet, new_fleet
from tests.postgresql import PostgreSQLServer
from tests.registry.test_blobs import *  # noqa: F403
from tests.registry.test_blobs import _pushed as _pushed  # a fixture that pushes what its tests read
from tests.registry.test_manifests import *  # noqa: F403
from tests.registry.test_referrers import *  # noqa: F403
from tests.registry.test_tags import *  # noqa: F403
from tests.registry.test_tags import _pushed as _tagged  # noqa: F401 - the same for tags
from tests.registry.test_uploads import *  # noqa: F403
from tests.server import Brokenreg
from tests.storage.object_stores import environment, s3_server


class Balanced(httpx.AsyncHTTPTransport):
    """Sends each request to another replica."""

    def __init__(self, replicas: list[Brokenreg]) -> None:
        super().__init__()
        self._urls = cycle([httpx.URL(each.url) for each in replicas])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(port=next(self._urls).port)
        return await super().handle_async_request(request)


@pytest.fixture(scope="module")
def balanced_fleet(postgresql: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with s3_server() as s3, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(s3.port).items():
            patch.setenv(name, value)
        patch.setattr("brokenreg.fleet.acknowledgements.PATIENCE", 30)
        with new_fleet(postgresql, tmp_path_factory.mktemp("balanced")) as fleet:
            yield fleet


@pytest.fixture(scope="module")
def replicas(balanced_fleet: Fleet) -> list[Brokenreg]:
    return [balanced_fleet.thread(name, "--blobs", "s3://blobs-of-tests/fleet") for name in "abc"]


@pytest.fixture(scope="module")
def registry(replicas: list[Brokenreg]) -> Brokenreg:
    """One of the replicas, for tests that open a connection themselves."""
    return replicas[0]


@pytest.fixture
def own_registry(balanced_fleet: Fleet, postgresql: PostgreSQLServer, tmp_path: Path) -> Iterator[Brokenreg]:
    """The only replica of its fleet: requests to its control API are about all replicas."""
    with new_fleet(postgresql, tmp_path) as fleet:
        yield fleet.thread("own", "--blobs", f"s3://blobs-of-tests/{tmp_path.name}")


@pytest.fixture
async def http(replicas: list[Brokenreg]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=replicas[0].url, timeout=30, transport=Balanced(replicas)
    ) as client:
        yield client


# Tests that are about one replica: it holds a response, or has the file of a session.
del test_a_held_response_does_not_hold_its_session, test_cancel  # noqa: F821 - imported above
