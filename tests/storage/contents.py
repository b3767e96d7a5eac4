"""Shared by the tests of the storage: contents, pushes directly to a store, ages."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import OCI_MANIFEST, manifest_facts
from brokenreg.storage import Store
from brokenreg.storage.records import Manifest, RepositoryKey

KEY = ("", "library/app")
OTHER = ("", "library/other")
HOUR = 3600.0
DAY = 24 * HOUR


async def chunks(*content: bytes) -> AsyncIterator[bytes]:
    for chunk in content:
        yield chunk


async def push(store: Store, content: bytes, key: RepositoryKey = KEY) -> Digest:
    """Push a blob in its own session."""
    digest = Digest.of(content)
    upload_id = await store.uploads.start(key, "sha256")
    with store.uploads.find(key, upload_id) as upload:
        await upload.append(chunks(content))
        await store.uploads.finish(upload, digest)
    return digest


def manifest_of(*blobs: Digest, name: str = "") -> tuple[Manifest, bytes]:
    """Return a manifest that mentions these blobs, and its bytes."""
    document = {"name": name, "layers": [{"digest": digest, "size": 1} for digest in blobs]}
    body = json.dumps(document).encode()
    return Manifest(Digest.of(body), OCI_MANIFEST, len(body), manifest_facts(body)), body


def referring_to(subject: Digest, name: str) -> tuple[Manifest, bytes]:
    """Return a manifest that refers to another one, and its bytes."""
    body = json.dumps({"name": name, "subject": {"digest": subject, "size": 1}}).encode()
    return Manifest(Digest.of(body), OCI_MANIFEST, len(body), manifest_facts(body)), body


async def put(store: Store, *blobs: Digest, key: RepositoryKey = KEY, tag: str = "latest") -> Digest:
    manifest, body = manifest_of(*blobs)
    await store.index.put_manifest(key, manifest, body, [tag])
    return manifest.digest


def content_of(store: Store, digest: Digest) -> bytes | None:
    """Return the bytes of a blob after checking its digest, or None if it is missing."""
    path = store.folder.blob(digest)
    if not path.exists():
        return None
    content = path.read_bytes()
    assert hashlib.new(digest.algorithm, content).hexdigest() == digest.encoded, "not what its name says"
    return content


def age(path: Path, seconds: float) -> None:
    """Make a file older."""
    then = time.time() - seconds
    os.utime(path, (then, then))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, for at most 5 s."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - files and dictionaries tell nobody when they change
            await asyncio.sleep(0.01)
