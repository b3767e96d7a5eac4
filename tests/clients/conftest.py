"""Daemons, stores and settings of real clients, all in temporary folders.

One thing is the machine's: as root, podman, buildah and skopeo remember where they saw a blob in
`/var/lib/containers/cache`, and no option of theirs moves that.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.programs import attempt, daemon, need, run, search_path, unmount_below


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a name short enough for sockets in it."""
    folder = Path(tempfile.mkdtemp(prefix="brk-", dir="/tmp"))
    try:
        yield folder
    finally:
        left = unmount_below(folder)
        shutil.rmtree(folder)
        assert not left, f"still mounted: {left}"


@pytest.fixture(scope="session")
def client_env(short_folder: Path) -> dict[str, str]:
    """The environment for clients: a home of their own, no proxy, no settings of the machine."""
    home = short_folder / "home"
    settings = home / ".config" / "containers"
    for folder in (settings, home / "run", home / "tmp", home / ".docker"):
        folder.mkdir(parents=True)
    (settings / "policy.json").write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    (settings / "registries.conf").write_text("")
    (home / ".docker" / "config.json").write_text("{}")
    unwanted = ("DOCKER_", "CONTAINER", "REGISTRY_", "STORAGE_", "BUILDAH_", "XDG_")
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(unwanted) and not key.lower().endswith("_proxy")
    }
    return {
        **kept,
        "PATH": search_path(),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "DOCKER_CONFIG": str(home / ".docker"),
        "CONTAINERS_REGISTRIES_CONF": str(settings / "registries.conf"),
    }


@dataclass(frozen=True)
class Client:
    """A command with the options that all its calls begin with."""

    words: tuple[str, ...]
    env: dict[str, str]

    def __call__(self, *arguments: str | Path) -> str:
        """Run to a good end; its standard output without the last line end."""
        return self.output(*arguments).decode().removesuffix("\n")

    def output(self, *arguments: str | Path) -> bytes:
        """Run to a good end; its standard output as it is."""
        return run(*self.words, *arguments, env=self.env)

    def refused(self, *arguments: str | Path) -> str:
        """Run to a bad end; its standard error without the last line end."""
        done = attempt(*self.words, *arguments, env=self.env)
        assert done.returncode != 0, done.stdout.decode()
        return done.stderr.decode().removesuffix("\n")

    def works(self, *arguments: str | Path) -> bool:
        """Whether it runs to a good end."""
        return attempt(*self.words, *arguments, env=self.env).returncode == 0


@pytest.fixture(scope="session")
def docker(short_folder: Path, client_env: dict[str, str]) -> Iterator[Client]:
    """The docker command, on a daemon of its own."""
    need("dockerd", "docker", "containerd", "runc", root=True)
    folder = short_folder / "docker"
    folder.mkdir()
    socket = f"unix://{folder}/socket"
    assert len(socket) < 100
    options = {
        "--iptables": "false",
        "--ip6tables": "false",
        "--bridge": "none",
        "--storage-driver": "vfs",
        "--data-root": str(folder / "data"),
        "--exec-root": str(folder / "exec"),
        "--pidfile": str(folder / "pid"),
        "--host": socket,
    }
    command = ["dockerd", *(f"{option}={value}" for option, value in options.items())]
    client = Client(("docker", "--host", socket), client_env)
    with daemon(
        command,
        log=folder / "log",
        env=client_env,
        ready=lambda: client.works("version"),
    ):
        yield client


@pytest.fixture(scope="session")
def ctr(short_folder: Path, client_env: dict[str, str]) -> Iterator[Client]:
    """The ctr command, on a containerd of its own."""
    need("containerd", "ctr", root=True)
    folder = short_folder / "containerd"
    folder.mkdir()
    settings = folder / "config.toml"
    settings.write_text(
        f"""
        version = 2
        root = "{folder}/root"
        state = "{folder}/state"
        disabled_plugins = ["io.containerd.grpc.v1.cri"]
        [grpc]
        address = "{folder}/socket"
        [ttrpc]
        address = "{folder}/ttrpc"
        """
    )
    client = Client(("ctr", "--address", f"{folder}/socket"), client_env)
    with daemon(
        ["containerd", "--config", str(settings)],
        log=folder / "log",
        env=client_env,
        ready=lambda: client.works("version"),
    ):
        yield client


@contextmanager
def _store(short_folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A folder for containers/storage (which wants short names), and the options that say so."""
    folder = Path(tempfile.mkdtemp(dir=short_folder))
    try:
        yield folder, (f"--root={folder}/root", f"--runroot={folder}/run", "--storage-driver=vfs")
    finally:
        left = unmount_below(folder)
        shutil.rmtree(folder)
    assert not left, f"still mounted: {left}"


@pytest.fixture
def podman(short_folder: Path, client_env: dict[str, str]) -> Iterator[Client]:
    """The podman command, with a store of its own."""
    need("podman", root=True)
    with _store(short_folder) as (folder, options):
        options = (*options, f"--tmpdir={folder}/tmp", "--events-backend=none")
        yield Client(("podman", *options), client_env)


@pytest.fixture
def buildah(short_folder: Path, client_env: dict[str, str]) -> Iterator[Client]:
    """The buildah command, with a store of its own."""
    need("buildah", root=True)
    with _store(short_folder) as (_, options):
        yield Client(("buildah", *options), client_env)


@pytest.fixture
def skopeo(client_env: dict[str, str]) -> Client:
    """The skopeo command."""
    need("skopeo")
    return Client(("skopeo",), client_env)
