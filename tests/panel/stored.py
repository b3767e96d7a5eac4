"""Blobs and images in the store of a registry, as pushes and pulls leave them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import OCI_MANIFEST, manifest_facts
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage.records import Manifest, RepositoryKey

HUB = ("@docker.io", "library/nginx")
TEAM = ("", "team/web")


def tar(*members: tuple[str, bytes]) -> bytes:
    """A gzip layer of files, always the same."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(written.getvalue(), mtime=0)


async def store_blob(runtime: Runtime, key: RepositoryKey, content: bytes) -> Digest:
    """As a push or a pull leaves it."""
    digest = Digest.of(content)
    runtime.store.folder.blob(digest).write_bytes(content)
    await runtime.store.index.link_blob(key, digest, time.time())
    if key[0].startswith("@"):
        runtime.store.cache.used(digest, len(content))
    return digest


async def store_image(
    runtime: Runtime, key: RepositoryKey, tag: str, layer: bytes, config: bytes = b'{"os":"linux"}'
) -> tuple[Digest, Digest, Digest]:
    """Digests of its manifest, configuration and layer."""
    config_digest = await store_blob(runtime, key, config)
    layer_digest = await store_blob(runtime, key, layer)
    document = {
        "schemaVersion": 2,
        "config": {"digest": config_digest, "size": len(config)},
        "layers": [{"digest": layer_digest, "size": len(layer)}],
    }
    body = json.dumps(document).encode()
    manifest = Manifest(Digest.of(body), OCI_MANIFEST, len(body), manifest_facts(body))
    await runtime.store.index.put_manifest(key, manifest, body, [tag])
    return manifest.digest, config_digest, layer_digest
