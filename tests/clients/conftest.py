"""The clients of `private.py` as fixtures. All tests of a session share the daemons."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import private, storages
from tests.clients.private import PROGRAMS, Client
from tests.clients.programs import need
from tests.clients.storages import brokenreg, chosen_storage
from tests.panel.tmux import Terminal
from tests.server import Brokenreg


def pytest_runtest_setup(item: pytest.Item) -> None:
    if storages.KIND == "fleet" and item.get_closest_marker("one_replica"):
        pytest.skip("each replica has its own")


@pytest.fixture(scope="session", autouse=True)
def storage(request: pytest.FixtureRequest) -> Iterator[None]:
    """The storage of all brokenregs of these tests."""
    with chosen_storage(lambda: request.getfixturevalue("postgresql")):
        yield


@pytest.fixture(scope="module")
def registry(storage: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """One brokenreg for all tests of a module; each test uses repositories of its own."""
    with brokenreg(tmp_path_factory.mktemp("data") / "data") as running:
        yield running


@pytest.fixture
def own_registry(storage: None, tmp_path: Path) -> Iterator[Brokenreg]:
    """A brokenreg that the test has for itself."""
    with brokenreg(tmp_path / "data") as running:
        yield running


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


@pytest.fixture
def ready(terminal: Terminal, tmp_path: Path) -> dict[str, str]:
    """A panel in the `terminal` of the module, with a control API."""
    ready_file = tmp_path / "ready.json"
    command = [
        sys.executable, "-m", "brokenreg", "tui", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0",
        "--data", str(tmp_path / "data"), "--ready-file", str(ready_file), "--offline",
    ]  # fmt: skip
    terminal.type(shlex.join(command))
    terminal.wait_for("● LIVE")
    ready: dict[str, str] = json.loads(ready_file.read_text())
    return ready
