"""Reads of blobs that only the object store has: shared, verified, in ranges, and while the store fails."""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from brokenreg.config.blob_location import BlobLocation
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.storage import Store
from brokenreg.storage.blob_download import BlobDownload, Piece
from brokenreg.storage.errors import StorageError
from brokenreg.storage.objects.remote_blobs import RemoteBlobs
from brokenreg.storage.records import StoredObject
from tests.storage import object_stores
from tests.storage.contents import DAY, KEY, content_of, push, put
from tests.storage.object_stores import MIB, S3, FailingProxy, Failure, failing_proxy, s3_server, use

CONTENT = random.Random("reads").randbytes(20 * MIB)
DIGEST = Digest.of(CONTENT)
SMALL = b"a configuration"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def proxy(s3: S3) -> Iterator[FailingProxy]:
    with failing_proxy(s3) as proxy:
        yield proxy


@pytest.fixture
def location(proxy: FailingProxy, monkeypatch: pytest.MonkeyPatch) -> BlobLocation:
    return use(proxy.port, monkeypatch, uuid.uuid4().hex)


@pytest.fixture
async def store(tmp_path: Path, location: BlobLocation) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data", location=location) as store:
        await push_remote(store, CONTENT, SMALL)
        yield store


async def push_remote(store: Store, *contents: bytes) -> None:
    """Push blobs, and remove their copies from the data folder."""
    await put(store, *[await push(store, content) for content in contents])
    for content in contents:
        forget(store, Digest.of(content))


def forget(store: Store, digest: Digest) -> None:
    store.folder.blob(digest).unlink()
    remote(store).copies.gone(digest)


def remote(store: Store) -> RemoteBlobs:
    assert store.objects is not None
    return store.objects


def object_of(store: Store, digest: Digest = DIGEST) -> StoredObject:
    stored = store.find(digest)
    assert isinstance(stored, StoredObject)
    return stored


async def read(fetch: BlobDownload, begin: int = 0, end: int | None = None) -> bytes:
    found = b""
    with fetch.reading():
        await fetch.begun()
        async for piece in fetch.pieces(begin, end, asyncio.Event()):
            assert isinstance(piece, Piece | bytes)
            is_file = isinstance(piece, Piece)
            found += piece.file.read_blocking(piece.offset, piece.count) if is_file else piece
    return found


async def fetched(store: Store, digest: Digest = DIGEST) -> bytes:
    return await read(remote(store).downloads.fetch(digest, object_of(store, digest)))


async def test_a_blob_without_a_copy_is_fetched_and_kept(store: Store) -> None:
    assert await fetched(store) == CONTENT
    assert await whole(store) == CONTENT
    assert content_of(store, DIGEST) == CONTENT


async def whole(store: Store, digest: Digest = DIGEST) -> bytes | None:
    file = await store.open_whole(digest)
    if file is None:
        return None
    with file:
        return file.read_blocking(0, file.size)


async def test_any_number_of_readers_share_one_fetch(store: Store, proxy: FailingProxy) -> None:
    proxy.requests.clear()
    stored = object_of(store)
    fetches = [remote(store).downloads.fetch(DIGEST, stored) for _ in range(20)]
    assert all(content == CONTENT for content in await asyncio.gather(*map(read, fetches)))
    assert len([request for request in proxy.requests if request.startswith("GET")]) == 4


async def test_a_range_is_read_without_fetching_the_blob(store: Store, proxy: FailingProxy) -> None:
    proxy.requests.clear()
    chunks = await remote(store).downloads.open_range(DIGEST, object_of(store), 9 * MIB, 12 * MIB + 5)
    assert b"".join([chunk async for chunk in chunks]) == CONTENT[9 * MIB : 12 * MIB + 5]
    assert all(request.startswith("GET ") for request in proxy.requests)
    assert content_of(store, DIGEST) is None


@pytest.mark.parametrize(
    ("failure", "count"), [("cut", 2), ("truncate", 2), ("corrupt", 10**9)], ids=lambda value: str(value)
)
async def test_wrong_or_cut_bytes_never_become_a_blob(
    store: Store, proxy: FailingProxy, failure: str, count: int
) -> None:
    """A transfer that is cut or too short is read again; wrong bytes are an error before the last byte."""
    proxy.fail = times(count, getattr(object_stores, failure))
    if failure == "corrupt":
        with pytest.raises(OCIError, match="has the digest") as failed:
            await fetched(store)
        assert failed.value.status == 503
        assert content_of(store, DIGEST) is None
        proxy.fail = None
    assert await fetched(store) == CONTENT


def times(count: int, failure: Failure) -> Failure:
    """Apply a failure to the first `count` reads of objects."""
    left = [count]

    def fail(handler: object, reply: object) -> object:
        if "GET" in str(reply) and left[0] > 0:
            left[0] -= 1
            return failure(handler, reply)  # type: ignore[arg-type]
        return reply

    return fail  # type: ignore[return-value]


async def test_a_corrupt_object_is_no_longer_served_after_the_second_fetch(
    store: Store, s3: S3, location: BlobLocation
) -> None:
    s3.replace(location.prefix, object_of(store).key, CONTENT[::-1])
    for _ in range(2):
        with pytest.raises(OCIError, match="has the digest"):
            await fetched(store)
    await settled(store)
    assert store.find(DIGEST) is None
    assert "push it again" in str(store.integrity.why_missing(DIGEST))
    await push(store, CONTENT)
    forget(store, DIGEST)
    assert await fetched(store) == CONTENT


async def settled(store: Store) -> None:
    """Wait until what fetches left to do is done."""
    downloads = remote(store).downloads
    while downloads._tasks:
        await asyncio.wait(downloads._tasks)


async def test_a_lost_object_is_a_missing_blob_until_it_is_pushed_again(
    store: Store, s3: S3, location: BlobLocation
) -> None:
    s3.remove(location.prefix, object_of(store).key)
    with pytest.raises(OCIError, match="has no object") as failed:
        await fetched(store)
    assert failed.value.status == 404
    await settled(store)
    assert store.size(DIGEST) is None
    await push(store, CONTENT)
    assert store.size(DIGEST) == len(CONTENT)


async def test_a_store_that_is_down_is_an_error_and_blobs_come_back_with_it(
    store: Store, proxy: FailingProxy
) -> None:
    proxy.is_down = True
    with pytest.raises(OCIError, match="failed to read") as failed:
        await fetched(store)
    assert failed.value.status == 503
    proxy.is_down = False
    assert await fetched(store) == CONTENT


async def test_the_least_recently_used_copies_make_room(tmp_path: Path, location: BlobLocation) -> None:
    contents = [CONTENT[number : number + 4 * MIB] for number in range(4)]
    async with Store.open(tmp_path / "data", location=location, max_data=13 * MIB) as store:
        digests = [await push(store, content) for content in contents[:3]]
        os.utime(store.folder.blob(digests[0]))
        assert store.find(digests[0]) is not None
        digests.append(await push(store, contents[3]))
        copies = [content_of(store, digest) is not None for digest in digests]
        assert copies == [True, False, True, True]
        assert await whole(store, digests[1]) == contents[1]


async def test_a_blob_larger_than_the_data_folder_may_be_is_sent_without_a_copy(
    tmp_path: Path, location: BlobLocation
) -> None:
    async with Store.open(tmp_path / "data", location=location) as store:
        await push_remote(store, CONTENT)
    async with Store.open(tmp_path / "data", location=location, max_data=4 * MIB) as store:
        assert await fetched(store) == CONTENT
        assert content_of(store, DIGEST) is None
        assert store.room.quota.used == 0


async def test_a_corrupt_copy_is_replaced_from_the_store(store: Store) -> None:
    assert await whole(store) == CONTENT
    path = store.folder.blob(DIGEST)
    path.write_bytes(CONTENT[:-1] + b"?")
    finding = await store.integrity.verify(DIGEST)
    assert finding is not None
    assert finding.is_intact
    assert not path.exists()
    assert await whole(store) == CONTENT


async def test_verifying_finds_a_corrupt_object(store: Store, s3: S3, location: BlobLocation) -> None:
    s3.replace(location.prefix, object_of(store).key, CONTENT[::-1])
    finding = await store.integrity.verify(DIGEST)
    assert finding is not None
    assert not finding.is_intact
    assert store.find(DIGEST) is None


async def test_garbage_is_removed_from_the_store_but_nothing_else(
    store: Store, s3: S3, location: BlobLocation
) -> None:
    garbage = await push(store, b"garbage")
    s3.replace(location.prefix, f"blobs/{uuid.uuid4().hex}", b"of a crash")
    s3.replace(location.prefix, "blobs/notes.txt", b"of somebody else")
    assert await store.index.unlink_blobs(KEY, [garbage]) == 1
    await store.collector.collect()
    assert len(s3.objects(location.prefix)) == 5
    await remote(store).garbage.collect(time.time() + 2 * DAY, time.time() + DAY)
    assert sorted(s3.objects(location.prefix).values()) == sorted([len(CONTENT), len(SMALL), 16])
    assert "blobs/notes.txt" in s3.objects(location.prefix)


async def test_a_missing_bucket_is_one_clear_line(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(s3.port, monkeypatch, "unused")
    with pytest.raises(StorageError) as failed:
        async with Store.open(tmp_path / "data", location=BlobLocation.parse("s3://not-created")):
            pass
    assert str(failed.value).endswith("404 Not Found: NoSuchBucket: The specified bucket does not exist")
