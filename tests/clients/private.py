"""Real clients with their own daemons, stores and settings, all in temporary folders.

One exception is shared: as root, podman, buildah and skopeo remember where they saw a blob in
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

from tests.clients.programs import attempt, daemon, run, search_path, unmount_below

PROGRAMS = {
    "docker": ("dockerd", "docker", "containerd", "runc"),
    "ctr": ("containerd", "ctr"),
    "podman": ("podman",),
    "buildah": ("buildah",),
    "skopeo": ("skopeo",),
}
"""What must be installed for each client."""


@dataclass(frozen=True)
class Client:
    """A command with the options that all its calls begin with."""

    words: tuple[str, ...]
    env: dict[str, str]

    def __call__(self, *arguments: str | Path) -> str:
        """Run successfully, and return the standard output without the last line end."""
        return self.output(*arguments).decode().removesuffix("\n")

    def output(self, *arguments: str | Path) -> bytes:
        """Run successfully, and return the standard output unchanged."""
        return run(*self.words, *arguments, env=self.env)

    def refused(self, *arguments: str | Path) -> str:
        """Run with a failure, and return the standard error without the last line end."""
        done = attempt(*self.words, *arguments, env=self.env)
        assert done.returncode != 0, done.stdout.decode()
        return done.stderr.decode().removesuffix("\n")

    def works(self, *arguments: str | Path) -> bool:
        """Return whether it runs successfully."""
        return attempt(*self.words, *arguments, env=self.env).returncode == 0


@contextmanager
def short_folder(within: Path = Path("/tmp")) -> Iterator[Path]:
    """Yield a folder with a name that is short enough for sockets. Nothing below it stays mounted."""
    folder = Path(tempfile.mkdtemp(prefix="brk-", dir=within))
    try:
        yield folder
    finally:
        left = unmount_below(folder)
        shutil.rmtree(folder)
    assert not left, f"still mounted: {left}"


def client_environment(folder: Path) -> dict[str, str]:
    """Return the environment for clients: their own home, no proxy, and no settings of the machine."""
    home = folder / "home"
    settings = home / ".config" / "containers"
    for each in (settings, home / "run", home / "tmp", home / ".docker"):
        each.mkdir(parents=True)
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


@contextmanager
def docker_client(
    within: Path, env: dict[str, str], configuration: Path | None = None, *, prefix: tuple[str, ...] = ()
) -> Iterator[Client]:
    """The docker command, on a daemon of its own with that `daemon.json`; `prefix` starts the daemon."""
    folder = within / "docker"
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
    if configuration is not None:
        options["--config-file"] = str(configuration)
    command = [*prefix, "dockerd", *(f"{option}={value}" for option, value in options.items())]
    client = Client(("docker", "--host", socket), env)
    with daemon(command, log=folder / "log", env=env, ready=lambda: client.works("version")):
        yield client


@contextmanager
def ctr_client(within: Path, env: dict[str, str], *, prefix: tuple[str, ...] = ()) -> Iterator[Client]:
    """The ctr command, on a containerd of its own, which starts after `prefix`."""
    folder = within / "containerd"
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
    client = Client(("ctr", "--address", f"{folder}/socket"), env)
    command = [*prefix, "containerd", "--config", str(settings)]
    with daemon(command, log=folder / "log", env=env, ready=lambda: client.works("version")):
        yield client


@contextmanager
def podman_client(within: Path, env: dict[str, str]) -> Iterator[Client]:
    """The podman command, with a store of its own."""
    with short_folder(within) as folder:
        yield Client(("podman", *_store(folder), f"--tmpdir={folder}/tmp", "--events-backend=none"), env)


@contextmanager
def buildah_client(within: Path, env: dict[str, str]) -> Iterator[Client]:
    """The buildah command, with a store of its own."""
    with short_folder(within) as folder:
        yield Client(("buildah", *_store(folder)), env)


def _store(folder: Path) -> tuple[str, ...]:
    """The options for a containers/storage in a folder; it wants short names."""
    return (f"--root={folder}/root", f"--runroot={folder}/run", "--storage-driver=vfs")
