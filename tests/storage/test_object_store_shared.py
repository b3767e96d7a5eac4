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
from tests.storage.contents import DAY, KEY, OTHER, content_of, push
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
