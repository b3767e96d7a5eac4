"""The clients of the exam: how each is started in a folder of its own, and what a user would type.

Settings are in files and in the environment, so the commands name nothing of the machine that runs them.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.private import (
    PROGRAMS,
    Client,
    client_environment,
    ctr_client,
    docker_client,
    short_folder,
)

Environment = dict[str, str]
_SCRIPTS = "tests/clients/examined"
_PLAIN = "--tls-verify=false"


@dataclass(frozen=True)
class ExaminedClient:
    """A client. `commands` has one for each action of the exam that it can do; `jobs` is for `--jobs`."""

    name: str
    programs: tuple[str, ...]
    ready: Callable[[Path], AbstractContextManager[Environment]]
    """Provides the environment in which the commands work."""

    version: tuple[str, ...]
    """Prints the version as its last word."""

    commands: Mapping[str, str]
    cleanup: str = ""
    jobs: int = 2
    module: str = ""
    needs_root: bool = field(default=True, kw_only=True)
    note: str = field(default="", kw_only=True)
    """What a reader has to know about the version."""


@contextmanager
def _alone(folder: Path) -> Iterator[Environment]:
    """A client without a daemon or a store. The Python of the tests comes first in its PATH."""
    env = client_environment(folder)
    yield {**env, "PATH": f"{Path(sys.executable).parent}:{env['PATH']}"}


@contextmanager
def _with_store(folder: Path) -> Iterator[Environment]:
    """Podman or buildah, with a store in the folder, which keeps copies of layers (vfs)."""
    env = client_environment(folder)
    with short_folder(folder) as store:
        storage = store / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{store}/root"\nrunroot = "{store}/run"\n'
        )
        settings = store / "containers.conf"
        settings.write_text(f'[engine]\nevents_logger = "none"\ntmp_dir = "{store}/tmp"\n')
        yield {**env, "CONTAINERS_STORAGE_CONF": str(storage), "CONTAINERS_CONF": str(settings)}


@contextmanager
def _with_dockerd(folder: Path) -> Iterator[Environment]:
    env = client_environment(folder)
    with docker_client(folder, env) as client:
        yield {**env, "DOCKER_HOST": client.words[2]}


@contextmanager
def _with_containerd(folder: Path) -> Iterator[Environment]:
    env = client_environment(folder)
    with ctr_client(folder, env) as client:
        yield {**env, "CONTAINERD_ADDRESS": client.words[2], "CONTAINERD_SNAPSHOTTER": "native"}


def _shell(*commands: str) -> str:
    return f"sh -c '{' && '.join(commands)}'"


SKOPEO = ExaminedClient(
    "skopeo",
    PROGRAMS["skopeo"],
    _alone,
    ("skopeo", "--version"),
    {
        "pull": "skopeo copy --src-tls-verify=false docker://{image} dir:{workdir}/copy",
        "pull-tls": "skopeo copy docker://{image} dir:{workdir}/copy",
        "push": "skopeo copy --dest-tls-verify=false oci:{layout}:v1 docker://{image}",
        "list": f"skopeo list-tags {_PLAIN} docker://{{registry}}/{{repository}}",
    },
    needs_root=False,
)
PODMAN = ExaminedClient(
    "podman",
    PROGRAMS["podman"],
    _with_store,
    ("podman", "--version"),
    {
        "pull": f"podman pull {_PLAIN} {{image}}",
        "pull-tls": "podman pull {image}",
        "push": _shell("podman pull --quiet docker-archive:{archive}", f"podman push {_PLAIN} {{image}}"),
        "list": f"podman search --list-tags --limit 10000 {_PLAIN} {{registry}}/{{repository}}",
    },
    "podman rmi --force {image}",
)
BUILDAH = ExaminedClient(
    "buildah",
    PROGRAMS["buildah"],
    _with_store,
    ("buildah", "version", "--json"),
    {
        "pull": f"buildah pull {_PLAIN} {{image}}",
        "pull-tls": "buildah pull {image}",
        "push": _shell("buildah pull --quiet docker-archive:{archive}", f"buildah push {_PLAIN} {{image}}"),
    },
    "buildah rmi --force {image}",
)
DOCKER = ExaminedClient(
    "docker",
    PROGRAMS["docker"],
    _with_dockerd,
    ("docker", "version", "--format", "{{.Server.Version}}"),
    {
        "pull": "docker pull {image}",
        "push": _shell("docker load --input {archive}", "docker push {image}"),
    },
    "docker image rm --force {image}",
    jobs=1,
    note="the daemon, which sends the requests",
)
CTR = ExaminedClient(
    "ctr",
    PROGRAMS["ctr"],
    _with_containerd,
    ("ctr", "--version"),
    {
        "pull": "ctr images pull --plain-http --user {username}:{password} {image}",
        "pull-tls": f"{_SCRIPTS}/ctr_pull_tls.sh {{registry}} {{ca_file}} {{workdir}}/hosts {{image}}",
        "push": _shell(
            "ctr images import --index-name {image} {archive}",
            "ctr images push --plain-http --user {username}:{password} {image}",
        ),
    },
    "ctr images rm --sync {image}",
    jobs=1,
    note="of containerd",
)
ORAS = ExaminedClient(
    "oras",
    (),
    _alone,
    (),
    {
        "pull": f"python {_SCRIPTS}/oras_pull.py {{image}} {{workdir}}/copy",
        "pull-tls": f"python {_SCRIPTS}/oras_pull.py --tls {{image}} {{workdir}}/copy",
        "list": f"python {_SCRIPTS}/oras_list.py {{registry}}/{{repository}}",
    },
    module="oras",
    needs_root=False,
    note="the Python package",
)

CLIENTS = {each.name: each for each in (SKOPEO, PODMAN, BUILDAH, DOCKER, CTR, ORAS)}
"""By name, in the order of the columns."""


def version_of(client: ExaminedClient, env: Environment) -> str:
    """Return the version as the client reports it."""
    if client.module:
        return importlib.metadata.version(client.module)
    said = Client(client.version, env)()
    return str(json.loads(said)["version"]) if said.startswith("{") else said.split()[-1]
