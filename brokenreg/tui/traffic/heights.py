"""The heights, in lines, of the items of a long list. Free of Textual."""

from __future__ import annotations

from collections import deque

_BUCKET = 256


class Heights:
    """The lines of items `first` to `end - 1`, numbered since the start, as positions in the log are.

    The cost of appending, changing and trimming does not depend on the number of items. A look-up takes some
    hundred steps for 100,000 items, because they are kept in buckets of 256.
    """

    def __init__(self) -> None:
        self._buckets: deque[list[int]] = deque()
        self._sums: deque[int] = deque()
        self._base = 0
        self.first = 0
        self.end = 0
        self.total = 0

    def append(self, height: int) -> int:
        """Add an item, and return its number."""
        if not self._buckets or len(self._buckets[-1]) == _BUCKET:
            self._buckets.append([])
            self._sums.append(0)
        self._buckets[-1].append(height)
        self._sums[-1] += height
        self.total += height
        self.end += 1
        return self.end - 1

    def __getitem__(self, item: int) -> int:
        bucket, place = divmod(item - self._base, _BUCKET)
        return self._buckets[bucket][place]

    def __setitem__(self, item: int, height: int) -> None:
        bucket, place = divmod(item - self._base, _BUCKET)
        by = height - self._buckets[bucket][place]
        self._buckets[bucket][place] = height
        self._sums[bucket] += by
        self.total += by

    def trim(self) -> None:
        """Remove the first item."""
        self[self.first] = 0
        self.first += 1
        if self.first - self._base == _BUCKET:
            self._buckets.popleft()
            self._sums.popleft()
            self._base = self.first

    def line_of(self, item: int) -> int:
        """Return the number of lines before an item."""
        bucket, place = divmod(item - self._base, _BUCKET)
        before = sum(self._sums[number] for number in range(bucket))
        return before + (sum(self._buckets[bucket][:place]) if place else 0)

    def item_at(self, line: int) -> tuple[int, int]:
        """Return the item that has a line, and the line's place in it. Raise `IndexError`."""
        if not 0 <= line < self.total:
            raise IndexError(line)
        bucket = place = 0
        while line >= self._sums[bucket]:
            line -= self._sums[bucket]
            bucket += 1
        while line >= self._buckets[bucket][place]:
            line -= self._buckets[bucket][place]
            place += 1
        return self._base + bucket * _BUCKET + place, line
