"""From an upload session to a blob: the order of durable steps, and concurrent requests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.storage import Store
from brokenreg.storage.errors import StorageFullError
from tests.storage.contents import KEY, OTHER, chunks, content_of, push, put

CONTENT = random.Random("blobs").randbytes(1_500_000)
DIGEST = Digest.of(CONTENT)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data") as store:
        yield store


async def test_durability_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are synced before the rename, and the rename before the link."""
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def tell_fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append("sync folder" if name == store.folder.blobs / "sha256" else f"sync {name.parent.name}")
        assert not store.index.is_linked(DIGEST)
        fsync(descriptor)

    def tell_rename(path: Path, target: Path) -> Path:
        events.append(f"{path.parent.name} to {target.parent.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", tell_fsync)
    monkeypatch.setattr(Path, "rename", tell_rename)
    assert await push(store, CONTENT) == DIGEST
    assert events == ["sync uploads", "uploads to sha256", "sync folder"]
    assert store.index.is_linked(DIGEST)


async def test_a_blob_is_never_seen_half_written(store: Store) -> None:
    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        for begin in range(0, len(CONTENT), 500_000):
            await upload.append(chunks(CONTENT[begin : begin + 500_000]))
            assert list((store.folder.blobs / "sha256").iterdir()) == []
        await store.uploads.finish(upload, DIGEST)
    assert content_of(store, DIGEST) == CONTENT


async def test_files_have_their_own_threads(store: Store) -> None:
    """Work that blocks asyncio's default threads, such as exports, does not delay pushes."""
    begin = threading.Event()
    others = [asyncio.create_task(asyncio.to_thread(begin.wait, 10)) for _ in range(50)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(5):
            assert content_of(store, await push(store, b"content")) == b"content"
    finally:
        begin.set()
        await asyncio.gather(*others)


async def test_only_the_owner_can_read_the_folder(store: Store) -> None:
    folders = [store.folder.root, *(path for path in store.folder.root.rglob("*") if path.is_dir())]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


async def test_concurrent_pushes_of_the_same_blob(store: Store) -> None:
    """The pushes are to two repositories. Each keeps its link if the other's is deleted."""
    keys = [KEY, OTHER] * 10
    assert await asyncio.gather(*(push(store, CONTENT, key) for key in keys)) == [DIGEST] * 20
    assert content_of(store, DIGEST) == CONTENT
    assert store.index.blob_count == 1
    assert list(store.folder.uploads.iterdir()) == []
    assert await store.index.unlink_blobs(KEY, [DIGEST]) == 1
    assert store.index.is_linked(DIGEST)


async def test_deleting_while_pushing(store: Store) -> None:
    """After an acknowledged push without a later deletion, the blob exists."""
    stop = asyncio.Event()

    async def delete() -> None:
        while not stop.is_set():
            await store.index.unlink_blobs(KEY, [DIGEST])
            await store.collector.collect(now=time.time() + 2 * 86400)  # everything unlinked is old

    deleting = asyncio.create_task(delete())
    for _ in range(30):
        await push(store, CONTENT[:100_000])
    stop.set()
    await deleting
    digest = await push(store, CONTENT)
    assert content_of(store, digest) == CONTENT
    await push(store, CONTENT[:100_000])
    await store.collector.collect()
    assert content_of(store, Digest.of(CONTENT[:100_000])) is not None


async def test_a_wrong_digest_ends_the_session_and_leaves_nothing(store: Store) -> None:
    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(b"other content"))
        with pytest.raises(OCIError, match=str(Digest.of(b"other content"))):
            await store.uploads.finish(upload, DIGEST)
    with pytest.raises(OCIError, match="no such upload session"):
        store.uploads.find(KEY, upload_id)
    assert list(store.folder.uploads.iterdir()) == []
    assert not store.index.is_linked(DIGEST)


@pytest.mark.parametrize("kept", [b"", b"what came before"])
async def test_failed_chunks_are_rolled_back(store: Store, kept: bytes) -> None:
    """So are bytes that were written and hashed before the failure."""

    async def failing() -> AsyncIterator[bytes]:
        for begin in range(0, 1_400_000, 200_000):
            yield CONTENT[begin : begin + 200_000][::-1]  # not what comes in the end
        raise ConnectionResetError

    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(kept))
        with pytest.raises(ConnectionResetError):
            await upload.append(failing())
        assert upload.offset == len(kept)
        assert upload.path.read_bytes() == kept
        await upload.append(chunks(CONTENT))
        await store.uploads.finish(upload, Digest.of(kept + CONTENT))
    assert content_of(store, Digest.of(kept + CONTENT)) == kept + CONTENT


async def test_a_cancelled_append_is_rolled_back(store: Store) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield CONTENT[::-1]
        reached.set()
        await asyncio.Event().wait()

    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        appending = asyncio.create_task(upload.append(endless()))
        await reached.wait()
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending
        assert (upload.offset, upload.path.stat().st_size) == (0, 0)
        await upload.append(chunks(CONTENT))
        await store.uploads.finish(upload, DIGEST)
    assert content_of(store, DIGEST) == CONTENT


@pytest.mark.parametrize("goes_on", ["at once", "with the content again"])
async def test_a_push_can_be_repeated_after_its_link_failed(
    store: Store, monkeypatch: pytest.MonkeyPatch, goes_on: str
) -> None:
    """The index was full. A second attempt ends with the whole blob or with an error.

    Another repository already had the blob, and must not lose it.
    """
    await push(store, CONTENT, OTHER)
    link_blob = store.index.link_blob

    async def no_room(*_: object, **__: object) -> None:
        raise StorageFullError("the disk is full: the index cannot grow")

    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(CONTENT))
        monkeypatch.setattr(store.index, "link_blob", no_room)
        with pytest.raises(StorageFullError):
            await store.uploads.finish(upload, DIGEST)
    assert content_of(store, DIGEST) == CONTENT
    monkeypatch.setattr(store.index, "link_blob", link_blob)
    if goes_on == "at once":
        with contextlib.suppress(OCIError), store.uploads.find(KEY, upload_id) as upload:
            await store.uploads.finish(upload, DIGEST)
    else:
        await push(store, CONTENT)
    assert content_of(store, DIGEST) == CONTENT


async def test_a_mount_of_a_missing_file_fails(store: Store) -> None:
    digest = await push(store, CONTENT)
    assert await store.link(OTHER, digest)
    store.folder.blob(digest).unlink()
    assert not await store.link(("", "third"), digest)
    assert store.index.repository(("", "third")) is None


async def test_an_open_blob_stays_readable_when_it_is_collected(store: Store) -> None:
    digest = await push(store, CONTENT)
    with store.blobs.open(digest) as blob:
        await store.collector.collect(now=time.time() + 2 * 86400)
        assert content_of(store, digest) is None
        assert await blob.read(1000, 500) == CONTENT[1000:1500]


async def test_manifests_and_blobs_survive_a_restart(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "again") as store:
        digest = await push(store, CONTENT)
        manifest = await put(store, digest, tag="v1")
        upload_id = await store.uploads.start(OTHER, "sha512")
        with store.uploads.find(OTHER, upload_id) as upload:
            await upload.append(chunks(CONTENT))
    async with Store.open(tmp_path / "again") as store:
        assert content_of(store, digest) == CONTENT
        repository = store.index.repository(KEY)
        assert repository is not None
        assert repository.tags == {"v1": manifest}
        assert set(repository.links) == {digest}
        assert await store.index.manifest_body(manifest) is not None
        with store.uploads.find(OTHER, upload_id) as upload:
            assert upload.offset == len(CONTENT)
            assert await upload.digest("sha512") == Digest.of(CONTENT, "sha512")
