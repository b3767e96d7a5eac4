"""Sends a complete file to the object store, and computes the digest of what was sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from brokenreg.oci.digests import Digest
from brokenreg.storage.folder import FILE_THREADS
from brokenreg.storage.objects.growing_object import GrowingObject, SharedSending
from brokenreg.storage.objects.object_store import ObjectBytes


class CompleteFile(GrowingObject):
    """The object of a file that no longer grows."""

    def __init__(
        self,
        shared: SharedSending,
        key: str,
        path: Path | str,
        algorithm: str,
        on_read: Callable[[int], None],
    ) -> None:
        """`on_read` is called with the number of bytes that are being sent or were sent."""
        super().__init__(shared, key, path)
        self._on_read = on_read
        self._algorithm = algorithm
        self._reset()

    def digest(self) -> Digest:
        """Return the digest of what was sent."""
        return Digest.from_hash(self._hasher)

    def abort(self) -> None:
        super().abort()
        self._reset()

    def _reset(self) -> None:
        """Begin again. A thread may still use the hash before."""
        self._hasher = hashlib.new(self._algorithm)
        self._count = 0

    async def _read(self, count: int) -> ObjectBytes:
        data = await super()._read(count)
        await FILE_THREADS.run(self._hasher.update, data)
        self._count += count
        self._on_read(self._count)
        return data
