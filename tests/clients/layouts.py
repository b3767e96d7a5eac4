"""Images for clients to push, created without a network: the same name always gives the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

KIB = 1024
MIB = 1024 * KIB


def sha256(data: bytes) -> str:
    """The digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def compact(document: Any) -> bytes:
    """JSON, sorted and without spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Blob:
    """Bytes with a media type: a layer, a config or a manifest."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return sha256(self.data)

    @property
    def hex(self) -> str:
        return self.digest.partition(":")[2]

    def descriptor(self, **more: Any) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **more}


@dataclass(frozen=True)
class Image:
    """An image for one platform."""

    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]
    architecture: str

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def manifests(self) -> tuple[Blob, ...]:
        """Return all manifests, each after those that it mentions."""
        return (self.manifest,)

    @property
    def blobs(self) -> tuple[Blob, ...]:
        return (*self.layers, self.config)


@dataclass(frozen=True)
class Index:
    """An OCI index or a Docker manifest list."""

    manifest: Blob
    images: tuple[Image, ...]

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def manifests(self) -> tuple[Blob, ...]:
        return (*(image.manifest for image in self.images), self.manifest)

    @property
    def blobs(self) -> tuple[Blob, ...]:
        return tuple(blob for image in self.images for blob in image.blobs)


def tar_of(name: str, data: bytes) -> bytes:
    """Return a tar with one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def image(
    name: str,
    *,
    layers: int = 3,
    size: int = 40 * KIB,
    architecture: str = "amd64",
    docker: bool = False,
    subject: Blob | None = None,
) -> Image:
    """Return an image of incompressible layers. Images with different names do not share layers."""
    source = random.Random(f"{name} {architecture}")
    tars = [tar_of(f"{name}-{number}", source.randbytes(size)) for number in range(layers)]
    config = Blob(
        DOCKER_CONFIG if docker else OCI_CONFIG,
        compact(
            {
                "architecture": architecture,
                "os": "linux",
                "created": "1970-01-01T00:00:00Z",
                "config": {"Labels": {"name": name}},
                "rootfs": {"type": "layers", "diff_ids": [sha256(data) for data in tars]},
                "history": [{"created": "1970-01-01T00:00:00Z", "created_by": name} for _ in tars],
            }
        ),
    )
    packed = tuple(Blob(DOCKER_LAYER if docker else OCI_LAYER, gzip.compress(data, mtime=0)) for data in tars)
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in packed],
    }
    if subject is not None:
        document["subject"] = subject.descriptor()
    return Image(Blob(media_type, compact(document)), config, packed, architecture)


def index(name: str, *, docker: bool = False, architectures: tuple[str, ...] = ("amd64", "arm64")) -> Index:
    """Return an index or a manifest list with an image for each architecture."""
    images = tuple(image(name, architecture=each, docker=docker) for each in architectures)
    media_type = DOCKER_LIST if docker else OCI_INDEX
    entries = [
        each.manifest.descriptor(platform={"architecture": each.architecture, "os": "linux"})
        for each in images
    ]
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    return Index(Blob(media_type, compact(document)), images)


def write_layout(folder: Path, top: Image | Index, tag: str = "v1") -> Path:
    """Write an OCI image layout with one tag, and return its folder."""
    store = folder / "blobs" / "sha256"
    store.mkdir(parents=True)
    for blob in (*top.blobs, *top.manifests):
        (store / blob.hex).write_bytes(blob.data)
    entry = top.manifest.descriptor(annotations={"org.opencontainers.image.ref.name": tag})
    (folder / "oci-layout").write_bytes(compact({"imageLayoutVersion": "1.0.0"}))
    (folder / "index.json").write_bytes(compact({"schemaVersion": 2, "manifests": [entry]}))
    return folder


def pack_layout(folder: Path, archive: Path) -> Path:
    """Write an OCI layout as a tar, and return the archive."""
    with tarfile.open(archive, "w") as output:
        for path in sorted(folder.rglob("*")):
            output.add(path, path.relative_to(folder), recursive=False)
    return archive


def read_layout(folder: Path) -> dict[str, bytes]:
    """Return all blobs of an OCI layout by digest, each checked against its name."""
    blobs = {f"sha256:{path.name}": path.read_bytes() for path in (folder / "blobs" / "sha256").iterdir()}
    for digest, data in blobs.items():
        assert sha256(data) == digest
    return blobs


def layout_digest(folder: Path) -> str:
    """Return the digest that the only tag of a layout points to."""
    (entry,) = json.loads((folder / "index.json").read_bytes())["manifests"]
    return str(entry["digest"])


def docker_archive(archive: Path, top: Image, name: str) -> Path:
    """Write an archive like `docker save`, and return it."""
    tars = [gzip.decompress(layer.data) for layer in top.layers]
    names = [f"{number}/layer.tar" for number in range(len(tars))]
    entry = {"Config": f"{top.config.hex}.json", "RepoTags": [name], "Layers": names}
    files: Iterator[tuple[str, bytes]] = iter(
        [
            (f"{top.config.hex}.json", top.config.data),
            *zip(names, tars, strict=True),
            ("manifest.json", compact([entry])),
        ]
    )
    with tarfile.open(archive, "w") as output:
        for path, data in files:
            member = tarfile.TarInfo(path)
            member.size = len(data)
            output.addfile(member, io.BytesIO(data))
    return archive
