"""The client configurations of `deploy/clients/` with real clients. Only the address is replaced.

With them, images keep their names: `docker pull hello` goes through brokenreg.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.clients import layouts
from tests.clients.layouts import KIB, Image, Index
from tests.clients.origins import Origin, homes, origin
from tests.clients.private import PROGRAMS, Client, docker_client, short_folder
from tests.clients.programs import need
from tests.clients.pullers import Ctr, Docker, Podman, Skopeo
from tests.clients.storages import brokenreg
from tests.server import Brokenreg

_SHIPPED = Path(__file__).parents[2] / "deploy" / "clients"

HELLO = layouts.index("proxy-hello")
APP = layouts.image("proxy-app", layers=2, size=KIB)


@dataclass(frozen=True)
class World:
    """A brokenreg in front of two registries: docker.io has `library/hello`, and quay.io has `org/app`."""

    registry: Brokenreg
    mirror: str
    """Host and port of the listener whose default upstream is docker.io."""
    docker_io: Origin
    quay: Origin

    def place(self, shipped: str, folder: Path) -> Path:
        """Copy a shipped file, with its addresses replaced by ours."""
        text = (_SHIPPED / shipped).read_text()
        assert "127.0.0.1:8080" in text or "127.0.0.1:8082" in text
        placed = folder / shipped
        placed.parent.mkdir(parents=True, exist_ok=True)
        placed.write_text(
            text.replace("127.0.0.1:8080", self.registry.host).replace("127.0.0.1:8082", self.mirror)
        )
        return placed

    def rule(self, fault: dict[str, object], repository: str) -> None:
        """Add a rule for all requests to a repository."""
        rule = {"match": {"repository": repository}, "fault": fault}
        httpx.post(f"{self.registry.control}/v1/rules", json=rule).raise_for_status()


@pytest.fixture(scope="module")
def world(client_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need(*PROGRAMS["skopeo"])
    skopeo = Client(("skopeo",), client_env)
    folder = tmp_path_factory.mktemp("world")
    with (
        origin("docker.io", "plain", folder / "docker.io") as docker_io,
        origin("quay.io", "plain", folder / "quay.io") as quay,
    ):
        docker_io.push(skopeo, "library/hello", HELLO)
        quay.push(skopeo, "org/app", APP)
        listeners = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=docker.io")
        options = (*listeners, *docker_io.options, *quay.options)
        with brokenreg(folder / "data", *options, **homes(folder / "nobody")) as running:
            first, second = httpx.get(f"{running.control}/v1/status").json()["registry"]
            assert first == running.url
            yield World(running, second.partition("://")[2], docker_io, quay)


def test_docker_registry_mirrors(world: World, client_env: dict[str, str], tmp_path: Path) -> None:
    need(*PROGRAMS["docker"], root=True)
    configuration = world.place("docker/daemon.json", tmp_path)
    with short_folder() as folder, docker_client(folder, client_env, configuration) as client:
        Docker(client).pull("hello:v1", HELLO)
        Docker(client).pull(f"docker.io/library/hello@{HELLO.digest}", HELLO)


def test_docker_mirror_with_a_path(world: World, tmp_path: Path) -> None:
    """Newer daemons take a path in a mirror's URL, and put it before `/v2/`. By hand: 20.10 refuses it."""
    document = json.loads(world.place("docker/daemon-mirror-with-path.json", tmp_path).read_text())
    (mirror,) = document["registry-mirrors"]
    assert httpx.get(f"{mirror}/v2/").status_code == 200
    _get_whole(f"{mirror}/v2/library/hello", HELLO)


def test_containerd_default(world: World, ctr: Client, tmp_path: Path) -> None:
    """`_default/hosts.toml`: every registry's name comes as `?ns=`."""
    hosts = world.place("containerd/_default/hosts.toml", tmp_path).parents[1]
    puller = Ctr(ctr, (f"--hosts-dir={hosts}",))
    puller.pull("docker.io/library/hello:v1", HELLO)
    puller.pull("quay.io/org/app:v1", APP)
    puller.forget()
    puller.pull(f"quay.io/org/app@{APP.digest}", APP)
    puller.forget()


def test_containerd_override_path(world: World, ctr: Client, tmp_path: Path) -> None:
    """A registry's own `hosts.toml`: its name comes in the path and as `?ns=`."""
    hosts = world.place("containerd-override-path/quay.io/hosts.toml", tmp_path).parents[1]
    puller = Ctr(ctr, (f"--hosts-dir={hosts}",))
    puller.pull("quay.io/org/app:v1", APP)
    puller.forget()


@pytest.mark.parametrize("shipped", ["containerd/_default", "containerd-override-path/quay.io"])
def test_containerd_uses_no_other_registry(world: World, ctr: Client, tmp_path: Path, shipped: str) -> None:
    """`server =` is brokenreg too, so that an injected failure is one."""
    hosts = world.place(f"{shipped}/hosts.toml", tmp_path).parents[1]
    world.rule({"type": "error", "status": 418}, "org/failing")
    said = ctr.refused("images", "pull", f"--hosts-dir={hosts}", "quay.io/org/failing:v1")
    assert f"{world.registry.host}" in said
    assert "418" in said


def test_registries_conf(world: World, podman: Client, skopeo: Client, tmp_path: Path) -> None:
    """podman and skopeo; the images keep their own names."""
    path = world.place("containers/registries.conf", tmp_path)
    puller = Podman(Client(podman.words, podman.env | {"CONTAINERS_REGISTRIES_CONF": str(path)}), ())
    puller.pull("docker.io/library/hello:v1", HELLO)
    puller.pull("quay.io/org/app:v1", APP)
    names = json.loads(podman("image", "inspect", "quay.io/org/app:v1"))[0]["RepoTags"]
    assert names == ["quay.io/org/app:v1"]
    copier = Skopeo(_with_registries(skopeo, path), tmp_path / "copied", ())
    copier.pull("docker.io/library/hello:v1", HELLO)
    copier.pull(f"quay.io/org/app@{APP.digest}", APP)


def test_registries_conf_uses_no_other_registry(world: World, skopeo: Client, tmp_path: Path) -> None:
    """`location =` stands in for the registry, so that an injected failure is one."""
    path = world.place("containers/registries.conf", tmp_path)
    client = _with_registries(skopeo, path)
    world.rule({"type": "error", "status": 418}, "org/broken")
    assert "418" in client.refused("inspect", "docker://quay.io/org/broken:v1")


def test_buildkit(world: World, tmp_path: Path) -> None:
    """What BuildKit makes of `buildkitd.toml`, by hand: Debian has none. The name comes twice."""
    registries = tomllib.loads(world.place("buildkit/buildkitd.toml", tmp_path).read_text())["registry"]
    for name, repository, top in (("docker.io", "library/hello", HELLO), ("quay.io", "org/app", APP)):
        (mirror,) = registries[name]["mirrors"]
        host, _, path = mirror.partition("/")
        scheme = "http" if registries[host].get("http") else "https"
        _get_whole(f"{scheme}://{host}/v2/{path}/{repository}", top, ns=name)


def _with_registries(skopeo: Client, path: Path) -> Client:
    """skopeo 1.9 does not read CONTAINERS_REGISTRIES_CONF."""
    return Client((*skopeo.words, f"--registries-conf={path}"), skopeo.env)


def _get_whole(repository: str, top: Image | Index, **query: str) -> None:
    """Fetch an image like clients: its tag, all manifests by digest, and all blobs."""
    with httpx.Client(params=query, timeout=30) as http:
        head = http.head(f"{repository}/manifests/v1", headers={"accept": top.manifest.media_type})
        assert head.headers["docker-content-digest"] == top.digest
        for manifest in top.manifests:
            got = http.get(f"{repository}/manifests/{manifest.digest}")
            assert (got.content, got.headers["content-type"]) == (manifest.data, manifest.media_type)
        for blob in top.blobs:
            assert http.get(f"{repository}/blobs/{blob.digest}").content == blob.data
