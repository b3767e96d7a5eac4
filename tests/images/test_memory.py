"""Memory holds the most recently used images, and the store finds the others by digest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import pytest

from brokenreg.faults.registry_view import RegistryView
from brokenreg.images import layer_hashing as module
from brokenreg.images.fabricator import KINDS, Fabricator
from brokenreg.images.image import FabricatedImage
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.target import Endpoint, Target
from brokenreg.rules.path_rules import PathRules, fault_images
from brokenreg.traffic.exchange import Exchange
from tests.images.stores import DictStore

RANDOM = "broken/random"
MEMORY = 64
IMAGES = 40


@asynccontextmanager
async def fabricating(store: DictStore, memory: int = MEMORY) -> AsyncIterator[Fabricator]:
    fabricator = Fabricator(store, {**KINDS, **fault_images()}, 1024**3, memory)
    try:
        yield fabricator
    finally:
        await fabricator.close()


async def make_many(fabricator: Fabricator) -> list[FabricatedImage]:
    return [await fabricator.image(RANDOM, f"layers-8_size-1_seed-{seed}") for seed in range(IMAGES)]


async def test_each_new_seed_displaces_one_and_all_are_served_by_digest() -> None:
    async with fabricating(DictStore()) as fabricator:
        images = await make_many(fabricator)
        assert 0 < len(list(fabricator.made())) <= MEMORY
        assert fabricator.spec_of(RANDOM, images[0].digest) is None
        with mock.patch.object(module, "hash_layers", wraps=module.hash_layers) as hashes:
            for image in images:
                for layer in image.layers[::7]:
                    blob = await fabricator.blob(RANDOM, layer.digest)
                    assert blob is not None
                    assert blob.read(0, blob.size) == layer.layer.read(0, layer.size)
                config = await fabricator.blob(RANDOM, image.config_digest)
                assert config is not None
                assert config.read(0, config.size) == image.config
                assert await fabricator.image(RANDOM, image.digest) == image
            hashes.assert_not_called()
        assert len(list(fabricator.made())) <= MEMORY


async def test_a_client_in_the_middle_of_a_pull_keeps_its_image_in_memory() -> None:
    async with fabricating(DictStore()) as fabricator:
        pulled = await fabricator.image(RANDOM, "layers-8_size-2")
        for seed, layer in enumerate(pulled.layers * 4):
            assert await fabricator.blob(RANDOM, layer.digest) is not None
            await fabricator.image(RANDOM, f"layers-8_size-1_seed-{seed}")
            assert fabricator.layer_numbers(RANDOM, layer.digest)


async def test_an_image_whose_layers_the_store_has_lost_is_hashed_again_by_its_digest() -> None:
    store = DictStore()
    async with fabricating(store) as fabricator:
        image = (await make_many(fabricator))[0]
        store.records = {key: value for key, value in store.records.items() if key.startswith("image:")}
        assert await fabricator.blob(RANDOM, image.layers[0].digest) is None
        assert await fabricator.image(RANDOM, image.digest) == image
        assert await fabricator.blob(RANDOM, image.layers[0].digest) is not None


async def test_what_no_store_has_is_found_by_its_tag_again() -> None:
    store = DictStore()
    async with fabricating(store) as fabricator:
        image = (await make_many(fabricator))[0]
        store.records = {}
        with pytest.raises(OCIError, match="request its tag"):
            await fabricator.image(RANDOM, image.digest)
        assert await fabricator.image(RANDOM, "layers-8_size-1_seed-0") == image


async def test_a_start_reads_no_more_than_memory_holds() -> None:
    store = DictStore()
    async with fabricating(store, memory=10_000) as fabricator:
        images = await make_many(fabricator)
        assert len(list(fabricator.made())) == IMAGES * 10
    async with fabricating(store, memory=200) as fabricator:
        await fabricator.load()
        assert 0 < len(list(fabricator.made())) <= 200
        assert await fabricator.image(RANDOM, images[-1].digest) == images[-1]


async def test_digests_are_looked_up_only_where_they_were_made() -> None:
    async with fabricating(DictStore()) as fabricator:
        image = (await make_many(fabricator))[0]
        for digest in (image.digest, image.config_digest, image.layers[0].digest):
            await fabricator.recall("broken/truncate", digest)
            assert fabricator.spec_of("broken/truncate", digest) is None
            await fabricator.recall("library/app", digest)


async def test_empty_layers_belong_to_every_seed() -> None:
    async with fabricating(DictStore(), memory=30) as fabricator:
        first = await fabricator.image(RANDOM, "layers-8_size-0_seed-1")
        second = await fabricator.image(RANDOM, "layers-8_size-0_seed-2")
        assert first.layers[0].digest == second.layers[0].digest
        for seed in range(3, 9):
            await fabricator.image(RANDOM, f"layers-8_size-0_seed-{seed}")
            assert await fabricator.blob(RANDOM, first.layers[0].digest) is not None
            assert await fabricator.image(RANDOM, first.digest) == first


@pytest.mark.parametrize("what", ["manifest", "config", "layer"])
async def test_rules_of_a_path_know_a_digest_that_memory_has_forgotten(what: str) -> None:
    name = "broken/truncate"
    store = DictStore()
    async with fabricating(store) as fabricator:
        image = await fabricator.image(name, "after-1")
    digest = {"manifest": image.digest, "config": image.config_digest, "layer": image.layers[0].digest}[what]
    endpoint = Endpoint.MANIFEST if what == "manifest" else Endpoint.LAYER
    exchange = Exchange(
        1, "GET", "", "", "1.1", "http", "c:1", Target(endpoint, repository=name, reference=digest)
    )
    async with fabricating(store) as fabricator:
        nothing: Any = None
        registry_view = RegistryView(nothing, fabricator, nothing, nothing, nothing, nothing, nothing)
        assert PathRules(fabricator).rules(exchange.target, "GET") == []
        assert registry_view.must_recall(exchange)
        await registry_view.recall(exchange)
        assert len(PathRules(fabricator).rules(exchange.target, "GET")) == 1
        assert not registry_view.must_recall(exchange)
        assert exchange.endpoint is {"config": Endpoint.CONFIG}.get(what, endpoint)
        assert Digest(digest) == exchange.target.digest


async def test_many_clients_recall_one_image_at_the_same_time() -> None:
    async with fabricating(DictStore()) as fabricator:
        image = (await make_many(fabricator))[0]
        blobs = await asyncio.gather(*(fabricator.blob(RANDOM, layer.digest) for layer in image.layers * 5))
        assert None not in blobs


async def test_memory_knows_tags_and_digests_of_what_was_used_last() -> None:
    async with fabricating(DictStore()) as fabricator:
        images = await make_many(fabricator)
        assert fabricator.knows(RANDOM, images[-1].digest)
        assert fabricator.knows(RANDOM, f"layers-8_size-1_seed-{IMAGES - 1}")
        assert not fabricator.knows(RANDOM, images[0].digest)
        assert not fabricator.knows(RANDOM, "layers-8_size-1_seed-0")
        assert not fabricator.knows(RANDOM, "layers-x")
        assert not fabricator.knows("library/app", "v1")
