"""skopeo copies images to the registry and back without changing a byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients import layouts, wire
from tests.clients.layouts import MIB
from tests.clients.private import Client
from tests.clients.programs import need, run
from tests.server import Brokenreg

_PLAIN = ("--src-tls-verify=false", "--dest-tls-verify=false")


def _copy(skopeo: Client, tmp_path: Path, source: str, target: str, *more: str) -> str:
    """Copy, and return the digest that skopeo reports."""
    digest_file = tmp_path / "digest"
    skopeo("copy", *_PLAIN, f"--digestfile={digest_file}", *more, source, target)
    return digest_file.read_text().strip()


@pytest.mark.parametrize(("layers", "size"), [(1, 10), (4, 3 * MIB), (12, 1000)])
def test_image(skopeo: Client, registry: Brokenreg, tmp_path: Path, layers: int, size: int) -> None:
    repository = f"skopeo/image{layers}"
    remote = f"docker://{registry.host}/{repository}:v1"
    top = layouts.image(repository.replace("/", "-"), layers=layers, size=size)
    source = layouts.write_layout(tmp_path / "source", top)

    assert _copy(skopeo, tmp_path, f"oci:{source}:v1", remote) == top.digest
    assert wire.manifest(registry, repository, "v1").body == top.manifest.data
    assert wire.everything(registry, repository, "v1") == layouts.read_layout(source)

    assert _copy(skopeo, tmp_path, remote, f"oci:{tmp_path}/back:v1") == top.digest
    assert layouts.read_layout(tmp_path / "back") == layouts.read_layout(source)


def test_index_with_all_platforms(skopeo: Client, registry: Brokenreg, tmp_path: Path) -> None:
    remote = f"docker://{registry.host}/skopeo/index:v1"
    top = layouts.index("skopeo-index")
    source = layouts.write_layout(tmp_path / "source", top)

    assert _copy(skopeo, tmp_path, f"oci:{source}:v1", remote, "--all") == top.digest
    assert wire.manifest(registry, "skopeo/index", "v1").body == top.manifest.data
    assert wire.everything(registry, "skopeo/index", "v1") == layouts.read_layout(source)

    assert _copy(skopeo, tmp_path, remote, f"oci:{tmp_path}/back:v1", "--all") == top.digest
    assert layouts.layout_digest(tmp_path / "back") == top.digest
    assert layouts.read_layout(tmp_path / "back") == layouts.read_layout(source)


def test_docker_manifest_list(skopeo: Client, registry: Brokenreg, tmp_path: Path) -> None:
    """Converted on the way in, byte for byte on the way out."""
    remote = f"docker://{registry.host}/skopeo/list:v1"
    source = layouts.write_layout(tmp_path / "source", layouts.index("skopeo-list"))
    reported = _copy(skopeo, tmp_path, f"oci:{source}:v1", remote, "--all", "--format=v2s2")
    served = wire.manifest(registry, "skopeo/list", "v1")
    assert (reported, served.media_type) == (served.digest, layouts.DOCKER_LIST)
    assert all(entry["mediaType"] == layouts.DOCKER_MANIFEST for entry in served.document["manifests"])

    stored = wire.everything(registry, "skopeo/list", "v1")
    assert _copy(skopeo, tmp_path, remote, f"dir:{tmp_path}/back", "--all") == served.digest
    files = [path.read_bytes() for path in (tmp_path / "back").iterdir() if path.name != "version"]
    assert {layouts.sha256(data): data for data in files} == stored


def test_between_repositories(skopeo: Client, registry: Brokenreg, tmp_path: Path) -> None:
    first, second = (f"docker://{registry.host}/skopeo/{name}:v1" for name in ("first", "second"))
    top = layouts.index("skopeo-between", docker=True)
    wire.put(registry, "skopeo/first", "v1", top)
    assert _copy(skopeo, tmp_path, first, second, "--all", "--preserve-digests") == top.digest
    assert wire.everything(registry, "skopeo/first", "v1") == wire.everything(registry, "skopeo/second", "v1")


@pytest.mark.parametrize("docker_form", [False, True], ids=["oci-index", "docker-list"])
def test_inspect(skopeo: Client, registry: Brokenreg, docker_form: bool) -> None:
    repository = f"skopeo/inspect-{docker_form}".lower()
    remote = f"docker://{registry.host}/{repository}:v1"
    top = layouts.index(f"skopeo-inspect-{docker_form}", docker=docker_form)
    wire.put(registry, repository, "v1", top)
    assert skopeo.output("inspect", "--tls-verify=false", "--raw", remote) == top.manifest.data
    for image in top.images:
        platform = f"--override-arch={image.architecture}"
        seen = json.loads(skopeo(platform, "inspect", "--tls-verify=false", remote))
        assert seen["Digest"] == top.digest
        assert seen["Architecture"] == image.architecture
        assert seen["Layers"] == [layer.digest for layer in image.layers]
        assert seen["RepoTags"] == ["v1"]


def test_tags_and_deletion(skopeo: Client, registry: Brokenreg) -> None:
    for tag in ("a", "b", "c"):
        wire.put(registry, "skopeo/tags", tag, layouts.image(f"skopeo-tags-{tag}", layers=1))
    repository = f"docker://{registry.host}/skopeo/tags"

    def listed() -> list[str]:
        return list(json.loads(skopeo("list-tags", "--tls-verify=false", repository))["Tags"])

    assert listed() == ["a", "b", "c"]
    skopeo("delete", "--tls-verify=false", f"{repository}:b")
    assert listed() == ["a", "c"]
    assert "manifest unknown" in skopeo.refused("inspect", "--tls-verify=false", f"{repository}:b")


def test_sync_a_whole_repository(skopeo: Client, registry: Brokenreg, tmp_path: Path) -> None:
    tops = {tag: layouts.image(f"skopeo-sync-{tag}") for tag in ("a", "b")}
    for tag, top in tops.items():
        wire.put(registry, "skopeo/sync", tag, top)
    (tmp_path / "out").mkdir()
    skopeo(
        "sync", *_PLAIN, "--src=docker", "--dest=dir", f"{registry.host}/skopeo/sync", str(tmp_path / "out")
    )
    for tag, top in tops.items():
        assert (tmp_path / "out" / f"sync:{tag}" / "manifest.json").read_bytes() == top.manifest.data


def test_fabricated_image(skopeo: Client, registry: Brokenreg, tmp_path: Path) -> None:
    remote = f"docker://{registry.host}/broken/random:layers-4_size-2000000_seed-3"
    served = wire.manifest(registry, "broken/random", "layers-4_size-2000000_seed-3")
    assert _copy(skopeo, tmp_path, remote, f"dir:{tmp_path}/back") == served.digest
    assert (tmp_path / "back" / "manifest.json").read_bytes() == served.body


def test_image_from_umoci(skopeo: Client, registry: Brokenreg, tmp_path: Path) -> None:
    """Built, pushed, pulled and unpacked by others' programs alone."""
    need("umoci")
    (tmp_path / "hello").write_text("hello\n")
    layout = tmp_path / "layout"
    run("umoci", "init", "--layout", layout, env=skopeo.env)
    run("umoci", "new", "--image", f"{layout}:v1", env=skopeo.env)
    for name in ("one", "two"):
        arguments = ("insert", "--rootless", "--image", f"{layout}:v1", tmp_path / "hello", f"/{name}")
        run("umoci", *arguments, env=skopeo.env)
    remote = f"docker://{registry.host}/skopeo/umoci:v1"
    pushed = _copy(skopeo, tmp_path, f"oci:{layout}:v1", remote)
    assert pushed == layouts.layout_digest(layout) == wire.manifest(registry, "skopeo/umoci", "v1").digest

    assert _copy(skopeo, tmp_path, remote, f"oci:{tmp_path}/back:v1") == pushed
    bundle = tmp_path / "bundle"
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/back:v1", bundle, env=skopeo.env)
    assert [(bundle / "rootfs" / name).read_text() for name in ("one", "two")] == ["hello\n"] * 2
