"""The replicas of a fleet, and where each of them receives calls."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from brokenreg.config.addresses import Address


@dataclass(frozen=True, slots=True)
class Replica:
    """One process of a fleet. `address` is where it receives calls, and `host` is the name of its machine."""

    name: str
    address: Address
    host: str = ""

    def __str__(self) -> str:
        return f"replica {self.name} ({self.address})"


class Directory(Protocol):
    """Knows the live replicas of the fleet."""

    async def find(self, name: str, *, not_at: Address | None = None) -> Replica | None:
        """Return a live replica, or None if no live replica has that name. Raise `StorageError`.

        `not_at` is an address at which it no longer is: it may have started again at another.
        """

    async def live(self) -> list[Replica]:
        """Return all live replicas, sorted by name."""

    def announcing(self, own: Replica) -> AbstractAsyncContextManager[None]:
        """Announce a replica to the others during a block."""
