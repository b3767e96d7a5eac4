"""The quota: writes beyond it fail, and cached blobs are removed to make room."""

from __future__ import annotations

import asyncio
import errno
import random
import time
from pathlib import Path

import httpx
import pytest

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.storage import Store
from tests.proxy.chain import chain, last
from tests.registry.pushing import MIB, digest_of, error_of
from tests.server import brokenreg
from tests.storage.contents import DAY, KEY, chunks, content_of, push
from tests.storage.test_cached_blobs import QUAY, fetch, here

LIMIT = 100_000


async def refuses(store: Store, size: int) -> None:
    with store.uploads.start_unlisted(KEY, "sha256") as upload:
        with pytest.raises(OSError, match="quota") as caught:
            await upload.append(chunks(b"x" * size))
        assert caught.value.errno == errno.EDQUOT
        await store.uploads.cancel(upload)


async def has_room(store: Store, size: int) -> None:
    """Assert that there is room for exactly `size` bytes."""
    await refuses(store, size + 1)
    with store.uploads.start_unlisted(KEY, "sha256") as upload:
        await upload.append(chunks(b"x" * size))
        await store.uploads.cancel(upload)


async def test_removed_content_makes_room(tmp_path: Path) -> None:
    """In every way of removal, and after a restart."""
    async with Store.open(tmp_path / "data", max_data=LIMIT) as store:
        digest = await push(store, b"a" * 60_000)
        await has_room(store, 40_000)
        await push(store, b"a" * 30_000)
        await has_room(store, 10_000)
        upload_id = await store.uploads.start(KEY, "sha256")
        with store.uploads.find(KEY, upload_id) as upload:
            await upload.append(chunks(b"x" * 5000))
        await has_room(store, 5000)
    async with Store.open(tmp_path / "data", max_data=LIMIT) as store:
        await has_room(store, 5000)
        with store.uploads.find(KEY, upload_id) as upload:
            await upload.append(chunks(b"y" * 1000))
            with pytest.raises(OCIError):
                await store.uploads.finish(upload, digest)
        await has_room(store, 10_000)
        await store.collector.collect(now=time.time() + 2 * DAY)
        await has_room(store, LIMIT)


async def test_the_same_blob_again_counts_once(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data", max_data=LIMIT) as store:
        await asyncio.gather(*(push(store, b"a" * 20_000) for _ in range(4)))
        await push(store, b"a" * 20_000, QUAY)
        await has_room(store, 80_000)


async def test_partly_received_content_counts(tmp_path: Path) -> None:
    """It counts up to the last batch that fitted."""
    async with Store.open(tmp_path / "data", max_data=LIMIT) as store:
        with store.uploads.start_unlisted(KEY, "sha256") as upload:
            with pytest.raises(OSError, match="quota"):
                await upload.grow(chunks(b"x" * 70_000, b"y" * 40_000))
            assert upload.offset == 70_000
            await has_room(store, 30_000)
            await upload.grow(chunks(b"z" * 30_000))
            await store.uploads.finish(upload, Digest.of(b"x" * 70_000 + b"z" * 30_000))
        await has_room(store, 0)


async def test_cached_blobs_are_removed_to_make_room(tmp_path: Path) -> None:
    """The least recently used are removed first, and none that was also pushed."""
    async with Store.open(tmp_path / "data", max_data=LIMIT) as store:
        old, pushed, new = [await fetch(store, letter * 30_000) for letter in (b"a", b"b", b"c")]
        await store.link(KEY, pushed)
        await push(store, b"d" * 40_000)
        assert [content_of(store, each) is not None for each in (old, pushed, new)] == [False, True, True]
        await refuses(store, 70_000)
        await has_room(store, 30_000)
        assert content_of(store, pushed) is not None


async def test_no_blob_is_removed_in_vain(tmp_path: Path) -> None:
    """This applies to content that exceeds the quota, or its part without pushes and blobs in use."""
    async with Store.open(tmp_path / "data", max_data=LIMIT) as store:
        pushed = await push(store, b"p" * 20_000)
        cached, read = [await fetch(store, letter * 30_000) for letter in (b"c", b"r")]
        await refuses(store, LIMIT + 1)
        await refuses(store, 80_001)
        with store.blobs.pin(read):
            await refuses(store, 50_001)
            assert here(store, pushed, cached, read) == [True, True, True]
            await has_room(store, 50_000)
            assert here(store, pushed, cached, read) == [True, False, True]
        await has_room(store, 80_000)


def test_a_push_that_cannot_fit_removes_no_cached_blob(tmp_path: Path) -> None:
    """Each of its pieces would fit, but its Content-Length exceeds the quota."""
    with chain(tmp_path, "--max-data", "5MiB") as both, httpx.Client(base_url=both.proxy.url) as http:
        layer = random.randbytes(3 * MIB)
        both.push_image("org/app", layer)
        path = f"/v2/org/app/blobs/{digest_of(layer)}"
        assert http.get(path).content == layer
        large = bytes(6 * MIB)
        session = http.post("/v2/local/app/blobs/uploads/").headers["location"]
        for refused in (
            http.post(f"/v2/local/app/blobs/uploads/?digest={digest_of(large)}", content=large),
            http.patch(session, content=large),
            http.put(f"{session}?digest={digest_of(large)}", content=large),
        ):
            assert "full" in error_of(refused, 507)["message"]
        assert http.get(path).content == layer
        assert last(both.proxy, "endpoint:layer method:GET")["cache"] == "hit"
        assert http.patch(session, content=large[: 4 * MIB]).status_code == 202
        assert http.get(path).content == layer
        assert last(both.proxy, "endpoint:layer method:GET")["cache"] == "miss"


def test_a_download_that_cannot_fit_removes_no_cached_blob(tmp_path: Path) -> None:
    """The client still gets it."""
    with chain(tmp_path, "--max-data", "5MiB") as both:
        small, large = random.randbytes(3 * MIB), random.randbytes(6 * MIB)
        both.push_image("org/app", small, large)
        for layer, part in ((small, "miss"), (large, "miss"), (large, "miss"), (small, "hit")):
            cache = "joined"
            while cache == "joined":  # the download before has not quite ended
                assert both.get(f"/v2/org/app/blobs/{digest_of(layer)}").content == layer
                cache = last(both.proxy, "endpoint:layer method:GET")["cache"]
            assert cache == part


def test_a_push_beyond_the_quota(tmp_path: Path) -> None:
    """It gets a 507 in OCI form. After a deletion, it is stored."""
    with (
        brokenreg(tmp_path / "data", "--max-data", "100KiB") as running,
        httpx.Client(base_url=running.url) as http,
    ):
        content = b"x" * 110_000
        refused = http.post(f"/v2/quota/blobs/uploads/?digest={digest_of(content)}", content=content)
        assert "full" in error_of(refused, 507)["message"]
        content = b"x" * 100_000
        pushed = http.post(f"/v2/quota/blobs/uploads/?digest={digest_of(content)}", content=content)
        assert pushed.status_code == 201
