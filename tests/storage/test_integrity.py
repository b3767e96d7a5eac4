"""Corrupt blobs are found, reported and not served; they come back when they are pushed or fetched again."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from brokenreg.oci.digests import Digest
from brokenreg.storage import Store
from tests.proxy.scripted import Answer, Scripted, scripted
from tests.registry.pushing import digest_of, error_of
from tests.server import brokenreg
from tests.storage.contents import KEY, age, content_of, push, until

CONTENT = b"stored content" * 1000
CACHE = ("@quay.io", "org/app")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data") as store:
        yield store


def flip(path: Path) -> None:
    """Change one bit in the middle of a file, without changing its size."""
    with path.open("r+b") as file:
        file.seek(7000)
        byte = file.read(1)
        file.seek(7000)
        file.write(bytes([byte[0] ^ 1]))


async def test_an_intact_blob_is_found_intact(store: Store) -> None:
    digest = await push(store, CONTENT)
    finding = await store.integrity.verify(digest)
    assert finding is not None
    assert (finding.is_intact, finding.size) == (True, len(CONTENT))
    assert await store.integrity.verify(Digest.of(b"other")) is None


async def test_a_corrupt_blob_is_not_served_until_it_is_pushed_again(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    digest = await push(store, CONTENT)
    flip(store.folder.blob(digest))
    finding = await store.integrity.verify(digest)
    assert finding is not None
    assert not finding.is_intact
    assert f"blob {digest} is corrupt" in caplog.text
    assert store.integrity.open(digest) is None
    assert store.integrity.is_quarantined(digest)
    assert not await store.link(("", "mounted"), digest)
    await store.collector.collect()
    assert store.folder.quarantined(digest).exists(), "there may be no other copy"
    await push(store, CONTENT)
    assert content_of(store, digest) == CONTENT
    assert not store.integrity.is_quarantined(digest)
    assert list(store.folder.quarantine.iterdir()) == []


async def test_a_corrupt_blob_that_was_not_pushed_is_removed(store: Store) -> None:
    digest = await push(store, CONTENT, CACHE)
    flip(store.folder.blob(digest))
    await store.integrity.verify(digest)
    await store.collector.collect()
    assert list(store.folder.quarantine.iterdir()) == []


@pytest.mark.parametrize("size", [0, len(CONTENT) - 1, len(CONTENT) + 1])
async def test_a_wrong_size_is_noticed_when_it_is_opened(tmp_path: Path, size: int) -> None:
    """Also after a restart."""
    async with Store.open(tmp_path / "data") as store:
        digest = await push(store, CONTENT)
    os.truncate(store.folder.blob(digest), size)
    async with Store.open(tmp_path / "data") as store:
        assert store.integrity.open(digest) is None
        assert store.integrity.is_quarantined(digest)


async def test_a_replaced_blob_is_not_quarantined(store: Store) -> None:
    digest = await push(store, CONTENT)
    flip(store.folder.blob(digest))
    file = store.blobs.open(digest)
    assert file is not None
    await push(store, CONTENT)
    with file:
        store.integrity.quarantine(digest, file, "of the file before")
    assert content_of(store, digest) == CONTENT


async def test_sizes_are_kept_for_as_long_as_a_blob_is_linked(store: Store) -> None:
    digest = await push(store, CONTENT)
    assert store.index.blob_size(digest) == len(CONTENT)
    await store.link(("", "other"), digest)
    await store.index.unlink_blobs(KEY, [digest])
    assert store.index.blob_size(digest) == len(CONTENT)
    await store.index.unlink_blobs(("", "other"), [digest])
    assert store.index.blob_size(digest) is None


async def test_a_scrub_finds_what_is_corrupt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "brokenreg")
    async with Store.open(tmp_path / "data") as store:
        digest = await push(store, CONTENT)
        intact = await push(store, b"intact")
        age(store.folder.blob(digest), 60)
        flip(store.folder.blob(digest))
    async with Store.open(tmp_path / "data", verify_interval=0.01) as store:
        await until(lambda: "all intact" in caplog.text)
        assert store.integrity.is_quarantined(digest)
        assert content_of(store, intact) == b"intact"
    assert "1 corrupt or unreadable" in caplog.text
    assert caplog.text.count("is corrupt") == 1


async def test_a_scrub_pauses_and_can_be_cancelled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.storage.integrity._PART", 1000)
    await push(store, CONTENT)
    rests: list[float] = []
    sleep = asyncio.sleep

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await sleep(0)

    monkeypatch.setattr("brokenreg.storage.integrity.asyncio.sleep", rest)
    await store.integrity.scrub()
    assert len(rests) == len(CONTENT) // 1000
    assert all(seconds > 0 for seconds in rests)


@pytest.fixture(scope="module")
def odd() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def test_clients_get_an_error_and_can_push_it_again(tmp_path: Path, odd: Scripted) -> None:
    digest, fetched = digest_of(CONTENT), b"fetched" * 2000
    odd.answers[f"/v2/org/app/blobs/{digest_of(fetched)}"] = Answer(body=fetched)
    arguments = ("--upstream", f"odd={odd.url}", "--verify-interval", "10h")
    with brokenreg(tmp_path / "data", *arguments) as running, httpx.Client(base_url=running.url) as http:
        upload = f"/v2/a/blobs/uploads/?digest={digest}"
        cached = f"/v2/odd/org/app/blobs/{digest_of(fetched)}"
        assert http.post(upload, content=CONTENT).status_code == 201
        assert http.get(cached).content == fetched
        folder = tmp_path / "data" / "blobs" / "sha256"
        deadline = time.monotonic() + 5
        while len(list(folder.iterdir())) < 2:  # it is served a moment before it is durable
            assert time.monotonic() < deadline
        for path in folder.iterdir():
            flip(path)
        for each in (digest, digest_of(fetched)):
            verified = httpx.post(f"{running.control}/v1/blobs/{each}/verify").json()
            assert (verified["digest"], verified["intact"]) == (each, False)
            assert verified["found"] != each
            gone = httpx.post(f"{running.control}/v1/blobs/{each}/verify")
            assert gone.status_code == 404
        error = error_of(http.get(f"/v2/a/blobs/{digest}"), 404)
        assert (error["code"], "corrupt" in error["message"]) == ("BLOB_UNKNOWN", True)
        assert http.head(f"/v2/a/blobs/{digest}").status_code == 404
        assert http.post(upload, content=CONTENT).status_code == 201
        assert http.get(f"/v2/a/blobs/{digest}").content == CONTENT
        assert http.get(cached).content == fetched
        # That one is pushed, too: its upstream still has it.
        pushing = f"/v2/odd/org/app/blobs/uploads/?digest={digest_of(fetched)}"
        assert http.post(pushing, content=fetched).status_code == 201
        flip(folder / digest_of(fetched).partition(":")[2])
        verified = httpx.post(f"{running.control}/v1/blobs/{digest_of(fetched)}/verify").json()
        assert not verified["intact"]
        assert http.head(cached).status_code == 200
        assert http.get(cached).content == fetched
        (tmp_path / "data" / "blobs" / digest.replace(":", "/")).write_bytes(b"short")
        mount = http.post("/v2/b/blobs/uploads/", params={"mount": digest, "from": "a"})
        assert mount.status_code == 202  # and not 201
        assert error_of(http.get(f"/v2/a/blobs/{digest}"), 404)["code"] == "BLOB_UNKNOWN"
        assert running.stop() == 0
