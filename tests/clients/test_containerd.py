"""containerd, driven by ctr, pushes and pulls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import layouts, wire
from tests.clients.conftest import Client
from tests.clients.layouts import MIB, Image, Index
from tests.process import Brokenreg

_PULL = ("images", "pull", "--plain-http", "--snapshotter=native")
_PUSH = ("images", "push", "--plain-http")


def _load(ctr: Client, tmp_path: Path, top: Image | Index, reference: str) -> None:
    """Put an image into containerd's store under a name."""
    archive = layouts.pack_layout(layouts.write_layout(tmp_path / "layout", top), tmp_path / "image.tar")
    ctr("images", "import", "--all-platforms", "--no-unpack", f"--index-name={reference}", archive)


def _digest(ctr: Client, reference: str) -> str:
    """The digest of an image in containerd's store."""
    (line,) = (line for line in ctr("images", "ls", f"name=={reference}").splitlines()[1:])
    return line.split()[2]


def _forget(ctr: Client, reference: str) -> None:
    """Remove an image with its content."""
    ctr("images", "rm", "--sync", reference)


def _stored(ctr: Client) -> set[str]:
    return set(ctr("content", "ls", "--quiet").split())


@pytest.mark.parametrize(("layers", "size"), [(1, 10), (4, 3 * MIB), (12, 1000)])
@pytest.mark.parametrize("docker_form", [False, True], ids=["oci", "docker"])
def test_push_and_pull(
    ctr: Client, registry: Brokenreg, tmp_path: Path, layers: int, size: int, docker_form: bool
) -> None:
    repository = f"ctr/image{layers}-{docker_form}".lower()
    reference = f"{registry.host}/{repository}:v1"
    top = layouts.image(repository.replace("/", "-"), layers=layers, size=size, docker=docker_form)
    wire.put(registry, f"{repository}/source", "v1", top)
    ctr(*_PULL, f"{registry.host}/{repository}/source:v1")
    assert _digest(ctr, f"{registry.host}/{repository}/source:v1") == top.digest
    ctr(*_PUSH, reference, f"{registry.host}/{repository}/source:v1")
    assert wire.manifest(registry, repository, "v1").body == top.manifest.data
    assert len(wire.everything(registry, repository, "v1")) == layers + 2

    _forget(ctr, f"{registry.host}/{repository}/source:v1")
    assert top.digest not in _stored(ctr)
    ctr(*_PULL, reference)
    assert _digest(ctr, reference) == top.digest
    assert {blob.digest for blob in (*top.blobs, top.manifest)} <= _stored(ctr)
    _forget(ctr, reference)


def test_index_with_all_platforms(ctr: Client, registry: Brokenreg, tmp_path: Path) -> None:
    reference = f"{registry.host}/ctr/index:v1"
    top = layouts.index("ctr-index")
    _load(ctr, tmp_path, top, reference)
    index = _digest(ctr, reference)
    ctr(*_PUSH, reference)
    served = wire.manifest(registry, "ctr/index", "v1")
    assert served.digest == index
    everything = wire.everything(registry, "ctr/index", "v1")
    assert {blob.digest: blob.data for blob in (*top.blobs, *top.manifests)}.items() <= everything.items()

    _forget(ctr, reference)
    assert not _stored(ctr) & set(everything)
    ctr(*_PULL, "--all-platforms", reference)
    assert _digest(ctr, reference) == index
    assert set(everything) <= _stored(ctr)
    _forget(ctr, reference)


@pytest.mark.parametrize("docker_form", [False, True], ids=["oci-index", "docker-list"])
def test_pull_and_push_many_platforms(ctr: Client, registry: Brokenreg, docker_form: bool) -> None:
    """From one repository to another, with all platforms: the same bytes in both."""
    name = f"ctr/many-{docker_form}".lower()
    first, second = f"{registry.host}/{name}:v1", f"{registry.host}/{name}/copy:v1"
    top = layouts.index(name.replace("/", "-"), docker=docker_form)
    wire.put(registry, name, "v1", top)
    ctr(*_PULL, "--all-platforms", first)
    assert _digest(ctr, first) == top.digest
    ctr(*_PUSH, second, first)
    assert wire.manifest(registry, f"{name}/copy", "v1").body == top.manifest.data
    assert wire.everything(registry, name, "v1") == wire.everything(registry, f"{name}/copy", "v1")
    _forget(ctr, first)


def test_fetch_and_push_single_objects(ctr: Client, registry: Brokenreg, tmp_path: Path) -> None:
    """`ctr content`: one blob at a time, without an image around it."""
    reference = f"{registry.host}/ctr/objects:v1"
    top = layouts.image("ctr-objects", layers=2, size=MIB)
    wire.put(registry, "ctr/objects", "v1", top)
    ctr("content", "fetch", "--plain-http", "--all-platforms", reference)
    assert {blob.digest for blob in (*top.blobs, top.manifest)} <= _stored(ctr)
    layer = top.layers[1]
    ctr(
        "content",
        "push-object",
        "--plain-http",
        f"{registry.host}/ctr/pushed:v1",
        layer.digest,
        layer.media_type,
    )
    ctr(
        "content", "fetch-object", "--plain-http", f"{registry.host}/ctr/objects@{layer.digest}", layer.digest
    )
    _forget(ctr, reference)


def test_broken_images(ctr: Client, registry: Brokenreg) -> None:
    served = wire.manifest(registry, "broken/random", "layers-3_size-1024")
    reference = f"{registry.host}/broken/random:layers-3_size-1024"
    ctr(*_PULL, reference)
    assert _digest(ctr, reference) == served.digest
    _forget(ctr, reference)

    for status, said in ((404, "not found"), (403, "403 Forbidden"), (500, "500 Internal Server Error")):
        refused = ctr.attempt(*_PULL, f"{registry.host}/broken/error:{status}")
        assert refused.returncode == 1
        assert said in refused.stderr
