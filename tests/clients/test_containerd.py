"""containerd, driven by ctr, pushes and pulls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients import layouts, wire
from tests.clients.layouts import MIB
from tests.clients.private import Client
from tests.server import Brokenreg

_PULL = ("images", "pull", "--plain-http", "--snapshotter=native")
_PUSH = ("images", "push", "--plain-http")


@pytest.fixture(autouse=True)
def nothing_stays(ctr: Client) -> Iterator[None]:
    """Delete all images of containerd after a test, because existing ones are not pulled again."""
    yield
    _forget(ctr)


def _forget(ctr: Client) -> None:
    """Remove all images with their content."""
    if names := ctr("images", "ls", "--quiet").split():
        ctr("images", "rm", "--sync", *names)
    assert _stored(ctr) == set()


def _digest(ctr: Client, reference: str) -> str:
    """The digest of an image in containerd's store."""
    (line,) = ctr("images", "ls", f"name=={reference}").splitlines()[1:]
    return line.split()[2]


def _stored(ctr: Client) -> set[str]:
    return set(ctr("content", "ls", "--quiet").split())


@pytest.mark.parametrize(("layers", "size"), [(1, 10), (4, 3 * MIB), (12, 1000)])
@pytest.mark.parametrize("docker_form", [False, True], ids=["oci", "docker"])
def test_push_and_pull(ctr: Client, registry: Brokenreg, layers: int, size: int, docker_form: bool) -> None:
    repository = f"ctr/image{layers}-{docker_form}".lower()
    source, reference = f"{registry.host}/{repository}/source:v1", f"{registry.host}/{repository}:v1"
    top = layouts.image(repository.replace("/", "-"), layers=layers, size=size, docker=docker_form)
    wire.put(registry, f"{repository}/source", "v1", top)
    ctr(*_PULL, source)
    assert _digest(ctr, source) == top.digest
    ctr(*_PUSH, reference, source)
    assert wire.manifest(registry, repository, "v1").body == top.manifest.data
    assert len(wire.everything(registry, repository, "v1")) == layers + 2

    _forget(ctr)
    ctr(*_PULL, reference)
    assert _digest(ctr, reference) == top.digest
    assert {blob.digest for blob in (*top.blobs, top.manifest)} <= _stored(ctr)


def test_index_with_all_platforms(ctr: Client, registry: Brokenreg, tmp_path: Path) -> None:
    """Imported from an archive: the index itself, and an index around it, which nests."""
    flat, nested = f"{registry.host}/ctr/index:v1", f"{registry.host}/ctr/nested:v1"
    top = layouts.index("ctr-index")
    archive = layouts.pack_layout(layouts.write_layout(tmp_path / "layout", top), tmp_path / "image.tar")
    names = (f"--base-name={registry.host}/ctr/index", f"--index-name={nested}")
    ctr("images", "import", "--all-platforms", "--no-unpack", *names, archive)
    expected = {flat: top.digest, nested: _digest(ctr, nested)}
    assert len(set(expected.values())) == 2
    stored = _stored(ctr)
    assert stored == {*layouts.read_layout(tmp_path / "layout"), *expected.values()}
    for reference, digest in expected.items():
        ctr(*_PUSH, reference)
        repository = reference.partition("/")[2].removesuffix(":v1")
        assert wire.manifest(registry, repository, "v1").digest == digest
        blobs = {*layouts.read_layout(tmp_path / "layout"), digest}
        assert set(wire.everything(registry, repository, "v1")) == blobs
    for reference, digest in expected.items():
        _forget(ctr)
        ctr(*_PULL, "--all-platforms", reference)
        assert _digest(ctr, reference) == digest
        assert _stored(ctr) == {*layouts.read_layout(tmp_path / "layout"), digest}


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


def test_push_mounts_stored_blobs(ctr: Client, own_registry: Brokenreg) -> None:
    """No byte of a layer that another repository has is sent again."""
    top = layouts.image("ctr-mount")
    wire.put(own_registry, "ctr/mount/from", "v1", top)
    source, target = f"{own_registry.host}/ctr/mount/from:v1", f"{own_registry.host}/ctr/mount/to:v1"
    ctr(*_PULL, source)
    ctr(*_PUSH, target, source)
    assert len(wire.everything(own_registry, "ctr/mount/to", "v1")) == len(top.blobs) + 1
    assert own_registry.stop() == 0
    pushed = [
        (each["method"], each["status"], each["request_bytes"])
        for each in own_registry.lines
        if each.get("endpoint") == "upload" and each["user_agent"].startswith("containerd/")
    ]
    assert pushed == [("POST", 201, 0)] * len(top.blobs)


def test_fetch_and_push_single_objects(ctr: Client, registry: Brokenreg) -> None:
    """`ctr content`: blobs without an image around them."""
    top = layouts.image("ctr-objects", layers=2, size=MIB)
    layer = top.layers[1]
    wire.put(registry, "ctr/objects", "v1", top)
    ctr("content", "fetch", "--plain-http", "--all-platforms", f"{registry.host}/ctr/objects:v1")
    assert _stored(ctr) == {blob.digest for blob in (*top.blobs, top.manifest)}
    assert ctr.output("content", "get", layer.digest) == layer.data

    target = f"{registry.host}/ctr/pushed:v1"
    ctr("content", "push-object", "--plain-http", target, layer.digest, layer.media_type)
    served = httpx.get(f"{registry.url}/v2/ctr/pushed/blobs/{layer.digest}")
    assert served.headers["docker-content-digest"] == layer.digest
    assert served.content == layer.data


def test_fetch_a_manifest_by_digest(ctr: Client, registry: Brokenreg) -> None:
    top = layouts.image("ctr-manifest")
    wire.put(registry, "ctr/manifest", "v1", top)
    remote = f"{registry.host}/ctr/manifest@{top.digest}"
    assert ctr.output("content", "fetch-object", "--plain-http", remote, top.digest) == top.manifest.data


def test_broken_images(ctr: Client, registry: Brokenreg) -> None:
    served = wire.manifest(registry, "broken/random", "layers-3_size-1024")
    reference = f"{registry.host}/broken/random:layers-3_size-1024"
    ctr(*_PULL, reference)
    assert _digest(ctr, reference) == served.digest

    for status, said in ((404, "not found"), (403, "403 Forbidden"), (500, "500 Internal Server Error")):
        assert said in ctr.refused(*_PULL, f"{registry.host}/broken/error:{status}")
