"""Bounds cached manifests in number and in bytes: upstreams and clients can invent any number of tags."""

from __future__ import annotations

from collections import OrderedDict

from brokenreg.oci.digests import Digest
from brokenreg.storage.index import Index
from brokenreg.storage.records import RepositoryKey, is_cache

MOST = 50_000
"""Maximum number of manifests, at about 4 KiB of memory each."""

MOST_BYTES = 1024 * 1024 * 1024
"""Maximum size of all manifests on disk, in bytes."""


class KeptManifests:
    """Deletes the least recently requested manifests first, even if tags point at them."""

    def __init__(self, index: Index) -> None:
        self._index = index
        found = [
            (asked, key, digest, repository.manifests[digest].size)
            for key, repository in index.repositories.items()
            if is_cache(key)
            for digest, asked in repository.asked.items()
        ]
        self._sizes = OrderedDict(((key, digest), size) for _, key, digest, size in sorted(found))
        self._total = sum(self._sizes.values())

    def used(self, key: RepositoryKey, digest: Digest) -> None:
        """Mark a manifest as requested."""
        if (key, digest) in self._sizes:
            self._sizes.move_to_end((key, digest))

    async def keep(self, key: RepositoryKey, digest: Digest, size: int) -> None:
        """Count a stored manifest, and delete others beyond the bounds. Raise `StorageError`."""
        self._total += size - self._sizes.pop((key, digest), 0)
        self._sizes[key, digest] = size
        while len(self._sizes) > MOST or self._total > MOST_BYTES:
            (place, oldest), freed = self._sizes.popitem(last=False)
            self._total -= freed
            await self._index.delete_manifest(place, oldest)  # False if it was already deleted
