"""The fabricator: shared jobs, lasting results, and isolation between repositories."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import pytest

from brokenreg.images import layer_hashing as module
from brokenreg.images.fabricator import KINDS, Fabricator
from brokenreg.images.hashing import LayerSums, hash_layers
from brokenreg.images.image import build_image
from brokenreg.images.ledger import ImageRecord, LayerRecord
from brokenreg.images.spec import ImageSpec, spec_from
from brokenreg.oci.errors import OCIError
from brokenreg.oci.params import split_params
from tests.images.stores import DictStore, FailingStore, GatedStore

RANDOM = "broken/random"
SALTED = "broken/truncate"
GIB = 1024**3
LIMIT = 128 * GIB


def parse_salted(tag: str) -> ImageSpec:
    return spec_from(split_params(tag, ("layers", "size", "seed")), salt="truncate")


@asynccontextmanager
async def fabricating(store: DictStore) -> AsyncIterator[Fabricator]:
    fabricator = Fabricator(store, {**KINDS, SALTED: parse_salted}, LIMIT)
    try:
        yield fabricator
    finally:
        await fabricator.close()


async def refused(awaitable: Awaitable[object]) -> OCIError:
    with pytest.raises(OCIError) as caught:
        await awaitable
    return caught.value


async def test_an_image_is_served_by_tag_and_by_digest() -> None:
    async with fabricating(DictStore()) as fabricator:
        assert fabricator.provides(RANDOM)
        assert not fabricator.provides("library/nginx")
        image = await fabricator.image(RANDOM, "layers-2_size-1000")
        assert await fabricator.image(RANDOM, image.digest) == image
        config = await fabricator.blob(RANDOM, image.config_digest)
        assert config is not None
        assert config.read(0, config.size + 1) == image.config
        assert config.read(3, 5) == image.config[3:8]
        for layer in image.layers:
            blob = await fabricator.blob(RANDOM, layer.digest)
            assert blob is not None
            assert blob.size == layer.size
            assert blob.read(700, 90) == layer.layer.read(700, 90)


async def test_digests_belong_to_their_repository() -> None:
    async with fabricating(DictStore()) as fabricator:
        image = await fabricator.image(RANDOM, "layers-1_size-10")
        salted = await fabricator.image(SALTED, "layers-1_size-10")
        layer = image.layers[0].digest
        for digest in (image.digest, image.config_digest, layer):
            assert fabricator.spec_of(RANDOM, digest) == ImageSpec(1, 10)
            assert fabricator.spec_of(SALTED, digest) is None
            assert await fabricator.blob(SALTED, digest) is None
        assert fabricator.spec_of(SALTED, salted.layers[0].digest) == ImageSpec(1, 10, salt="truncate")
        assert fabricator.is_config(RANDOM, image.config_digest)
        assert not fabricator.is_config(RANDOM, layer)
        assert not fabricator.is_config(SALTED, image.config_digest)
        assert await fabricator.blob(RANDOM, image.digest) is None
        for repository, digest in ((SALTED, image.digest), (RANDOM, image.config_digest), (RANDOM, layer)):
            error = await refused(fabricator.image(repository, digest))
            assert (error.status, error.code) == (404, "MANIFEST_UNKNOWN")


async def test_what_cannot_be_made_is_refused() -> None:
    async with fabricating(DictStore()) as fabricator:
        assert (await refused(fabricator.image(RANDOM, "layers-2"))).code == "BAD_REQUEST"
        assert (await refused(fabricator.image(RANDOM, "layers-2_size-65GiB"))).status == 400
        assert (await refused(fabricator.image("other", "layers-2_size-1"))).code == "NAME_UNKNOWN"


async def test_127_layers() -> None:
    async with fabricating(DictStore()) as fabricator:
        image = await fabricator.image(RANDOM, "layers-127_size-64")
        assert len({layer.digest for layer in image.layers}) == 127


def counting_hashes() -> mock._patch[mock.Mock]:
    return mock.patch.object(module, "hash_layers", wraps=module.hash_layers)


async def test_everything_survives_a_restart_and_is_not_hashed_again() -> None:
    store = DictStore()
    async with fabricating(store) as fabricator:
        image = await fabricator.image(RANDOM, "layers-3_size-5000_seed--4")
    with counting_hashes() as hashes:
        async with fabricating(DictStore(dict(store.records))) as fabricator:
            assert await fabricator.image(RANDOM, image.digest) == image
            assert await fabricator.blob(RANDOM, image.layers[2].digest) is not None
            assert fabricator.is_config(RANDOM, image.config_digest)
            assert await fabricator.image(RANDOM, "layers-3_size-5000_seed--4") == image
            fewer = await fabricator.image(RANDOM, "layers-2_size-5000_seed--4")
            assert fewer.layers == image.layers[:2]
        hashes.assert_not_called()


async def test_records_that_cannot_be_read_are_made_again() -> None:
    store = DictStore()
    async with fabricating(store) as fabricator:
        image = await fabricator.image(RANDOM, "layers-1_size-5")
    (layer_key,) = (key for key in store.records if key.startswith("layer:"))
    (image_key,) = (key for key in store.records if key.startswith("image:"))
    for damaged in (
        {**store.records, layer_key: "{}"},
        {**store.records, layer_key: "not JSON"},
        {**store.records, image_key: store.records[image_key].replace('"layers":1', '"layers":0')},
        {"layer:recipe=2;x": store.records[layer_key], image_key: store.records[image_key]},
        {**store.records, "another:kind": "1"},
    ):
        async with fabricating(DictStore(damaged)) as fabricator:
            assert await fabricator.image(RANDOM, "layers-1_size-5") == image


async def test_100_gib_are_served_from_any_offset_at_once() -> None:
    spec = ImageSpec(1, 100 * GIB)
    sums = LayerSums(1, f"sha256:{'a' * 64}", f"sha256:{'b' * 64}")
    layer, image = LayerRecord.of(spec.recipe(1), sums), ImageRecord.of(RANDOM, build_image(spec, [sums]))
    records = {layer.key: layer.model_dump_json(), image.key: image.model_dump_json()}
    with counting_hashes() as hashes:
        async with fabricating(DictStore(records)) as fabricator:
            await read_everywhere(fabricator, image, sums)
        hashes.assert_not_called()


async def read_everywhere(fabricator: Fabricator, image: ImageRecord, sums: LayerSums) -> None:
    assert (await fabricator.image(RANDOM, "layers-1_size-100GiB")).digest == image.manifest
    blob = await fabricator.blob(RANDOM, sums.digest)
    assert blob is not None
    for offset in range(0, blob.size, blob.size // 50):
        assert len(blob.read(offset, 100)) == min(100, blob.size - offset)


async def test_all_who_wait_share_one_job() -> None:
    with counting_hashes() as hashes:
        async with fabricating(DictStore()) as fabricator:
            images = await asyncio.gather(
                *(fabricator.image(RANDOM, "layers-1_size-100000") for _ in range(50))
            )
        assert len({id(image) for image in images}) == 1
        hashes.assert_called_once()


async def test_a_job_continues_without_clients() -> None:
    store = GatedStore()
    async with fabricating(store) as fabricator:
        first = asyncio.create_task(fabricator.image(RANDOM, "layers-1_size-10"))
        second = asyncio.create_task(fabricator.image(RANDOM, "layers-1_size-10"))
        await store.reached.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not second.done()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        store.gate.set()
        with counting_hashes() as hashes:
            await fabricator.image(RANDOM, "layers-1_size-10")
            hashes.assert_not_called()
        assert store.puts == 2


async def test_two_run_eight_wait_and_the_next_is_reported_to_come_again() -> None:
    store = GatedStore()
    async with fabricating(store) as fabricator:
        waiting = [
            asyncio.create_task(fabricator.image(RANDOM, f"layers-1_size-10_seed-{seed}"))
            for seed in range(10)
        ]
        await store.reached.wait()
        error = await refused(fabricator.image(RANDOM, "layers-1_size-10_seed-10"))
        assert (error.status, error.code, error.headers) == (
            503,
            "UNAVAILABLE",
            {"retry-after": "1"},
        )  # 20 bytes
        assert store.puts <= 2  # at most two at once got as far as the store
        joining = asyncio.create_task(fabricator.image(RANDOM, "layers-1_size-10_seed-9"))
        store.gate.set()
        images = await asyncio.gather(*waiting, joining)
        assert images[-1] is images[-2]
        await fabricator.image(RANDOM, "layers-1_size-10_seed-10")


async def test_a_failure_reaches_all_who_wait_and_is_forgotten() -> None:
    store = FailingStore()
    async with fabricating(store) as fabricator:
        outcomes = await asyncio.gather(
            *(fabricator.image(RANDOM, "layers-1_size-10") for _ in range(3)), return_exceptions=True
        )
        assert [str(outcome) for outcome in outcomes] == ["disk full"] * 3
        assert await fabricator.blob(RANDOM, f"sha256:{'0' * 64}") is None
        store.healthy = True
        assert (await fabricator.image(RANDOM, "layers-1_size-10")).spec == ImageSpec(1, 10)


async def test_the_loop_goes_on_while_256_mib_are_hashed() -> None:
    async with fabricating(DictStore()) as fabricator:
        job = asyncio.create_task(fabricator.image(RANDOM, "layers-2_size-128MiB"))
        turns = 0
        while not job.done():
            await asyncio.wait([job], timeout=0.001)
            turns += 1
        assert turns > 20  # if it hashed in the loop, there would be one turn for each layer


@pytest.mark.parametrize("count", [1, 5])
async def test_close_ends_jobs_promptly_and_answers_those_who_wait(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def hash_and_tell(*arguments: Any) -> list[LayerSums]:
        loop.call_soon_threadsafe(begun.set)
        return hash_layers(*arguments)

    monkeypatch.setattr(module, "hash_layers", hash_and_tell)
    async with fabricating(DictStore()) as fabricator:
        waiting = [
            asyncio.create_task(fabricator.image(RANDOM, f"layers-1_size-100GiB_seed-{seed}"))
            for seed in range(count)
        ]
        await begun.wait()
        async with asyncio.timeout(30):  # to hash 100 GiB takes minutes
            await fabricator.close()
        for task in waiting:
            assert (await refused(task)).status == 503
        assert (await refused(fabricator.image(RANDOM, "layers-1_size-1"))).status == 503
