"""The collector removes old garbage. It does not remove content in use, and never touches foreign files."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.storage import Store, collector
from brokenreg.storage.collector import Collector
from brokenreg.storage.errors import StorageFullError
from brokenreg.storage.index import Index
from brokenreg.storage.records import Repository
from tests.storage.contents import (
    DAY,
    HOUR,
    KEY,
    OTHER,
    age,
    chunks,
    content_of,
    manifest_of,
    push,
    put,
    until,
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data") as store:
        yield store


async def collect(store: Store, later: float) -> None:
    """Collect garbage as if `later` seconds had passed."""
    await store.collector.collect(now=time.time() + later)


async def test_an_unmentioned_blob_stays_a_day(store: Store) -> None:
    digest = await push(store, b"unmentioned")
    await collect(store, DAY - 60)
    assert content_of(store, digest) == b"unmentioned"
    assert store.index.is_linked(digest)
    await collect(store, DAY + 60)
    assert content_of(store, digest) is None
    assert store.index.repository(KEY) is None
    assert list(store.folder.uploads.iterdir()) == []


async def test_a_blob_that_is_requested_during_a_collection_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that found it does not push it again."""
    digest, now = await push(store, b"requested"), time.time() + DAY + 60
    real = collector._drop_mentioned

    async def during(unused: set[Digest], repository: Repository) -> None:
        await real(unused, repository)
        noting = store.index.touch_link(KEY, digest, now)
        assert noting is None or await noting

    monkeypatch.setattr(collector, "_drop_mentioned", during)
    await store.collector.collect(now=now)
    assert store.index.is_linked(digest)
    assert content_of(store, digest) == b"requested"


async def test_a_blob_that_is_being_unlinked_is_not_found(store: Store) -> None:
    """A client that asks for it then must push it again."""
    digest, now = await push(store, b"unlinked"), time.time() + DAY + 60
    unlinking = asyncio.ensure_future(store.index.unlink_blobs(KEY, [digest], unused_since=now - DAY))
    await asyncio.sleep(0)  # the job is in the queue
    noting = store.index.touch_link(KEY, digest, now)
    assert noting is not None
    assert not await noting
    assert await unlinking == 1


async def test_times_of_a_fast_clock_are_corrected(store: Store) -> None:
    """They are set to the time at which the clock is correct again, also after a restart."""
    digest = await push(store, b"from the future")
    unlinked = await push(store, b"nobody's")
    await store.index.unlink_blobs(KEY, [unlinked])
    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(b"begun"))
    cached = ("@quay.io", "org/app")
    await put(store, key=cached)
    await store.index.delete_tag(cached, "latest")
    future = 9e11
    noting = store.index.touch_link(KEY, digest, future)
    assert noting is not None
    assert await noting
    store.index.touch_manifest(cached, next(iter(store.index.repositories[cached].manifests)), future)
    for path in (store.folder.blob(digest), store.folder.blob(unlinked), store.folder.upload(upload_id)):
        os.utime(path, (future, future))
    await collect(store, 0)
    assert content_of(store, digest) == b"from the future"
    assert store.index.repositories[KEY].links[digest] < time.time() + 1
    assert store.folder.upload(upload_id).exists()
    await collect(store, DAY + 60)
    assert (content_of(store, digest), content_of(store, unlinked)) == (None, None)
    assert not store.folder.upload(upload_id).exists()
    assert store.index.repository(cached) is None


async def test_times_ahead_are_corrected_on_the_disk(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data") as store:
        digest = await push(store, b"linked in the future")
        await store.index.link_blob(KEY, digest, 9e11)
        await collect(store, 0)
    async with Store.open(tmp_path / "data") as store:
        assert store.index.repositories[KEY].links[digest] < time.time() + 1


async def test_a_mentioned_blob_stays_as_long_as_its_manifest(store: Store) -> None:
    digest = await push(store, b"mentioned")
    manifest = await put(store, digest)
    await collect(store, 1000 * DAY)
    assert content_of(store, digest) == b"mentioned"
    await store.index.delete_tag(KEY, "latest")
    await collect(store, 1000 * DAY)
    assert content_of(store, digest) == b"mentioned"  # a manifest without a tag is a manifest
    await store.index.delete_manifest(KEY, manifest)
    await collect(store, 1000 * DAY)
    assert content_of(store, digest) is None


async def test_a_blob_stays_a_day_after_its_last_mention(tmp_path: Path) -> None:
    """This applies to blobs of any age, and after a restart."""
    async with Store.open(tmp_path / "data") as store:
        digest = await push(store, b"mentioned")
        kept = await push(store, b"mentioned by another")
        manifest = await put(store, digest, kept)
        await put(store, kept, tag="other")
        await store.index.link_blob(KEY, digest, time.time() - 3 * DAY)
        age(store.folder.blob(digest), 3 * DAY)
        assert await store.index.delete_manifest(KEY, manifest)
        assert not await store.index.delete_manifest(KEY, manifest)
        await collect(store, DAY - 60)
        assert content_of(store, digest) == b"mentioned"
    async with Store.open(tmp_path / "data") as store:
        await collect(store, DAY - 60)
        assert content_of(store, digest) == b"mentioned"
        await collect(store, DAY + 60)
        assert content_of(store, digest) is None
        assert content_of(store, kept) is not None


async def test_a_manifest_keeps_only_links_of_its_own_repository(store: Store) -> None:
    digest = await push(store, b"in two")
    await store.link(OTHER, digest)
    await put(store, digest, key=OTHER)
    await collect(store, 2 * DAY)
    assert content_of(store, digest) == b"in two"
    assert store.index.repository(KEY) is None
    assert digest in store.index.repositories[OTHER].links


async def test_a_blob_that_is_pushed_again_is_new(store: Store) -> None:
    digest = await push(store, b"again")
    await store.index.unlink_blobs(KEY, [digest])
    age(store.folder.blob(digest), 2 * DAY)
    await push(store, b"again")
    await collect(store, 0)
    assert content_of(store, digest) == b"again"


async def test_a_blob_is_as_old_as_its_arrival(store: Store) -> None:
    """The time of its first byte is not used."""
    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(b"slow"))
        age(upload.path, 2 * DAY)
        await store.uploads.finish(upload, Digest.of(b"slow"))
    await store.index.unlink_blobs(KEY, [Digest.of(b"slow")])
    await collect(store, 0)
    assert content_of(store, Digest.of(b"slow")) == b"slow"


async def test_an_unlinked_blob_waits_for_its_age(store: Store) -> None:
    """A crash between a file's rename and its link leaves such a file."""
    digest = await push(store, b"unlinked")
    await store.index.unlink_blobs(KEY, [digest])
    await collect(store, DAY - 60)
    assert content_of(store, digest) == b"unlinked"
    await collect(store, DAY + 60)
    assert content_of(store, digest) is None


async def test_a_pinned_blob_stays(store: Store) -> None:
    digest = await push(store, b"pinned")
    with store.blobs.pin(digest), store.blobs.pin(digest):
        await collect(store, 2 * DAY)
        assert content_of(store, digest) == b"pinned"
    await collect(store, 2 * DAY)
    assert content_of(store, digest) is None


async def test_a_session_stays_an_hour_from_its_last_byte(store: Store) -> None:
    upload_id = await store.uploads.start(KEY, "sha256")
    age(store.folder.upload(upload_id), 2 * HOUR)
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(b"touched"))
    await collect(store, HOUR - 60)
    with store.uploads.find(KEY, upload_id) as upload:
        assert upload.offset == 7
    await collect(store, HOUR + 60)
    with pytest.raises(OCIError, match="no such upload session"):
        store.uploads.find(KEY, upload_id)
    assert list(store.folder.uploads.iterdir()) == []
    assert store.index.uploads == {}


async def test_a_claimed_session_stays(store: Store) -> None:
    """It stays even if its bytes arrive slowly."""
    upload_id = await store.uploads.start(KEY, "sha256")
    with store.uploads.find(KEY, upload_id) as upload:
        await upload.append(chunks(b"slow"))
        await collect(store, 5 * HOUR)
        await upload.append(chunks(b"ly"))
        await store.uploads.finish(upload, Digest.of(b"slowly"))
    assert content_of(store, Digest.of(b"slowly")) == b"slowly"


async def test_incomplete_sessions_are_removed(store: Store) -> None:
    """A file without a session, as after a kill during `POST ?digest=`, and a session without a file."""
    (store.folder.uploads / ("a" * 32)).write_bytes(b"half a blob")
    upload_id = await store.uploads.start(KEY, "sha256")
    store.folder.upload(upload_id).unlink()
    await collect(store, 0)
    assert list(store.folder.uploads.iterdir()) == []
    assert store.index.uploads == {}


async def test_foreign_files_are_never_deleted(store: Store) -> None:
    foreign = [
        store.folder.root / "notes.txt",
        store.folder.uploads / "README",
        store.folder.uploads / ("A" * 32),
        store.folder.uploads / ("a" * 33),
        store.folder.blobs / "stray",
        store.folder.blobs / "sha256" / "short",
        store.folder.blobs / "sha256" / ("A" * 64),
        store.folder.blobs / "sha256" / f"{'a' * 64}.backup",
        store.folder.blobs / "sha512" / ("a" * 64),
    ]
    for path in foreign:
        path.write_text("not ours")
        age(path, 1000 * DAY)
    await collect(store, 1000 * DAY)
    assert [path for path in foreign if not path.exists()] == []


async def test_garbage_is_collected_at_startup(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data") as store:
        digest = await push(store, b"garbage")
        await store.index.unlink_blobs(KEY, [digest])
        age(store.folder.blob(digest), 2 * DAY)
        path = store.folder.blob(digest)
    async with Store.open(tmp_path / "data"):
        await until(lambda: not path.exists())


async def test_collection_continues_after_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting from the index needs room too. It is repeated later, and the collector does not end."""
    async with Store.open(tmp_path / "data") as store:
        upload_id = await store.uploads.start(KEY, "sha256")
        age(store.folder.upload(upload_id), 2 * HOUR)
    tried, close_uploads = asyncio.Event(), Index.close_uploads

    async def no_room(*_: object) -> None:
        tried.set()
        raise StorageFullError("the disk is full: the index cannot grow")

    monkeypatch.setattr("brokenreg.storage.index.Index.close_uploads", no_room)
    monkeypatch.setattr("brokenreg.storage.collector.INTERVAL", 0.01)
    async with Store.open(tmp_path / "data") as store:
        await asyncio.wait_for(tried.wait(), 5)
        monkeypatch.setattr("brokenreg.storage.index.Index.close_uploads", close_uploads)
        await until(lambda: upload_id not in store.index.uploads)


@pytest.mark.parametrize("saviour", ["link", "manifest"])
async def test_content_that_is_used_again_during_a_collection_stays(store: Store, saviour: str) -> None:
    """An old blob that a client links again, or mentions in a manifest, during a collection.

    The index is kept busy, so that the client's change is still queued when the collector runs.
    """
    digest = await push(store, b"saved")
    await store.index.link_blob(KEY, digest, time.time() - 2 * DAY)
    age(store.folder.blob(digest), 2 * DAY)
    busy = threading.Event()
    blocked = asyncio.create_task(store.index._database.read(lambda _: busy.wait(5)))
    await asyncio.sleep(0)
    if saviour == "link":
        saving = asyncio.create_task(store.link(KEY, digest))
    else:
        manifest, body = manifest_of(digest)
        saving = asyncio.create_task(store.index.put_manifest(KEY, manifest, body, ["latest"]))
    await asyncio.sleep(0)
    collecting = asyncio.create_task(store.collector.collect())
    await asyncio.wait([collecting], timeout=0.2)  # it has judged the link by now, and waits for the index
    busy.set()
    await asyncio.gather(blocked, saving, collecting)
    assert store.index.is_linked(digest)
    assert content_of(store, digest) == b"saved"


async def test_folders_in_place_of_files_are_skipped(tmp_path: Path) -> None:
    """They cannot be removed like files. Everything else is collected."""
    async with Store.open(tmp_path / "data", max_data=10**9) as store:
        folders = [store.folder.uploads / uuid.uuid4().hex for _ in range(3)]
        folders.append(store.folder.blob(Digest.of(b"no file")))
        folders.append(store.folder.quarantined(Digest.of(b"no file")))
        for folder in folders:
            folder.mkdir()
        garbage = store.folder.uploads / uuid.uuid4().hex
        garbage.touch()
        await store.collector.collect(now=time.time() + 2 * DAY)
        assert all(folder.is_dir() for folder in folders)
        assert not garbage.exists()
        await store.integrity.scrub()


async def test_collection_continues_after_any_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.storage.collector.INTERVAL", 0.0)
    failures = iter([ValueError("unforeseen"), OSError("foreseen")])
    collected = asyncio.Event()

    async def collect(_: Collector) -> None:
        if (failure := next(failures, None)) is not None:
            raise failure
        collected.set()

    monkeypatch.setattr(Collector, "collect", collect)
    async with Store.open(tmp_path / "data"), asyncio.timeout(5):
        await collected.wait()
