"""Pushes to an object store: objects are complete before a push is acknowledged, and bytes are sent early."""

from __future__ import annotations

import asyncio
import random
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from brokenreg.config.blob_location import BlobLocation
from brokenreg.oci.digests import Digest
from brokenreg.storage import Store
from brokenreg.storage.errors import ObjectStoreError, StorageError
from tests.storage.contents import KEY, OTHER, chunks, content_of, push, put
from tests.storage.object_stores import MIB, S3, FailingProxy, failing_proxy, one_in, s3_server, use

CONTENT = random.Random("objects").randbytes(20 * MIB)
"""Two whole parts and a half."""


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


def opened(folder: Path, location: BlobLocation, **more: int) -> AbstractAsyncContextManager[Store]:
    return Store.open(folder / "data", location=location, **more)


@pytest.fixture
async def store(tmp_path: Path, location: BlobLocation) -> AsyncIterator[Store]:
    async with opened(tmp_path, location) as store:
        yield store


async def all_ended(store: Store) -> None:
    """Wait until uploads that were given up have been removed from the store."""
    assert store.objects is not None
    while ending := store.objects.uploads.shared_sending._ending:
        await asyncio.wait(ending)


async def test_a_pushed_blob_is_an_object_under_the_key_of_its_session(
    store: Store, s3: S3, location: BlobLocation
) -> None:
    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(b"content"))
        await store.uploads.finish(upload, Digest.of(b"content"))
    assert s3.objects(location.prefix) == {f"blobs/{upload_id}": 7}
    assert content_of(store, Digest.of(b"content")) == b"content"


async def test_parts_are_sent_while_the_blob_arrives(store: Store, proxy: FailingProxy) -> None:
    upload_id = await store.uploads.start(KEY, "sha256")
    sent = asyncio.Event()

    async def arriving() -> AsyncIterator[bytes]:
        for start in range(0, 17 * MIB, MIB):
            yield CONTENT[start : start + MIB]
        await proxy.wait_for("partNumber=2")
        sent.set()
        yield CONTENT[17 * MIB :]

    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(arriving())
        assert sent.is_set()
        await store.uploads.finish(upload, Digest.of(CONTENT))
    assert sum("partNumber" in request for request in proxy.requests) == 3


async def test_a_blob_that_is_pushed_again_is_not_stored_twice(
    store: Store, s3: S3, location: BlobLocation
) -> None:
    await push(store, CONTENT)
    before = s3.objects(location.prefix)
    await push(store, CONTENT, OTHER)
    assert s3.objects(location.prefix) == before
    await all_ended(store)
    assert s3.open_uploads() == 0


async def test_concurrent_pushes_of_one_blob_leave_one_object(
    store: Store, s3: S3, location: BlobLocation
) -> None:
    await asyncio.gather(*(push(store, CONTENT[: 9 * MIB], ("", f"app-{each}")) for each in range(6)))
    assert list(s3.objects(location.prefix).values()) == [9 * MIB]


async def test_a_chunk_that_was_cut_off_is_not_part_of_the_object(
    store: Store, s3: S3, location: BlobLocation
) -> None:
    """The first chunk was sent in part already when the second one is undone."""
    upload_id = await store.uploads.start(KEY, "sha256")

    async def cut_off() -> AsyncIterator[bytes]:
        yield CONTENT[9 * MIB : 20 * MIB][::-1]
        raise ConnectionError

    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(CONTENT[: 9 * MIB]))
        with pytest.raises(ConnectionError):
            await upload.append(cut_off())
        await upload.append(chunks(CONTENT[9 * MIB :]))
        await store.uploads.finish(upload, Digest.of(CONTENT))
    (key,) = s3.objects(location.prefix)
    objects = store.objects
    assert objects is not None
    assert await objects.store.read(key, 8 * MIB, 12 * MIB) == CONTENT[8 * MIB : 12 * MIB]
    await all_ended(store)
    assert s3.open_uploads() == 0


async def test_a_cancelled_session_leaves_nothing(store: Store, s3: S3, location: BlobLocation) -> None:
    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(CONTENT))
        await store.uploads.cancel(upload)
    await all_ended(store)
    assert s3.objects(location.prefix) == {}
    assert s3.open_uploads() == 0


async def test_a_session_continues_after_a_restart(tmp_path: Path, location: BlobLocation, s3: S3) -> None:
    async with opened(tmp_path, location) as store:
        upload_id = await store.uploads.start(KEY, "sha256")
        with store.uploads.find(KEY, upload_id) as upload:
            await upload.append(chunks(CONTENT[: 10 * MIB]))
    assert s3.open_uploads() == 0
    async with opened(tmp_path, location) as store:
        with store.uploads.find(KEY, upload_id) as upload:
            await upload.append(chunks(CONTENT[10 * MIB :]))
            await store.uploads.finish(upload, Digest.of(CONTENT))
        assert s3.objects(location.prefix) == {f"blobs/{upload_id}": len(CONTENT)}


async def test_pushes_succeed_if_one_request_in_ten_fails(
    store: Store, s3: S3, location: BlobLocation, proxy: FailingProxy
) -> None:
    proxy.fail = one_in(10)
    for number in range(12):
        await push(store, CONTENT[number : number + 9 * MIB], ("", f"app-{number}"))
    assert sorted(s3.objects(location.prefix).values()) == [9 * MIB] * 12


async def test_a_push_fails_clearly_while_the_store_is_down_and_can_be_finished_later(
    store: Store, s3: S3, location: BlobLocation, proxy: FailingProxy
) -> None:
    upload_id = await store.uploads.start(KEY, "sha256")
    digest = Digest.of(CONTENT)
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(CONTENT[: 9 * MIB]))
        proxy.is_down = True
        await upload.append(chunks(CONTENT[9 * MIB :]))
        with pytest.raises(ObjectStoreError) as failed:
            await store.uploads.finish(upload, digest)
    line = str(failed.value)
    assert line.startswith(f"the object store {location} failed to ")
    assert "\n" not in line
    assert "hidden-in-tests" not in line
    assert f"http://127.0.0.1:{proxy.port}: " in line
    assert "retries" not in line
    assert store.index.repository(KEY) is None
    proxy.is_down = False
    with store.uploads.find(KEY, upload_id) as upload:
        await store.uploads.finish(upload, digest)
    assert list(s3.objects(location.prefix).values()) == [len(CONTENT)]


async def test_blobs_of_a_folder_are_sent_when_an_object_store_is_added(
    tmp_path: Path, location: BlobLocation, s3: S3
) -> None:
    async with Store.open(tmp_path / "data") as store:
        digest = await push(store, CONTENT)
        await put(store, digest)
    async with opened(tmp_path, location) as store:
        await store.collector.collect()
        assert list(s3.objects(location.prefix).values()) == [len(CONTENT)]
        assert store.index.intact_object(digest) is not None


@pytest.mark.parametrize("other", ["file:", "s3://another"])
async def test_blobs_are_not_looked_for_in_another_place(
    tmp_path: Path, location: BlobLocation, other: str
) -> None:
    async with opened(tmp_path, location) as store:
        await push(store, b"content")
    with pytest.raises(StorageError, match=f"the blobs of this index are in {location}; use --blobs"):
        async with Store.open(tmp_path / "data", location=BlobLocation.parse(other)):
            pass


async def test_a_missing_bucket_is_reported_at_the_start(tmp_path: Path, location: BlobLocation) -> None:
    with pytest.raises(StorageError, match="the object store s3://no-such-bucket failed to list"):
        async with Store.open(tmp_path / "data", location=BlobLocation("s3", "no-such-bucket")):
            pass


async def test_signatures_of_urls_are_not_in_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL in an error of Azure contains the key of a shared access signature."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_SAS_KEY", "sv=2024-11-04&sig=hidden-in-tests")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(StorageError, match="the object store az://container failed to list") as failed:
        async with Store.open(tmp_path / "data", location=BlobLocation.parse("az://container")):
            pass
    assert "hidden-in-tests" not in str(failed.value)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
