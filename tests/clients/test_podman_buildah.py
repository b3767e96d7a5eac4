"""podman and buildah push and pull, each with its own store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients import layouts, wire
from tests.clients.layouts import MIB
from tests.clients.private import Client
from tests.server import Brokenreg

_PLAIN = "--tls-verify=false"


def _reported(digest_file: Path) -> str:
    return digest_file.read_text().strip()


@pytest.mark.parametrize(("layers", "size"), [(1, 10), (4, 2 * MIB)])
@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_podman_push_and_pull(
    podman: Client, registry: Brokenreg, tmp_path: Path, layers: int, size: int, form: str
) -> None:
    repository = f"podman/{form}{layers}"
    reference = f"{registry.host}/{repository}:v1"
    top = layouts.image(repository.replace("/", "-"), layers=layers, size=size)
    archive = layouts.pack_layout(layouts.write_layout(tmp_path / "layout", top), tmp_path / "image.tar")
    digest_file = tmp_path / "digest"
    identity = podman("pull", "--quiet", f"oci-archive:{archive}")
    podman("push", _PLAIN, f"--format={form}", f"--digestfile={digest_file}", identity, reference)

    served = wire.manifest(registry, repository, "v1")
    assert _reported(digest_file) == served.digest
    assert served.media_type == (layouts.OCI_MANIFEST if form == "oci" else layouts.DOCKER_MANIFEST)
    assert len(wire.everything(registry, repository, "v1")) == layers + 2

    podman("rmi", "--all", "--force")
    config = served.document["config"]["digest"]
    assert podman("pull", "--quiet", _PLAIN, reference) == config.partition(":")[2]
    assert podman("image", "inspect", "--format={{.Digest}}", reference) == served.digest
    assert (
        json.loads(podman("image", "inspect", "--format={{json .RootFS.Layers}}", reference))
        == json.loads(top.config.data)["rootfs"]["diff_ids"]
    )


@pytest.mark.parametrize("docker_form", [False, True], ids=["oci-index", "docker-list"])
def test_podman_pulls_one_platform_of_many(podman: Client, registry: Brokenreg, docker_form: bool) -> None:
    repository = f"podman/many-{docker_form}".lower()
    reference = f"{registry.host}/{repository}:v1"
    top = layouts.index(f"podman-many-{docker_form}", docker=docker_form)
    wire.put(registry, repository, "v1", top)
    for image in top.images:
        identity = podman("pull", "--quiet", _PLAIN, f"--arch={image.architecture}", reference)
        assert identity == image.config.hex
        digests = podman("image", "inspect", "--format={{json .RepoDigests}}", identity)
        assert f"{registry.host}/{repository}@{top.digest}" in json.loads(digests)


@pytest.mark.parametrize(("form", "media_type"), [("oci", layouts.OCI_INDEX), ("v2s2", layouts.DOCKER_LIST)])
def test_podman_manifest_list(
    podman: Client, registry: Brokenreg, tmp_path: Path, form: str, media_type: str
) -> None:
    """A list of two images that are in the registry, pushed with all that belongs to it."""
    repository = f"podman/list-{form}"
    images = _two_images(registry, "podman/parts", docker_form=form == "v2s2")
    podman("manifest", "create", "two")
    for image in images:
        podman(
            "manifest", "add", _PLAIN, "two", f"docker://{registry.host}/podman/parts:{image.architecture}"
        )
    digest_file = tmp_path / "digest"
    arguments = ("push", _PLAIN, "--all", f"--format={form}", f"--digestfile={digest_file}", "two")
    podman("manifest", *arguments, f"docker://{registry.host}/{repository}:v1")
    _check_list(registry, repository, images, _reported(digest_file), media_type)
    for image in images:
        reference = f"{registry.host}/{repository}:v1"
        identity = podman("pull", "--quiet", _PLAIN, f"--arch={image.architecture}", reference)
        assert identity == image.config.hex


def test_podman_search_finds_what_was_pushed(podman: Client, registry: Brokenreg) -> None:
    """`podman search --list-tags` reads the tag list."""
    for tag in ("a", "b"):
        wire.put(registry, "podman/tags", tag, layouts.image(f"podman-{tag}", layers=1))
    name = f"{registry.host}/podman/tags"
    listed = podman("search", _PLAIN, "--list-tags", "--format=json", name)
    assert json.loads(listed) == [{"Name": name, "Tags": ["a", "b"]}]


def test_podman_pulls_broken_images(podman: Client, registry: Brokenreg) -> None:
    served = wire.manifest(registry, "broken/random", "layers-3_size-1024")
    reference = f"{registry.host}/broken/random:layers-3_size-1024"
    identity = podman("pull", "--quiet", _PLAIN, reference)
    assert served.document["config"]["digest"] == f"sha256:{identity}"

    said = podman.refused("pull", _PLAIN, f"{registry.host}/broken/error:404")
    assert "manifest unknown: Looking for something?" in said


def test_buildah_builds_pushes_and_pulls(buildah: Client, registry: Brokenreg, tmp_path: Path) -> None:
    """Two layers, built from nothing."""
    (tmp_path / "one").write_text("1\n")
    (tmp_path / "two").write_text("2\n")
    base = "scratch"
    for name in ("one", "two"):
        container = buildah("from", base)
        buildah("copy", container, str(tmp_path / name), f"/{name}")
        buildah("commit", "--quiet", "--timestamp=0", "--rm", container, f"localhost/{name}")
        base = f"localhost/{name}"
    reference = f"docker://{registry.host}/buildah/built:v1"
    digest_file = tmp_path / "digest"
    buildah("push", _PLAIN, f"--digestfile={digest_file}", base, reference)

    served = wire.manifest(registry, "buildah/built", "v1")
    assert _reported(digest_file) == served.digest
    assert len(served.document["layers"]) == 2
    assert len(wire.everything(registry, "buildah/built", "v1")) == 4

    buildah("rmi", "--all", "--force")
    identity = buildah("pull", "--quiet", _PLAIN, reference)
    assert f"sha256:{identity}" == served.document["config"]["digest"]
    inspected = json.loads(buildah("inspect", "--type=image", identity))
    assert inspected["FromImageDigest"] == served.digest


@pytest.mark.parametrize(("form", "media_type"), [("oci", layouts.OCI_INDEX), ("v2s2", layouts.DOCKER_LIST)])
def test_buildah_manifest_list(
    buildah: Client, registry: Brokenreg, tmp_path: Path, form: str, media_type: str
) -> None:
    repository = f"buildah/list-{form}"
    images = _two_images(registry, "buildah/parts", docker_form=form == "v2s2")
    buildah("manifest", "create", "two")
    for image in images:
        part = f"docker://{registry.host}/buildah/parts:{image.architecture}"
        buildah("manifest", "add", _PLAIN, "two", part)
    digest_file = tmp_path / "digest"
    arguments = ("push", _PLAIN, "--all", f"--format={form}", f"--digestfile={digest_file}", "two")
    buildah("manifest", *arguments, f"docker://{registry.host}/{repository}:v1")
    _check_list(registry, repository, images, _reported(digest_file), media_type)
    for image in images:
        reference = f"docker://{registry.host}/{repository}:v1"
        identity = buildah("pull", "--quiet", _PLAIN, f"--arch={image.architecture}", reference)
        assert identity == image.config.hex


def _two_images(registry: Brokenreg, repository: str, *, docker_form: bool) -> list[layouts.Image]:
    name = f"{repository.replace('/', '-')}-{docker_form}"
    images = [layouts.image(name, architecture=each, docker=docker_form) for each in ("amd64", "arm64")]
    for image in images:
        wire.put(registry, repository, image.architecture, image)
    return images


def _check_list(
    registry: Brokenreg, repository: str, images: list[layouts.Image], reported: str, media_type: str
) -> None:
    """Check that the list has the reported digest, and that all of its images exist unchanged."""
    served = wire.manifest(registry, repository, "v1")
    assert (served.digest, served.media_type) == (reported, media_type)
    named = {entry["platform"]["architecture"]: entry["digest"] for entry in served.document["manifests"]}
    assert named == {image.architecture: image.digest for image in images}
    assert len(wire.everything(registry, repository, "v1")) == 1 + sum(len(each.blobs) + 1 for each in images)
