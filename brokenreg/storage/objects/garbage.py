"""Removes objects that no repository needs: those without links, and those that the index does not know."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Sequence

from brokenreg.concurrency import paced
from brokenreg.oci.digests import Digest
from brokenreg.storage.errors import ObjectStoreError
from brokenreg.storage.folder import FILE_THREADS
from brokenreg.storage.index import Index
from brokenreg.storage.objects.object_store import ObjectStore
from brokenreg.wording import counted

logger = logging.getLogger(__name__)

FOLDER = "blobs"
"""The first part of all keys."""

_KEY = re.compile(rf"{FOLDER}/[0-9a-z-]{{32,128}}")
"""The form of our keys. Other objects are never removed, even below our prefix."""

ORPHAN_AGE = 24 * 3600.0
"""Seconds after which an object that the index does not know is removed. Its upload may still be running."""

_LISTING_INTERVAL = 24 * 3600.0


def is_our_key(key: str) -> bool:
    """Return whether a key has the form of those that brokenreg writes."""
    return _KEY.fullmatch(key) is not None


class ObjectGarbage:
    """Removes objects from the store."""

    def __init__(self, store: ObjectStore, index: Index) -> None:
        self._store = store
        self._index = index
        self._listed = -_LISTING_INTERVAL

    async def collect(self, now: float, before: float) -> None:
        """Remove objects that were stored before `before` and have no links, and once a day those of crashes.

        Times are in seconds since the epoch.
        """
        unlinked = [
            digest
            async for digest, stored in paced(list(self._index.objects.items()))
            if stored.stored < before and not self._index.is_linked(digest)
        ]
        await self._forget(unlinked, before)
        if now - self._listed >= _LISTING_INTERVAL:
            await self._remove_orphans(now - ORPHAN_AGE)
            self._listed = now

    async def drop(self, digests: Collection[Digest]) -> None:
        """Remove the objects of blobs that were just unlinked, unless they still have links."""
        await self._forget([digest for digest in digests if digest in self._index.objects], time.time())

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects that the index no longer knows. If that fails, they are removed within two days."""
        try:
            await self._store.delete(keys)
        except ObjectStoreError as error:
            logger.warning("%s; trying again tomorrow", error)

    async def _forget(self, digests: Sequence[Digest], before: float) -> None:
        """Remove blobs from the index first, so that no reader finds an object that is being deleted."""
        keys = await self._index.forget_objects(digests, before)
        if keys:
            await self.delete(keys)

    async def _remove_orphans(self, before: float) -> None:
        """Remove objects of our form that are older than `before` and unknown: of crashes, for example."""
        objects = list(self._index.objects.values())
        known = await FILE_THREADS.run(lambda: {stored.key for stored in objects})
        count = 0
        async for page in self._store.list(FOLDER):
            keys = [
                each.key
                for each in page
                if each.modified < before and each.key not in known and is_our_key(each.key)
            ]
            if keys:
                await self._store.delete(keys)
                count += len(keys)
        if count:
            logger.info("removed %s from %s", counted(count, "unknown object"), self._store.location)
