"""A client repeats a request after the database or the object store has failed: what is stored is right."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from brokenreg.config.blob_location import BlobLocation
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.storage import Store
from brokenreg.storage.changes import Changes
from brokenreg.storage.database.database import Database
from brokenreg.storage.errors import DatabaseUnreachableError, ObjectStoreError
from tests.storage.contents import KEY, OTHER, chunks, content_of, push
from tests.storage.object_stores import MIB, S3, s3_server, use

CONTENT = random.Random("repeated").randbytes(20 * MIB + 5)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def location(s3: S3, monkeypatch: pytest.MonkeyPatch) -> BlobLocation:
    return use(s3.port, monkeypatch, uuid.uuid4().hex)


@pytest.fixture(params=["a folder", "an object store"])
async def either_store(
    request: pytest.FixtureRequest, tmp_path: Path, location: BlobLocation
) -> AsyncIterator[Store]:
    place = location if request.param == "an object store" else BlobLocation()
    async with Store.open(tmp_path / "data", location=place) as store:
        yield store


@pytest.fixture
async def store(tmp_path: Path, location: BlobLocation) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data", location=location) as store:
        yield store


class FailingDatabase:
    """Fails every write within a block."""

    def __init__(self) -> None:
        self._patch = patch.object(Database, "write", self._fail)

    async def _fail(self, *_: object) -> Changes:
        raise DatabaseUnreachableError("the database does not respond")

    def __enter__(self) -> None:
        self._patch.start()

    def __exit__(self, *_: object) -> None:
        self._patch.stop()


@pytest.mark.parametrize("size", [1000, 16 * MIB, 20 * MIB + 5])
async def test_an_object_that_could_not_be_linked_is_sent_again_in_full(store: Store, size: int) -> None:
    content = CONTENT[:size]
    digest = Digest.of(content)
    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(content))
        with FailingDatabase(), pytest.raises(DatabaseUnreachableError):
            await store.uploads.finish(upload, digest)
    with store.uploads.find(KEY, upload_id) as upload:
        await store.uploads.finish(upload, digest)
    stored = store.index.objects[digest]
    assert store.objects is not None
    assert await store.objects.store.read(stored.key, 0, size) == content


async def test_each_completion_has_a_key_of_its_own(store: Store, s3: S3, location: BlobLocation) -> None:
    """The first object may be in use: whether a commit succeeded is not always known."""
    upload_id = await store.uploads.start(KEY, "sha256")
    digest = Digest.of(CONTENT)
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(CONTENT))
        with FailingDatabase(), pytest.raises(DatabaseUnreachableError):
            await store.uploads.finish(upload, digest)
        before = s3.objects(location.prefix)
        await store.uploads.finish(upload, digest)
    assert s3.objects(location.prefix).items() > before.items()
    assert store.index.objects[digest].key not in before


async def test_an_object_of_another_size_is_never_published(
    store: Store, s3: S3, location: BlobLocation
) -> None:
    assert store.objects is not None
    writer = store.objects.store.writer("blobs/short")
    await writer.write(CONTENT[: 8 * MIB])
    with pytest.raises(ObjectStoreError, match="8388608 of 8388609 bytes were sent"):
        await writer.complete(8 * MIB + 1)
    await writer.abort()
    assert s3.objects(location.prefix) == {}


async def test_an_unlisted_session_ends_without_the_database(store: Store) -> None:
    """The error of the upload is reported, not that of the database, and nothing is left."""
    upload = store.uploads.start_unlisted(KEY, "sha256")
    with upload, FailingDatabase():
        await upload.append(chunks(b"content"))
        with pytest.raises(OCIError) as wrong:
            await store.uploads.finish(upload, Digest.of(b"other content"))
    assert wrong.value.status == 400
    assert not upload.path.exists()


async def put_last(store: Store, upload_id: str, last: bytes, digest: Digest) -> None:
    """End a session as a PUT with a body does."""
    with store.uploads.find(KEY, upload_id) as upload:
        start = upload.offset
        await upload.append(chunks(last))
        await store.uploads.finish(upload, digest, undo_to=start)


@pytest.mark.parametrize("before", [0, 9 * MIB, len(CONTENT)])
async def test_a_put_that_could_not_be_finished_is_repeated_with_its_body(
    either_store: Store, before: int
) -> None:
    """The blob may even be in use by another repository by then."""
    store, digest = either_store, Digest.of(CONTENT)
    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(CONTENT[:before]))
    with FailingDatabase(), pytest.raises(DatabaseUnreachableError):
        await put_last(store, upload_id, CONTENT[before:], digest)
    assert store.uploads.find(KEY, upload_id).received == before
    await push(store, CONTENT, OTHER)
    await put_last(store, upload_id, CONTENT[before:], digest)
    assert content_of(store, digest) == CONTENT
    repository = store.index.repository(KEY)
    assert repository is not None
    assert digest in repository.links


async def test_undoing_a_put_counts_each_byte_once(either_store: Store) -> None:
    store, digest = either_store, Digest.of(CONTENT)
    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(CONTENT[:MIB]))
    with FailingDatabase(), pytest.raises(DatabaseUnreachableError):
        await put_last(store, upload_id, CONTENT[MIB:], digest)
    await put_last(store, upload_id, CONTENT[MIB:], digest)
    assert store.room.quota.used == len(CONTENT)
