"""Two processes with one database hash the layers of an image once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from brokenreg.images import layer_hashing
from brokenreg.images.fabricator import KINDS, Fabricator
from brokenreg.images.hashing import LayerSums, hash_layers
from brokenreg.storage.index import Index
from brokenreg.storage.shared import leases
from tests.storage.index_pair import index_pair

RANDOM = "broken/random"
SIZE = layer_hashing.LARGE // 2
TAG = f"layers-3_size-{SIZE}"

Pair = tuple[Fabricator, Fabricator]


@pytest.fixture
async def indexes(database_url: str) -> AsyncIterator[tuple[Index, Index]]:
    async with index_pair(database_url) as both:
        yield both


@pytest.fixture
async def pair(indexes: tuple[Index, Index]) -> AsyncIterator[Pair]:
    first, second = (Fabricator(each.recipes, KINDS, 1024**3, leases=each.leases) for each in indexes)
    yield first, second
    for each in (first, second):
        await each.close()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each layer was hashed."""
    counts: Counter[int] = Counter()

    def counting(recipes: Any, *arguments: Any) -> list[LayerSums]:
        counts.update(recipe.number for recipe in recipes)
        return hash_layers(recipes, *arguments)

    monkeypatch.setattr(layer_hashing, "hash_layers", counting)
    return counts


async def test_both_wait_for_one(pair: Pair, hashed: Counter[int]) -> None:
    images = await asyncio.gather(*(each.image(RANDOM, TAG) for each in pair))
    assert images[0] == images[1]
    assert hashed == {1: 1, 2: 1, 3: 1}


async def test_images_with_the_same_layers_share_them(pair: Pair, hashed: Counter[int]) -> None:
    first, second = pair
    await asyncio.gather(first.image(RANDOM, TAG), second.image(RANDOM, f"layers-2_size-{SIZE}"))
    assert hashed == {1: 1, 2: 1, 3: 1}


async def test_another_hashes_what_a_lost_process_has_not(
    pair: Pair, indexes: tuple[Index, Index], hashed: Counter[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT", 0.02)
    assert await indexes[0].leases.take(f"hash {SIZE} 0 ", is_active=lambda: False)
    await pair[1].image(RANDOM, TAG)
    assert hashed == {1: 1, 2: 1, 3: 1}


async def test_small_layers_are_not_waited_for(pair: Pair, indexes: tuple[Index, Index]) -> None:
    assert await indexes[0].leases.take("hash 1000 0 ")
    async with asyncio.timeout(30):
        await pair[1].image(RANDOM, "layers-3_size-1000")
