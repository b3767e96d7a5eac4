"""How many bytes the blobs that are being fetched may have together, however many there are."""

from __future__ import annotations

import threading


class InFlight:
    """At most `limit` bytes, and one blob beside them that alone has more than that."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.large: Share | None = None
        self.lock = threading.Lock()

    def share(self) -> Share:
        """Return the share of one more blob; it has nothing yet."""
        return Share(self)


class Share:
    """What one blob has of it. Threads ask while they write."""

    def __init__(self, whole: InFlight) -> None:
        self._whole = whole
        self._size = 0
        self.was_refused = False
        """Whether others had too much for this blob."""

    def reach(self, size: int) -> bool:
        """Let the blob have so many bytes, at least. False, and nothing changes, if others have too much."""
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
        """The blob is not in flight any more: it is in the cache, or its file is gone."""
        whole = self._whole
        with whole.lock:
            if whole.large is self:
                whole.large = None
            else:
                whole.used -= self._size
            self._size = 0
