"""The ids of rules."""

from __future__ import annotations

import threading


class RuleIds:
    """Gives ids to rules: 1, 2, 3, ... A thread may call this.

    In a fleet, an id is unique within its namespace, because every state of a book says which id is next.
    """

    def __init__(self) -> None:
        self.next = 1
        self._lock = threading.Lock()

    def take(self) -> int:
        """Return an id that was never given to a rule."""
        with self._lock:
            self.next += 1
            return self.next - 1

    def skip_to(self, following: int) -> None:
        """Give no more ids below `following`."""
        with self._lock:
            self.next = max(self.next, following)
