"""A full disk: responses are 507 in OCI form, nothing is half-stored or lost, and it works again later."""

from __future__ import annotations

import errno
import os
import random
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from brokenreg.storage import Store
from brokenreg.storage.errors import StorageError, StorageFullError, error_for_client
from tests import disks
from tests.process import brokenreg_process
from tests.registry.pushing import MIB, digest_of, error_of, image, stored
from tests.server import brokenreg
from tests.storage.contents import KEY, push

CONTENT = random.Random("full").randbytes(3 * MIB)
DIGEST = digest_of(CONTENT)
SMALL = b"pushed while there was room"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    with disks.small_disk(tmp_path / "disk", "8m") as disk:
        yield disk


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill the disk, except for `leave` bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
        file.truncate(file.tell() - leave)
    return filler


def full(response: httpx.Response) -> None:
    error = error_of(response, 507)
    assert error["code"] == "UNAVAILABLE"
    assert "full" in error["message"]


def push_small(http: httpx.Client) -> None:
    digest = digest_of(SMALL)
    assert http.post(f"/v2/full/blobs/uploads/?digest={digest}", content=SMALL).status_code == 201
    assert http.put("/v2/full/manifests/before", content=image(SMALL)).status_code == 201


def is_there(http: httpx.Client) -> None:
    assert http.get(f"/v2/full/blobs/{digest_of(SMALL)}").content == SMALL
    assert http.get("/v2/full/manifests/before").content == image(SMALL)


def test_a_blob_without_room(small_disk: Path) -> None:
    """In one request and in a session, which keeps its bytes and continues when there is room."""
    with brokenreg(small_disk / "data") as running, httpx.Client(base_url=running.url) as http:
        push_small(http)
        session = http.post("/v2/full/blobs/uploads/").headers["location"]
        assert http.patch(session, content=CONTENT[:MIB]).status_code == 202
        before = stored(running)
        filler = fill(small_disk, leave=MIB)
        full(http.post(f"/v2/full/blobs/uploads/?digest={DIGEST}", content=CONTENT))
        full(http.patch(session, content=CONTENT[MIB:]))
        full(http.put(session, params={"digest": DIGEST}, content=CONTENT[MIB:]))
        assert http.get(session).headers["range"] == f"0-{MIB - 1}"
        assert stored(running) == before
        assert http.get(f"/v2/full/blobs/{DIGEST}").status_code == 404
        is_there(http)
        filler.unlink()
        assert http.put(session, params={"digest": DIGEST}, content=CONTENT[MIB:]).status_code == 201
        assert http.get(f"/v2/full/blobs/{DIGEST}").content == CONTENT
        is_there(http)
        assert running.stop() == 0


def test_an_index_without_room(small_disk: Path) -> None:
    """Concurrent pushes share transactions. Each gets a 201 and is stored, or a 507 and is not."""
    with brokenreg(small_disk / "data") as running, httpx.Client(base_url=running.url) as http:
        push_small(http)
        filler = fill(small_disk)
        bodies = {f"v{number}": image(b"%d" % number, padding="x" * 20_000) for number in range(60)}

        def put(tag: str) -> httpx.Response:
            return http.put(f"/v2/full/manifests/{tag}", content=bodies[tag])

        with ThreadPoolExecutor(20) as pool:
            answers = dict(zip(bodies, pool.map(put, bodies), strict=True))
        refused = {tag for tag, answer in answers.items() if answer.status_code != 201}
        assert refused, "there was room"
        for tag in refused:
            full(answers[tag])
        full(http.post("/v2/full/blobs/uploads/"))
        full(http.post("/v2/full/blobs/uploads/?digest=" + digest_of(b"y" * 9000), content=b"y" * 9000))
        for tag, body in bodies.items():
            pulled = http.get(f"/v2/full/manifests/{tag}")
            assert pulled.status_code == (404 if tag in refused else 200)
            assert tag in refused or pulled.content == body
        is_there(http)
        filler.unlink()
        for tag in refused:
            assert put(tag).status_code == 201
        assert running.stop() == 0
    with brokenreg(small_disk / "data") as running, httpx.Client(base_url=running.url) as http:
        is_there(http)
        for tag, body in bodies.items():
            assert http.get(f"/v2/full/manifests/{tag}").content == body


def test_starting_on_a_full_disk(small_disk: Path) -> None:
    """Stored content is served, and the shutdown works, although garbage cannot be deleted."""
    with brokenreg(small_disk / "data") as running, httpx.Client(base_url=running.url) as http:
        push_small(http)
        for _ in range(300):  # enough rows that forgetting them needs room
            session = http.post("/v2/full/blobs/uploads/").headers["location"]
            os.utime(small_disk / "data" / "uploads" / session.rsplit("/", 1)[1], (0, 0))
        assert running.stop() == 0
    filler = fill(small_disk)
    with brokenreg(small_disk / "data") as running, httpx.Client(base_url=running.url) as http:
        is_there(http)
        filler.unlink()
        assert http.post(f"/v2/full/blobs/uploads/?digest={DIGEST}", content=CONTENT).status_code == 201
        assert running.stop() == 0


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The limit of the process, or a quota, has the same effect as a full disk."""
    with brokenreg_process(tmp_path / "data") as running, httpx.Client(base_url=running.url) as http:
        push_small(http)
        before = stored(running)
        unlimited = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (2 * MIB, unlimited[1]))
        full(http.post(f"/v2/full/blobs/uploads/?digest={DIGEST}", content=CONTENT))
        assert stored(running) == before
        is_there(http)
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert http.post(f"/v2/full/blobs/uploads/?digest={DIGEST}", content=CONTENT).status_code == 201
        assert http.get(f"/v2/full/blobs/{DIGEST}").content == CONTENT


async def test_a_full_disk_is_enough_to_start(small_disk: Path) -> None:
    """It starts even if deleting sizes of blobs needs room. A first start reports what it needs."""
    async with Store.open(small_disk / "data") as store:
        digest = await push(store, SMALL)
        gone = [await push(store, b"gone %d" % number) for number in range(500)]
        await store.index.unlink_blobs(KEY, gone)
    fill(small_disk)
    async with Store.open(small_disk / "data") as store:
        assert store.index.blob_size(digest) == len(SMALL)
        assert store.index.blob_size(gone[0]) is None
        assert store.index.is_linked(digest)
    (small_disk / "new").mkdir()
    with pytest.raises(StorageError, match=r"full; free some disk space$"):
        async with Store.open(small_disk / "new"):
            pass


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "the data folder is full"),
        (StorageFullError("the disk of the database is full"), "the disk of the database is full"),
    ],
)
def test_the_response_says_what_is_full(error: Exception, message: str) -> None:
    response = error_for_client(error)
    assert response is not None
    assert (response.status, response.message) == (507, f"nothing was stored: {message}")
