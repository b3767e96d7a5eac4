"""Hashes the layers of fabricated images, once for all processes with the same store."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

from brokenreg.concurrency import ThreadPool, shielded
from brokenreg.images.hashing import LayerSums, hash_layers
from brokenreg.images.jobs import RUNNING
from brokenreg.images.ledger import LayerRecord, layer_key, read_layer
from brokenreg.images.progress import Progress
from brokenreg.images.recipe_store import RecipeStore
from brokenreg.images.spec import ImageSpec, LayerRecipe
from brokenreg.storage.errors import StorageError
from brokenreg.storage.shared.leases import Leases

logger = logging.getLogger(__name__)

_BATCH = 1024 * 1024 * 1024
"""Bytes to hash before the sums are stored: about a second of work, which is lost if the process dies."""

LARGE = 32 * 1024 * 1024
"""Minimum number of bytes for which other processes wait. Hashing fewer takes less time than a lease."""


class LayerHashing:
    """Finds the sums of layers in `store`, or hashes the layers. With `leases`, others use the store too."""

    def __init__(self, store: RecipeStore, leases: Leases | None = None) -> None:
        self._store = store
        self._leases = leases
        # Two threads for each job: its own and that of its helper.
        self._threads = ThreadPool("fabricator", 2 * RUNNING)

    def close(self) -> None:
        """Start no more work."""
        self._threads.shutdown(wait=False)

    async def known(self, spec: ImageSpec) -> dict[LayerRecipe, LayerSums]:
        """Return the sums of those layers of an image that the store has."""
        found = await self._store.get(layer_key(recipe) for recipe in spec.recipes)
        records = (read_layer(key, value) for key, value in found.items())
        return {record.recipe: record.sums for record in records if record is not None}

    async def complete(self, spec: ImageSpec, progress: Progress) -> dict[LayerRecipe, LayerSums]:
        """Return the sums of all layers, after hashing those that the store does not have."""
        async with self._turn(spec):
            sums = await self.known(spec)
            progress.begin(len(sums))
            for batch in _batches(recipe for recipe in spec.recipes if recipe not in sums):
                records = await self._hash(batch, progress)
                await self._store.put([(record.key, record.model_dump_json()) for record in records])
                sums.update((record.recipe, record.sums) for record in records)
            return sums

    @asynccontextmanager
    async def _turn(self, spec: ImageSpec) -> AsyncIterator[None]:
        """Wait while another process hashes the same layers, unless they are small.

        Images with different numbers of layers share these.
        """
        lease = None
        if self._leases is not None and spec.layers * spec.size >= LARGE:
            try:
                lease = await self._leases.take(f"hash {spec.size} {spec.seed} {spec.salt}")
            except StorageError as error:
                logger.info("%s; not waiting for other processes that hash the same layers", error)
        try:
            yield
        finally:
            if self._leases is not None and lease is not None:
                await self._leases.end(lease)

    async def _hash(self, recipes: list[LayerRecipe], progress: Progress) -> list[LayerRecord]:
        hashing = self._threads.run(hash_layers, recipes, self._threads, progress)
        sums = await shielded(hashing, stop=progress.cancelled.set)
        return [LayerRecord.of(recipe, one) for recipe, one in zip(recipes, sums, strict=True)]


def _batches(recipes: Iterable[LayerRecipe]) -> Iterator[list[LayerRecipe]]:
    batch: list[LayerRecipe] = []
    for recipe in recipes:
        batch.append(recipe)
        if sum(one.size for one in batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
