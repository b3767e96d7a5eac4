"""Counts of digests."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

Name = TypeVar("Name", bound=str)


class Uses(Counter[Name]):
    """How often each digest is used. It contains only those that are used."""

    def add(self, digest: Name) -> None:
        """Count one more use."""
        self[digest] += 1

    def remove(self, digest: Name) -> None:
        """Count one use less."""
        if self[digest] > 1:
            self[digest] -= 1
        else:
            del self[digest]
