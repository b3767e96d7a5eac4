"""A blob that clients read while it grows: received bytes stay, and are readable soon."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenreg.oci.digests import Digest
from brokenreg.storage import Store
from brokenreg.storage.errors import is_no_room
from brokenreg.storage.uploads.upload_session import UploadSession
from tests.storage.contents import DAY, KEY, chunks

MIB = 1 << 20
CONTENT = random.Random("growing").randbytes(3 * MIB)


class CutError(Exception):
    """The source has ended too early."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data") as store:
        yield store


def begin(store: Store) -> UploadSession:
    return store.uploads.start_unlisted(KEY, "sha256")


def agrees(upload: UploadSession, content: bytes) -> None:
    """Assert that file, offset and hash agree."""
    assert upload.path.read_bytes() == content
    assert upload.offset == len(content)
    assert upload.hasher().hexdigest() == hashlib.sha256(content).hexdigest()


async def pieces(content: bytes, size: int, *, cut: bool = False) -> AsyncIterator[bytes]:
    for offset in range(0, len(content), size):
        yield content[offset : offset + size]
    if cut:
        raise CutError


async def test_received_bytes_stay_if_the_source_fails(store: Store) -> None:
    """The next source continues after them."""
    with begin(store) as upload:
        with pytest.raises(CutError):
            await upload.grow(pieces(CONTENT[: 2 * MIB + 1], 10_000, cut=True))
        agrees(upload, CONTENT[: 2 * MIB + 1])
        await upload.grow(pieces(CONTENT[upload.offset :], 70_000))
        agrees(upload, CONTENT)
        await store.uploads.cancel(upload)


async def test_growth_is_reported(store: Store) -> None:
    """Each report is larger, the first comes soon, and reported bytes are on disk."""
    told: list[int] = []
    with begin(store) as upload:

        def written() -> None:
            assert upload.path.stat().st_size >= upload.offset
            told.append(upload.offset)

        await upload.grow(pieces(CONTENT, 16 * 1024), written)
        assert told == sorted(set(told))
        assert told[0] <= 128 * 1024
        assert told[-1] == len(CONTENT)
        await store.uploads.cancel(upload)


async def test_a_slow_source_does_not_make_readers_wait(store: Store) -> None:
    """Received bytes can be read while the source pauses."""
    more, there = asyncio.Queue[bytes](), asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        while chunk := await more.get():
            yield chunk

    with begin(store) as upload:
        growing = asyncio.create_task(upload.grow(source(), there.set))
        for number in range(1, 4):
            more.put_nowait(b"few bytes")
            await asyncio.wait_for(there.wait(), 5)
            there.clear()
            agrees(upload, b"few bytes" * number)
        more.put_nowait(b"")
        await growing
        await store.uploads.cancel(upload)


async def test_cancellation_leaves_no_thread_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is closed afterwards, so that a late write could go to another file."""
    under_way, pwrite = asyncio.Event(), os.pwrite
    loop = asyncio.get_running_loop()

    def slow(*arguments: int) -> int:
        loop.call_soon_threadsafe(under_way.set)
        time.sleep(0.1)  # the write that is under way
        return pwrite(*arguments)

    monkeypatch.setattr("os.pwrite", slow)
    with begin(store) as upload:
        growing = asyncio.create_task(upload.grow(chunks(CONTENT[:MIB])))
        await under_way.wait()
        for _ in range(3):
            growing.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await growing
        agrees(upload, CONTENT[:MIB])
        await store.uploads.cancel(upload)


async def test_a_file_that_may_not_grow(store: Store) -> None:
    """Only complete writes count, and the file has nothing else."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + 100, unlimited[1]))
    try:
        with begin(store) as upload:
            with pytest.raises(OSError, match="File too large") as caught:
                await upload.grow(pieces(CONTENT, 50_000))
            assert is_no_room(caught.value)
            assert 0 < upload.offset <= MIB + 100
            agrees(upload, CONTENT[: upload.offset])
            await store.uploads.cancel(upload)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)


async def test_growing_files_are_not_collected(store: Store) -> None:
    """They stay even if they grow slowly. Files of a killed process are collected at the next start."""
    with begin(store) as upload:
        await upload.grow(chunks(b"slow"))
        await store.collector.collect(now=time.time() + 1000 * DAY)
        await upload.grow(chunks(b"ly"))
        agrees(upload, b"slowly")
    path = upload.path
    async with Store.open(path.parent.parent.parent / "again") as again:
        left = again.folder.upload(path.name)
        left.write_bytes(b"slowly")
        await again.collector.collect()
        assert not left.exists()


@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.booleans(), st.lists(st.integers(0, 200_000), max_size=6)), max_size=5
    )
)
def test_appending_and_growing_alternately(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, bool, list[int]]]
) -> None:
    """A failed append is undone, and a failed grow is kept. The file has the rest of both."""

    async def source(sizes: list[int], taken: bytearray, *, cut: bool) -> AsyncIterator[bytes]:
        for size in sizes:
            offset = len(taken) % MIB
            taken += CONTENT[offset : offset + size]
            yield CONTENT[offset : offset + size]
        if cut:
            raise CutError

    async def play() -> None:
        async with Store.open(tmp_path_factory.mktemp("turns") / "data") as store:
            content = b""
            with begin(store) as upload:
                for grows, cut, sizes in steps:
                    taken = bytearray(content)
                    way = upload.grow if grows else upload.append
                    try:
                        await way(source(sizes, taken, cut=cut))
                    except CutError:
                        assert cut
                    if grows or not cut:
                        content = bytes(taken)
                    assert await upload.digest("sha256") == Digest.of(content)
                    agrees(upload, content)
                await store.uploads.cancel(upload)

    asyncio.run(play())
