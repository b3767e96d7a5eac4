"""Keeps lists of upstreams in memory, bounded in number and in bytes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from brokenreg.proxy.route import Route

MOST_LISTS = 256
MOST_BYTES = 64 * 1024 * 1024
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
        while len(self._lists) > MOST_LISTS or self._size > MOST_BYTES:
            oldest = next(iter(self._lists))
            self.forget(oldest)
            forgotten.append(oldest)
        return forgotten

    def forget(self, key: Key) -> None:
        """Drop a list, if it is kept."""
        _, size = self._lists.pop(key, ([], 0))
        self._size -= size
