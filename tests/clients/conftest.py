"""The clients of `private.py` as fixtures. All tests of a session share the daemons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import private
from tests.clients.private import PROGRAMS, Client
from tests.clients.programs import need


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a name that is short enough for sockets in it."""
    with private.short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def client_env(short_folder: Path) -> dict[str, str]:
    """The environment for clients: their own home, no proxy, and no settings of the machine."""
    return private.client_environment(short_folder)


@pytest.fixture(scope="session")
def docker(short_folder: Path, client_env: dict[str, str]) -> Iterator[Client]:
    """The docker command with its own daemon."""
    need(*PROGRAMS["docker"], root=True)
    with private.docker_client(short_folder, client_env) as client:
        yield client


@pytest.fixture(scope="session")
def ctr(short_folder: Path, client_env: dict[str, str]) -> Iterator[Client]:
    """The ctr command with its own containerd."""
    need(*PROGRAMS["ctr"], root=True)
    with private.ctr_client(short_folder, client_env) as client:
        yield client


@pytest.fixture
def podman(short_folder: Path, client_env: dict[str, str]) -> Iterator[Client]:
    """The podman command with its own store."""
    need(*PROGRAMS["podman"], root=True)
    with private.podman_client(short_folder, client_env) as client:
        yield client


@pytest.fixture
def buildah(short_folder: Path, client_env: dict[str, str]) -> Iterator[Client]:
    """The buildah command with its own store."""
    need(*PROGRAMS["buildah"], root=True)
    with private.buildah_client(short_folder, client_env) as client:
        yield client


@pytest.fixture
def skopeo(client_env: dict[str, str]) -> Client:
    """The skopeo command."""
    need(*PROGRAMS["skopeo"])
    return Client(("skopeo",), client_env)
