"""Cached manifests, bounded in number and in bytes: upstreams and clients may invent any number of tags."""

from __future__ import annotations

from collections import OrderedDict

from brokenreg.oci.digests import Digest
from brokenreg.storage.index import Index
from brokenreg.storage.records import RepositoryKey, is_cache

MOST = 50_000
"""Manifests, at some 4 KiB of memory each."""

MOST_BYTES = 1024 * 1024 * 1024
"""Of all of them together, on disk."""


class KeptManifests:
    """Deletes those first that were not asked for longest, whatever tags lead to them."""

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
        """Somebody has asked for a manifest."""
        if (key, digest) in self._sizes:
            self._sizes.move_to_end((key, digest))

    async def keep(self, key: RepositoryKey, digest: Digest, size: int) -> None:
        """A manifest has been stored. Delete others for which there is no room now. Raise `StorageError`."""
        self._total += size - self._sizes.pop((key, digest), 0)
        self._sizes[key, digest] = size
        while len(self._sizes) > MOST or self._total > MOST_BYTES:
            (place, oldest), freed = self._sizes.popitem(last=False)
            self._total -= freed
            await self._index.delete_manifest(place, oldest)  # False if it has gone already
