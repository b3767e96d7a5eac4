"""Limits the cached manifests of upstreams by deleting the least recently requested."""

from __future__ import annotations

import math

from cachetools import LRUCache

from brokenreg.oci.digests import Digest
from brokenreg.storage.index import Index
from brokenreg.storage.records import RepositoryKey, is_cache

MAX_MANIFESTS = 50_000
"""Maximum number of cached manifests, at about 4 KiB of memory each."""

MAX_MANIFEST_BYTES = 1024 * 1024 * 1024
"""Maximum size of all cached manifests on disk, in bytes."""


class CachedManifests:
    """The cached manifests, limited by `MAX_MANIFESTS` and `MAX_MANIFEST_BYTES`.

    The least recently requested are deleted first, even if they have tags, because upstreams and clients can
    create any number of tags.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        found = sorted(
            (when, key, digest, repository.manifests[digest].size)
            for key, repository in index.repositories.items()
            if is_cache(key)
            for digest, when in repository.requested.items()
        )
        # No limit of its own: evicting a manifest must also delete it from the index, which takes time.
        self._sizes: LRUCache[tuple[RepositoryKey, Digest], int] = LRUCache(math.inf, getsizeof=int)
        for _, key, digest, size in found:
            self._sizes[key, digest] = size

    def used(self, key: RepositoryKey, digest: Digest) -> None:
        """Mark a manifest as requested."""
        self._sizes.get((key, digest))

    async def add(self, key: RepositoryKey, digest: Digest, size: int) -> None:
        """Count a stored manifest, and delete others beyond the limits. Raise `StorageError`."""
        self._sizes[key, digest] = size
        while len(self._sizes) > MAX_MANIFESTS or self._sizes.currsize > MAX_MANIFEST_BYTES:
            (repository, oldest), _ = self._sizes.popitem()
            await self._index.delete_manifest(repository, oldest)  # False if it was already deleted
