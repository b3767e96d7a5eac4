"""The Docker daemon pushes and pulls images, lists and indexes with the same digests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import layouts, wire
from tests.clients.layouts import MIB
from tests.clients.private import Client
from tests.server import Brokenreg


@pytest.fixture(autouse=True)
def nothing_stays(docker: Client) -> Iterator[None]:
    """Delete all images of the daemon after a test, because existing ones are not pulled again."""
    yield
    if images := docker("image", "ls", "--all", "--quiet", "--no-trunc").split():
        docker("image", "rm", "--force", *sorted(set(images)))


def _inspect(docker: Client, reference: str, what: str) -> str:
    return docker("image", "inspect", "--format", what, reference)


def _pull(docker: Client, *arguments: str) -> str:
    """Pull, and return the digest that the daemon reports."""
    (line,) = (line for line in docker("pull", *arguments).splitlines() if line.startswith("Digest: "))
    return line.removeprefix("Digest: ")


@pytest.mark.parametrize(("layers", "size"), [(1, 10), (4, 3 * MIB), (12, 1000)])
def test_push_and_pull(docker: Client, registry: Brokenreg, tmp_path: Path, layers: int, size: int) -> None:
    repository = f"docker/push{layers}"
    reference = f"{registry.host}/{repository}:v1"
    top = layouts.image(repository.replace("/", "-"), layers=layers, size=size)
    docker("load", "--input", layouts.docker_archive(tmp_path / "image.tar", top, reference))
    said = docker("push", reference).splitlines()[-1]

    served = wire.manifest(registry, repository, "v1")
    assert said == f"v1: digest: {served.digest} size: {len(served.body)}"
    assert served.media_type == layouts.DOCKER_MANIFEST
    assert served.document["config"]["digest"] == top.config.digest
    assert len(wire.everything(registry, repository, "v1")) == layers + 2

    docker("rmi", reference)
    assert _pull(docker, reference) == served.digest
    assert _inspect(docker, reference, "{{.Id}}") == top.config.digest
    assert json.loads(_inspect(docker, reference, "{{json .RepoDigests}}")) == [
        f"{registry.host}/{repository}@{served.digest}"
    ]
    diff_ids = json.loads(_inspect(docker, reference, "{{json .RootFS.Layers}}"))
    assert diff_ids == json.loads(top.config.data)["rootfs"]["diff_ids"]


def test_push_again_and_elsewhere(docker: Client, registry: Brokenreg, tmp_path: Path) -> None:
    """A second push uploads nothing; one to another repository mounts what is here already."""
    first, second = f"{registry.host}/docker/first:v1", f"{registry.host}/docker/second:v1"
    top = layouts.image("docker-again")
    docker("load", "--input", layouts.docker_archive(tmp_path / "image.tar", top, first))
    docker("push", first)
    again = docker("push", first).splitlines()
    assert sum(line.endswith(": Layer already exists") for line in again) == 3

    docker("tag", first, second)
    elsewhere = docker("push", second).splitlines()
    assert sum(line.endswith(": Mounted from docker/first") for line in elsewhere) == 3
    digest = wire.manifest(registry, "docker/first", "v1").digest
    assert again[-1].startswith(f"v1: digest: {digest} ")
    assert elsewhere[-1].startswith(f"v1: digest: {digest} ")
    assert wire.everything(registry, "docker/first", "v1") == wire.everything(registry, "docker/second", "v1")


@pytest.mark.parametrize("docker_form", [False, True], ids=["oci", "docker"])
def test_pull_image_by_tag_and_digest(docker: Client, registry: Brokenreg, docker_form: bool) -> None:
    repository = f"docker/image-{docker_form}".lower()
    top = layouts.image(f"docker-image-{docker_form}", docker=docker_form)
    wire.put(registry, repository, "v1", top)
    assert _pull(docker, f"{registry.host}/{repository}:v1") == top.digest
    assert _pull(docker, f"{registry.host}/{repository}@{top.digest}") == top.digest
    assert _inspect(docker, f"{registry.host}/{repository}:v1", "{{.Id}}") == top.config.digest


@pytest.mark.parametrize("docker_form", [False, True], ids=["oci-index", "docker-list"])
def test_pull_one_platform_of_many(docker: Client, registry: Brokenreg, docker_form: bool) -> None:
    repository = f"docker/many-{docker_form}".lower()
    reference = f"{registry.host}/{repository}:v1"
    top = layouts.index(f"docker-many-{docker_form}", docker=docker_form)
    wire.put(registry, repository, "v1", top)
    for image in top.images:
        assert _pull(docker, "--platform", f"linux/{image.architecture}", reference) == top.digest
        assert _inspect(docker, reference, "{{.Id}}") == image.config.digest
        assert _inspect(docker, reference, "{{.Architecture}}") == image.architecture


def test_push_a_manifest_list(docker: Client, registry: Brokenreg, tmp_path: Path) -> None:
    """Two pushed images become a list; the daemon then pulls either by the list's tag."""
    reference = f"{registry.host}/docker/list:v1"
    configs: dict[str, str] = {}
    for architecture in ("amd64", "arm64"):
        top = layouts.image("docker-list", architecture=architecture)
        tag = f"{registry.host}/docker/list:{architecture}"
        docker("load", "--input", layouts.docker_archive(tmp_path / f"{architecture}.tar", top, tag))
        docker("push", tag)
        docker("rmi", tag)
        configs[architecture] = top.config.digest
    parts = [f"{registry.host}/docker/list:{architecture}" for architecture in configs]
    docker("manifest", "create", "--insecure", reference, *parts)
    for part, architecture in zip(parts, configs, strict=True):
        docker("manifest", "annotate", "--os=linux", f"--arch={architecture}", reference, part)
    said = docker("manifest", "push", "--insecure", "--purge", reference).splitlines()[-1]

    served = wire.manifest(registry, "docker/list", "v1")
    assert said == served.digest
    assert served.media_type == layouts.DOCKER_LIST
    for architecture, config in configs.items():
        assert _pull(docker, "--platform", f"linux/{architecture}", reference) == served.digest
        assert _inspect(docker, reference, "{{.Id}}") == config

    inspected = json.loads(docker("manifest", "inspect", "--insecure", reference))
    assert inspected == served.document


def test_all_tags(docker: Client, registry: Brokenreg) -> None:
    """`--all-tags` reads the tag list, then pulls each."""
    tops = {tag: layouts.image(f"docker-all-{tag}", layers=1) for tag in ("a", "b", "c")}
    for tag, top in tops.items():
        wire.put(registry, "docker/all", tag, top)
    docker("pull", "--quiet", "--all-tags", f"{registry.host}/docker/all")
    for tag, top in tops.items():
        assert _inspect(docker, f"{registry.host}/docker/all:{tag}", "{{.Id}}") == top.config.digest


def test_a_missing_layer(docker: Client, registry: Brokenreg) -> None:
    """A manifest whose blobs are missing can be pushed to `broken/prepared`; a pull says what is missing."""
    top = layouts.image("docker-missing")
    wire.put_manifest(registry, "broken/prepared", "no-blobs", top.manifest)
    said = docker.refused("pull", f"{registry.host}/broken/prepared:no-blobs")
    assert "unknown" in said


@pytest.mark.parametrize("reference", ["broken/nonsense:latest", "docker/never/pushed@{digest}"])
def test_missing_content(docker: Client, registry: Brokenreg, reference: str) -> None:
    said = docker.refused("pull", f"{registry.host}/{reference.format(digest='sha256:' + '0' * 64)}")
    assert said.startswith("Error response from daemon: ")


def test_the_log_of_a_pull(docker: Client, own_registry: Brokenreg) -> None:
    """One manifest, one config and each layer, with the daemon's name and the sizes of the bodies."""
    top = layouts.image("docker-log", layers=4)
    wire.put(own_registry, "docker/log", "v1", top)
    docker("pull", "--quiet", f"{own_registry.host}/docker/log:v1")
    assert own_registry.stop() == 0
    asked = [each for each in own_registry.lines if each.get("user_agent", "").startswith("docker/")]
    assert {each["status"] for each in asked} == {200}
    assert {each["repository"] for each in asked if each["endpoint"] != "ping"} == {"docker/log"}
    got: dict[str, list[dict[str, Any]]] = {}
    for each in asked:
        if each["endpoint"] != "ping":
            assert each["ended"] == "complete"
            got.setdefault(f"{each['method']} {each['endpoint']}", []).append(each)
    assert sorted(got) == ["GET config", "GET layer", "GET manifest", "HEAD manifest"]
    assert [each["reference"] for each in got["HEAD manifest"]] == ["v1"]
    assert [each["reference"] for each in got["GET manifest"]] == [top.digest]
    assert [each["reference"] for each in got["GET config"]] == [top.config.digest]
    bodies = {each["reference"]: each["response_bytes"] for each in got["GET layer"]}
    assert bodies == {layer.digest: len(layer.data) for layer in top.layers}
    assert len(got["GET layer"]) == len(top.layers)
