"""What fabricated images need of the storage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol


class RecipeStore(Protocol):
    """Stores the sums of layers as (key, JSON) records, so that each layer is hashed only once."""

    async def put(self, records: Sequence[tuple[str, str]]) -> None:
        """Store records durably. They replace records with the same keys."""

    async def get(self, keys: Iterable[str]) -> dict[str, str]:
        """Return those records that exist, by key."""

    async def naming(self, digest: str) -> list[tuple[str, str]]:
        """Return the records whose layer, manifest or configuration has that digest."""

    async def beginning_with(self, prefix: str, most: int) -> list[tuple[str, str]]:
        """Return up to `most` records whose keys begin with `prefix`."""
