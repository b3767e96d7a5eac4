"""Pushes images to a store without HTTP, as the registry stores them."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import OCI_INDEX, OCI_MANIFEST, manifest_facts
from brokenreg.storage import Store
from brokenreg.storage.records import Manifest, RepositoryKey

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class Pusher:
    """Pushes to one repository."""

    store: Store
    key: RepositoryKey

    async def blob(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        path = self.store.folder.blob(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        await self.store.index.link_blob(self.key, digest, time.time())
        return digest

    async def document(self, document: Any, *tags: str, media_type: str = OCI_MANIFEST) -> Digest:
        """Store any manifest or index."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        facts = await asyncio.to_thread(manifest_facts, body)
        manifest = Manifest(Digest.of(body), media_type, len(body), facts)
        await self.store.index.put_manifest(self.key, manifest, body, tags)
        return manifest.digest

    async def image(self, name: str, *tags: str, layers: int = 2, **more: Any) -> Digest:
        """Store an image whose content depends on `name`. `more` are members of its manifest."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "author": name}).encode()
        await self.blob(config)
        contents = [f"layer {number} of {name}".encode() * 100 for number in range(layers)]
        for content in contents:
            await self.blob(content)
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": [descriptor(content, OCI_LAYER) for content in contents],
            **more,
        }
        return await self.document(document, *tags)

    async def index(self, platforms: dict[str, Digest], *tags: str) -> Digest:
        """Store an index of images by os/architecture, whether or not these were pushed."""
        here = self.store.index.repositories[self.key].manifests
        manifests = [
            {
                "mediaType": OCI_MANIFEST,
                "digest": digest,
                "size": here[digest].size if digest in here else 999,
                "platform": dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False)),
            }
            for name, digest in platforms.items()
        ]
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        return await self.document(document, *tags, media_type=OCI_INDEX)


def descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": Digest.of(content), "size": len(content)}


async def some_images(store: Store) -> None:
    """An index with one platform missing, a referrer, an untagged image, others; and a cached one."""
    app = Pusher(store, ("", "library/app"))
    amd64 = await app.image("amd64")
    arm64 = await app.image("arm64", "1.1")
    missing = Digest.of(b"never pushed")
    await app.index(
        {"linux/amd64": amd64, "linux/arm64/v8": arm64, "windows/amd64": missing}, "1.2", "latest"
    )
    await app.image(
        "signature",
        layers=1,
        subject={"mediaType": OCI_MANIFEST, "digest": amd64, "size": 1},
        artifactType="application/vnd.example.signature",
    )
    await app.image("left over", layers=1)
    await Pusher(store, ("", "tools/x")).image("x", "edge")
    await Pusher(store, ("other", "tools/x")).image("other x", "edge")
    await Pusher(store, ("@quay.io", "busybox")).image("busybox", "stable")
