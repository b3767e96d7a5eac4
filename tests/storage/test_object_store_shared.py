"""Two brokenregs with one database and one object store: each has the blobs of the other."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from brokenreg.config.blob_location import BlobLocation
from brokenreg.oci.digests import Digest
from brokenreg.storage import Store
from brokenreg.storage.errors import ObjectStoreError, OtherPlaceError
from tests.storage.contents import DAY, KEY, OTHER, content_of, push, until
from tests.storage.object_stores import MIB, S3, s3_server, use

CONTENT = uuid.uuid4().bytes * (9 * MIB // 16)
DIGEST = Digest.of(CONTENT)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def location(s3: S3, monkeypatch: pytest.MonkeyPatch) -> BlobLocation:
    return use(s3.port, monkeypatch, uuid.uuid4().hex)


@pytest.fixture
async def pair(
    tmp_path: Path, location: BlobLocation, database_url: str
) -> AsyncIterator[tuple[Store, Store]]:
    async with (
        Store.open(tmp_path / "first", location=location, database=database_url) as first,
        Store.open(tmp_path / "second", location=location, database=database_url) as second,
    ):
        yield first, second


async def test_a_blob_is_pushed_to_one_and_read_from_the_other(pair: tuple[Store, Store]) -> None:
    first, second = pair
    await push(first, CONTENT)
    await second.index.catch_up()
    assert second.size(DIGEST) == len(CONTENT)
    file = await second.open_whole(DIGEST)
    assert file is not None
    file.close()
    assert content_of(second, DIGEST) == CONTENT


async def test_a_blob_that_the_other_has_is_not_stored_twice(
    pair: tuple[Store, Store], s3: S3, location: BlobLocation
) -> None:
    """Even if this replica does not know of it yet: the transaction decides."""
    first, second = pair
    await push(first, CONTENT)
    await push(second, CONTENT, OTHER)
    assert list(s3.objects(location.prefix).values()) == [len(CONTENT)]


async def test_a_blob_that_the_other_still_links_is_not_garbage(
    pair: tuple[Store, Store], s3: S3, location: BlobLocation
) -> None:
    first, second = pair
    await push(first, CONTENT)
    await push(second, CONTENT, OTHER)
    later = time.time() + 2 * DAY
    for store, key, left in ((first, KEY, 1), (second, OTHER, 0)):
        assert await store.index.unlink_blobs(key, [DIGEST]) == 1
        assert store.objects is not None
        await store.objects.garbage.collect(later, later)
        assert len(s3.objects(location.prefix)) == left
    await first.index.catch_up()
    assert first.index.objects == {}


async def test_a_mount_of_a_removed_blob_fails(pair: tuple[Store, Store]) -> None:
    first, second = pair
    await push(first, CONTENT)
    await second.index.catch_up()
    await first.index.unlink_blobs(KEY, [DIGEST])
    assert first.objects is not None
    await first.objects.garbage.drop([DIGEST])
    assert not await second.link(OTHER, DIGEST)


@pytest.fixture
async def misfits(
    tmp_path: Path, location: BlobLocation, database_url: str
) -> AsyncIterator[tuple[Store, Store, Store]]:
    """They start together, so that none of them sees where another has its blobs."""
    other = BlobLocation("s3", location.bucket, uuid.uuid4().hex)
    async with (
        Store.open(tmp_path / "first", location=location, database=database_url) as first,
        Store.open(tmp_path / "second", location=other, database=database_url) as second,
        Store.open(tmp_path / "third", database=database_url) as third,
    ):
        yield first, second, third


async def test_a_blob_is_stored_only_where_the_others_have_theirs(
    misfits: tuple[Store, Store, Store], location: BlobLocation
) -> None:
    """Whichever stores the first object decides."""
    first, *others = misfits
    await push(first, CONTENT)
    for other in others:
        for content in (CONTENT, b"another blob"):
            with pytest.raises(OtherPlaceError, match=f"blobs of this index are in {location}; use --blobs"):
                await push(other, content, OTHER)
    await first.index.catch_up()
    assert first.index.repository(OTHER) is None
    assert list(first.index.objects) == [DIGEST]


async def test_an_object_in_another_store_is_neither_lost_nor_garbage(
    misfits: tuple[Store, Store, Store],
    s3: S3,
    location: BlobLocation,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second, _ = misfits
    await push(first, CONTENT)
    await second.index.catch_up()
    with pytest.raises(ObjectStoreError):
        await second.open_whole(DIGEST)
    assert second.objects is not None
    await until(lambda: f"the blobs of this index are in {location}" in caplog.text)
    assert "corrupt" not in caplog.text
    await second.index.unlink_blobs(KEY, [DIGEST])
    await second.objects.garbage.drop([DIGEST])
    await first.index.catch_up()
    assert first.index.intact_object(DIGEST) is not None
    assert list(s3.objects(location.prefix).values()) == [len(CONTENT)]


async def test_the_limit_of_cached_blobs_is_that_of_all_processes(
    tmp_path: Path, location: BlobLocation, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process has cached counts, and what it has removed does not."""
    monkeypatch.setattr("brokenreg.storage.cached_blobs._FOLLOW_INTERVAL", 0.0)
    cached = ("@registry.test", "org/app")
    async with (
        Store.open(tmp_path / "first", 250, location=location, database=database_url) as first,
        Store.open(tmp_path / "second", 250, location=location, database=database_url) as second,
    ):
        digests = [
            await push(store, bytes([number]) * 100, cached)
            for number, store in enumerate((first, first, second))
        ]
        for store, used in ((first, 1), (first, 0), (second, 2)):
            store.cache.used(digests[used], 100)
        for store in (second, first):
            await store.index.catch_up()
            await store.cache.make_room()
            assert set(store.index.objects) == set(digests[1:])
