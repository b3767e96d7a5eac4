"""Limits the total size, in bytes, of the blobs that are being fetched."""

from __future__ import annotations

import threading


class InFlight:
    """A total of at most `limit` bytes, plus one blob that is larger than `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.large: Share | None = None
        self.lock = threading.Lock()

    def share(self) -> Share:
        """Return the share of another blob, with 0 bytes."""
        return Share(self)


class Share:
    """The share of one blob. Thread-safe."""

    def __init__(self, whole: InFlight) -> None:
        self._whole = whole
        self._size = 0
        self.was_refused = False
        """Whether the other blobs left too little for this blob."""

    def reach(self, size: int) -> bool:
        """Grow the share to at least `size` bytes; False, without a change, if others leave too little."""
        whole = self._whole
        with whole.lock:
            more = size - self._size
            if more <= 0 or whole.large is self:
                return True
            if size > whole.limit and whole.large is None:
                whole.large = self
                whole.used -= self._size
            elif size <= whole.limit and whole.used + more <= whole.limit:
                whole.used += more
                self._size = size
            else:
                self.was_refused = True
                return False
            return True

    def give_back(self) -> None:
        """Free the share, when the blob is in the cache or its file is gone."""
        whole = self._whole
        with whole.lock:
            if whole.large is self:
                whole.large = None
            else:
                whole.used -= self._size
            self._size = 0
