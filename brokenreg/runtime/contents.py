"""Finds content: the repositories that have it, the requests that it serves, and its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from brokenreg.images.image import Document
from brokenreg.images.ledger import Role
from brokenreg.images.unpacked import Content
from brokenreg.oci.digests import Digest
from brokenreg.runtime.errors import Kind, NotFoundError, operation_errors
from brokenreg.runtime.runtime import ALL_NAMESPACES, Runtime
from brokenreg.storage.blobs import BlobFile
from brokenreg.storage.records import Repository, RepositoryKey, is_cache, spelled

_TAGS = 2
"""Maximum number of tags by which a rule matches a manifest; a match has a limited length."""


@dataclass(frozen=True, slots=True)
class StoredContent:
    """An open file of the data folder."""

    file: BlobFile

    @property
    def size(self) -> int:
        return self.file.size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes at `offset`, fewer only at the end. Call it in a thread: it blocks."""
        return self.file.read_blocking(offset, length)


def repositories_of(runtime: Runtime, namespace: str) -> list[tuple[RepositoryKey, Repository]]:
    """Return the repositories of a namespace, or of `ALL_NAMESPACES`."""
    stored = runtime.store.index.repositories.items()
    return [(key, repository) for key, repository in stored if namespace in (ALL_NAMESPACES, key[0])]


def repository(runtime: Runtime, key: RepositoryKey) -> Repository:
    """Return a repository. Raise `NotFoundError`."""
    found = runtime.store.index.repository(key)
    if found is None:
        raise NotFoundError(Kind.REPOSITORY, spelled(key))
    return found


def serving(runtime: Runtime, digest: Digest) -> list[RepositoryKey]:
    """Return the repositories of all namespaces that serve a blob."""
    return [key for key, each in runtime.store.index.repositories.items() if digest in each.links]


def request_matches(runtime: Runtime, digest: Digest) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield, for each namespace, a match for the requests for a blob or manifest.

    A manifest also matches by its tags. Fabricated and cached content is in the namespace without a name.
    """
    blob = {"endpoint": "blob", "reference": str(digest)}
    seen = set()
    if (made := runtime.images.find(digest)) is not None:
        is_manifest = made.role is Role.MANIFEST
        yield "", {**blob, "endpoint": "manifest"} if is_manifest else blob
        seen.add("")
    for key, each in repositories_of(runtime, ALL_NAMESPACES):
        namespace = "" if is_cache(key) else key[0]
        if digest in each.links and namespace not in seen:
            yield namespace, blob
            seen.add(namespace)
        if digest in each.manifests:
            tags = [tag for tag, target in each.tags.items() if target == digest][:_TAGS]
            name = spelled(key) if is_cache(key) else key[1]
            reference = "|".join((digest, *tags))
            yield namespace, {"endpoint": "manifest", "repository": name, "reference": reference}


@asynccontextmanager
async def open_content(runtime: Runtime, digest: Digest) -> AsyncIterator[Content]:
    """Open a blob or a manifest. Raise `NotFoundError` or `FailedError`."""
    with operation_errors():
        file = await runtime.store.open_whole(digest)
        if file is not None:
            with file:
                yield StoredContent(file)
        else:
            yield await _other_content(runtime, digest)


async def _other_content(runtime: Runtime, digest: Digest) -> Content:
    """Return a manifest or fabricated content."""
    body = await runtime.store.index.manifest_body(digest)
    if body is not None:
        return Document(body)
    made = runtime.images.find(digest)
    if made is None:
        raise NotFoundError(Kind.BLOB, digest, runtime.store.integrity.why_missing(digest) or "")
    return await asyncio.to_thread(lambda: made.content)
