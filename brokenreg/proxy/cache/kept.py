"""Bounds cached lists and manifests in number and bytes: upstreams and clients can invent many tags."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from brokenreg.oci.digests import Digest
from brokenreg.proxy.routes import Route
from brokenreg.storage.index import Index
from brokenreg.storage.records import RepositoryKey, is_cache

MOST_LISTS = 256
MOST_LIST_BYTES = 64 * 1024 * 1024
"""Maximum memory of all lists, in bytes."""

Key = tuple[Route, str]
"""A repository, and the path of the list's first page."""


class KeptLists:
    """Keeps lists, and drops the least recently read first."""

    def __init__(self) -> None:
        self._lists: OrderedDict[Key, tuple[list[Any], int]] = OrderedDict()
        self._size = 0

    def get(self, key: Key) -> list[Any] | None:
        """Return the list and mark it as read, or return None."""
        if key not in self._lists:
            return None
        self._lists.move_to_end(key)
        return self._lists[key][0]

    def keep(self, key: Key, found: list[Any], size: int) -> list[Key]:
        """Keep a list of `size` bytes; return the keys of dropped lists, possibly including its own."""
        self.forget(key)
        self._lists[key] = (found, size)
        self._size += size
        forgotten = []
        while len(self._lists) > MOST_LISTS or self._size > MOST_LIST_BYTES:
            oldest = next(iter(self._lists))
            self.forget(oldest)
            forgotten.append(oldest)
        return forgotten

    def forget(self, key: Key) -> None:
        """Drop a list, if it is kept."""
        _, size = self._lists.pop(key, ([], 0))
        self._size -= size


MOST_MANIFESTS = 50_000
"""Maximum number of manifests, at about 4 KiB of memory each."""

MOST_MANIFEST_BYTES = 1024 * 1024 * 1024
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
        while len(self._sizes) > MOST_MANIFESTS or self._total > MOST_MANIFEST_BYTES:
            (place, oldest), freed = self._sizes.popitem(last=False)
            self._total -= freed
            await self._index.delete_manifest(place, oldest)  # False if it was already deleted
