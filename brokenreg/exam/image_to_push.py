"""Makes an image for a client to push: an OCI layout, and an archive of it. Each seed has its own content."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokenreg.oci.mediatypes import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST

TAG = "v1"
"""Names the image in the layout, as skopeo, podman and buildah need it: oci:{layout}:v1."""

_LAYERS = 3
_LAYER_SIZE = 64 * 1024
_GZIP_WINDOW = 31
_CREATED = "2024-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class ImageToPush:
    """Where the image is. `digest` is that of its manifest."""

    layout: Path
    archive: Path
    digest: str


def write_image(folder: Path, seed: int, name: str) -> ImageToPush:
    """Write the image to a folder. `name` is what `docker load` calls it."""
    layout = folder / "layout"
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    draw = random.Random(seed)  # noqa: S311 - content, not a secret
    tars = [_tar(number, draw.randbytes(_LAYER_SIZE)) for number in range(1, _LAYERS + 1)]
    layers = [_blob(blobs, _gzip(each), OCI_LAYER) for each in tars]
    config = _blob(blobs, _json(_config(tars)), OCI_CONFIG)
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
    manifest = _blob(blobs, _json(document), OCI_MANIFEST)
    named = {**manifest, "annotations": {"org.opencontainers.image.ref.name": TAG}}
    (layout / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (layout / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [named]}))
    archive = folder / "image.tar"
    _write_archive(archive, layout, _path(config), [_path(each) for each in layers], name)
    return ImageToPush(layout, archive, manifest["digest"])


def _write_archive(path: Path, layout: Path, config: str, layers: list[str], name: str) -> None:
    """Write an archive that is an oci-archive, and with its manifest.json also one of `docker save`."""
    images = _json([{"Config": config, "RepoTags": [name], "Layers": layers}])
    with tarfile.open(path, "w") as archive:
        for each in sorted(layout.rglob("*")):
            archive.add(each, str(each.relative_to(layout)), recursive=False)
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(images)
        archive.addfile(entry, io.BytesIO(images))


def _config(tars: list[bytes]) -> dict[str, Any]:
    diff_ids = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in tars]
    return {
        "created": _CREATED,
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": _CREATED, "created_by": "brokenreg"} for _ in tars],
    }


def _tar(number: int, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(f"file-{number}")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _gzip(content: bytes) -> bytes:
    packer = zlib.compressobj(level=0, wbits=_GZIP_WINDOW)  # no time and no name, so always the same bytes
    return packer.compress(content) + packer.flush()


def _blob(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    """Write a blob, and return its descriptor."""
    encoded = hashlib.sha256(content).hexdigest()
    (folder / encoded).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{encoded}", "size": len(content)}


def _path(descriptor: dict[str, Any]) -> str:
    return f"blobs/{descriptor['digest'].replace(':', '/')}"


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
