"""`brokenreg migrate`: copies a data folder into a database and an object store, also after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from brokenreg.config.blob_location import BlobLocation
from brokenreg.oci.digests import Digest
from brokenreg.storage import Store
from brokenreg.storage.errors import StorageError
from brokenreg.storage.records import RepositoryKey
from tests.postgresql import PostgreSQLServer
from tests.process import brokenreg_process, run_here
from tests.server import clean_environment
from tests.storage.contents import KEY, OTHER, content_of, push, put, until
from tests.storage.object_stores import (
    BUCKET,
    MIB,
    S3,
    FailingProxy,
    Reply,
    environment,
    failing_proxy,
    s3_server,
    use,
)

CACHED = ("@quay.io", "team/app")
EMPTY = ("", "once/pushed")
BLOBS = [uuid.uuid4().bytes * (size // 16) for size in (0, 16, 4096, MIB, 9 * MIB)]
DIGESTS = [Digest.of(each) for each in BLOBS]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def location(s3: S3, monkeypatch: pytest.MonkeyPatch) -> BlobLocation:
    return use(s3.port, monkeypatch, uuid.uuid4().hex)


@pytest.fixture
async def source(tmp_path: Path) -> Path:
    """A data folder with pushed and cached content, and a repository whose content was deleted."""
    root = tmp_path / "source"
    async with Store.open(root) as store:
        await fill(store)
    return root


async def fill(store: Store) -> None:
    for content in BLOBS:
        await push(store, content)
    await push(store, BLOBS[1], CACHED)
    await push(store, BLOBS[2], EMPTY)
    await store.index.unlink_blobs(EMPTY, [DIGESTS[2]])
    await store.index.link_blob(OTHER, DIGESTS[3], time.time() - 1000)
    for tag in ("v1", "latest"):
        await put(store, *DIGESTS, tag=tag)
    await put(store, DIGESTS[1], key=CACHED)
    await store.uploads.start(KEY, "sha256")
    await store.index.recipes.put([(f"layer-{number}", f'{{"size": {number}}}') for number in range(450)])


Summary = dict[RepositoryKey, tuple[set[Digest], dict[str, Digest], dict[Digest, float]]]


def summary(store: Store) -> Summary:
    return {
        key: (set(each.manifests), dict(each.tags), dict(each.links))
        for key, each in store.index.repositories.items()
    }


async def contents(root: Path) -> tuple[Summary, list[RepositoryKey], list[tuple[str, str]]]:
    async with Store.open(root) as store:
        recipes = await store.index.recipes.beginning_with("layer-", 1000)
        return summary(store), list(store.index.names), recipes


def migrate(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_here("migrate", *map(str, arguments), **variables)


async def check_copy(source: Path, root: Path, database: str, location: BlobLocation) -> None:
    """Everything of the source is served from the database and the object store alone."""
    expected, names, recipes = await contents(source)
    async with Store.open(root, database=database, location=location) as store:
        assert summary(store) == expected
        assert list(store.index.names) == names
        assert await store.index.recipes.beginning_with("layer-", 1000) == recipes
        manifest = store.index.repositories[KEY].resolve("v1")
        assert manifest is not None
        assert Digest.of(await store.index.manifest_body(manifest.digest) or b"") == manifest.digest
        for digest, content in zip(DIGESTS, BLOBS, strict=True):
            file = await store.open_whole(digest)
            assert file is not None
            file.close()
            assert content_of(store, digest) == content
            assert store.index.blob_size(digest) == len(content)


async def test_it_copies_everything_and_changes_nothing(
    source: Path, tmp_path: Path, database_url: str, location: BlobLocation, s3: S3
) -> None:
    before = {path: path.read_bytes() for path in source.rglob("blobs/*/*")}
    times = {path: path.stat().st_mtime_ns for path in before}
    expected = await contents(source)
    done = await in_thread("--from", source, "--to-database", database_url, "--to-blobs", location)
    assert (done.returncode, done.stderr) == (0, "")
    place = database_url.replace("brokenreg:a-secret", "***")
    assert done.stdout.splitlines() == [
        f"Copied to {place}: 3 repositories, 2 manifests, 3 tags, 5 blobs (10 MiB)",
        f"Sent to {location}: 5 blobs (10 MiB)",
        "Not copied: 1 upload session. Clients begin these again",
        "Verified: the copy is complete",
    ]
    assert sorted(s3.objects(location.prefix).values()) == sorted(map(len, BLOBS))
    assert {path: path.read_bytes() for path in source.rglob("blobs/*/*")} == before
    assert {path: path.stat().st_mtime_ns for path in before} == times
    assert await contents(source) == expected
    await check_copy(source, tmp_path / "new", database_url, location)


async def in_thread(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command, which has an event loop of its own."""
    import asyncio

    return await asyncio.to_thread(migrate, *arguments)


async def test_the_index_alone(source: Path, database_url: str) -> None:
    """The blobs stay in the folder, which is then used with the database."""
    expected, *_ = await contents(source)
    done = await in_thread("--from", source, "--to-database", database_url)
    assert done.returncode == 0, done.stderr
    async with Store.open(source, database=database_url) as store:
        assert summary(store) == expected
        assert [content_of(store, digest) for digest in DIGESTS] == BLOBS


async def test_an_index_whose_blobs_are_in_an_object_store(
    tmp_path: Path, database_url: str, location: BlobLocation, s3: S3
) -> None:
    source = tmp_path / "source"
    async with Store.open(source, location=location) as store:
        await fill(store)
        expected = summary(store)
    objects = s3.objects(location.prefix)
    elsewhere = await in_thread(
        "--from", source, "--to-database", database_url, "--to-blobs", f"s3://{BUCKET}/other"
    )
    assert elsewhere.returncode == 3
    assert f"the blobs of this folder are in {location}; use --to-blobs {location}" in elsewhere.stderr
    done = await in_thread("--from", source, "--to-database", database_url)
    assert done.returncode == 0, done.stderr
    async with Store.open(tmp_path / "new", database=database_url, location=location) as store:
        assert summary(store) == expected
        file = await store.open_whole(DIGESTS[4])
        assert file is not None
        file.close()
    assert s3.objects(location.prefix) == objects


async def test_a_second_run_does_nothing(source: Path, database_url: str, location: BlobLocation) -> None:
    arguments = ("--from", source, "--to-database", database_url, "--to-blobs", location)
    assert (await in_thread(*arguments)).returncode == 0
    async with Store.open(source.parent / "new", database=database_url, location=location) as store:
        await store.index.delete_tag(KEY, "v1")
    again = await in_thread(*arguments)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == "Nothing was copied: this data folder was copied to this database before\n"
    async with Store.open(source.parent / "new", database=database_url, location=location) as store:
        assert "v1" not in store.index.repositories[KEY].tags


async def test_blobs_that_a_first_run_left_in_the_folder_are_not_forgotten(
    source: Path, database_url: str, location: BlobLocation, s3: S3
) -> None:
    arguments = ("--from", source, "--to-database", database_url)
    assert (await in_thread(*arguments)).returncode == 0
    again = await in_thread(*arguments, "--to-blobs", location)
    assert (again.returncode, again.stdout) == (3, "")
    assert f"the index was copied before, but 5 blobs stayed in {source}" in again.stderr
    assert f"--data {source} and --blobs {location}" in again.stderr
    assert s3.objects(location.prefix) == {}


async def test_a_dry_run_writes_nothing(
    source: Path, database_url: str, location: BlobLocation, s3: S3
) -> None:
    done = await in_thread(
        "--from", source, "--to-database", database_url, "--to-blobs", location, "--dry-run"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Would copy 3 repositories, 2 manifests, 3 tags, 5 blobs (10 MiB)\n"
    assert s3.objects(location.prefix) == {}
    async with Store.open(source.parent / "new", database=database_url) as store:
        assert store.index.repositories == {}


class Stuck:
    """Lets a number of objects be written, and holds everything after that."""

    def __init__(self, proxy: FailingProxy, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()
        self.is_reached = threading.Event()
        self.released = threading.Event()
        proxy.fail = self

    def __call__(self, _: BaseHTTPRequestHandler, reply: Reply) -> Reply | None:
        if reply.method == "PUT":
            with self._lock:
                self._left -= 1
                is_held = self._left < 0
            if is_held:
                self.is_reached.set()
                self.released.wait(30)
                return None
        return reply


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGKILL, -signal.SIGKILL, ""),
        (signal.SIGINT, 1, "Aborted! To continue, run the same command again\n"),
    ],
    ids=["kill -9", "Ctrl+C"],
)
async def test_it_is_stopped_in_the_middle_and_run_again(
    number: int,
    status: int,
    message: str,
    source: Path,
    tmp_path: Path,
    database_url: str,
    postgresql: PostgreSQLServer,
    s3: S3,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with failing_proxy(s3) as proxy:
        location = use(proxy.port, monkeypatch, uuid.uuid4().hex)
        arguments = [
            *("migrate", "--from", str(source), "--to-database", database_url),
            *("--to-blobs", str(location)),
        ]
        stuck = Stuck(proxy, 2)
        process = subprocess.Popen(
            [sys.executable, "-m", "brokenreg", *arguments],
            env=clean_environment(**environment(proxy.port)),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert stuck.is_reached.wait(30)
            await until(lambda: postgresql.run_sql("SELECT count(*) FROM objects", database_url) != "0")
            process.send_signal(number)
            assert process.communicate(timeout=20)[1].endswith(message)  # after lines of progress
            assert process.returncode == status
        finally:
            process.kill()
            process.communicate()
            stuck.released.set()
        with pytest.raises(StorageError, match=r'not complete.*run "brokenreg migrate" again'):
            async with Store.open(tmp_path / "new", database=database_url, location=location):
                pass
        proxy.fail = None
        proxy.requests.clear()
        done = await in_thread(*arguments[1:])
        assert done.returncode == 0, done.stderr
        sent = int(done.stdout.partition("Sent to ")[2].partition(": ")[2].split()[0])
        assert 0 < sent < len(BLOBS)
        await check_copy(source, tmp_path / "new", database_url, location)


async def test_an_index_that_was_copied_in_part_is_continued(
    source: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are there are not written again."""
    from brokenreg.storage.imports.import_table import ImportTable

    written: list[int] = []
    write = ImportTable.write

    async def write_once(table: ImportTable, jobs: list[object]) -> None:
        if len(written) == 2:
            raise StorageError("the connection was lost")
        written.append(len(jobs))
        await write(table, jobs)  # type: ignore[arg-type]

    monkeypatch.setattr(ImportTable, "write", write_once)
    first = await in_thread("--from", source, "--to-database", database_url)
    assert (first.returncode, first.stdout) == (3, "")
    assert first.stderr == "Error: the connection was lost\n"
    assert written == [3, 2]  # names and manifests
    monkeypatch.undo()
    again = await in_thread("--from", source, "--to-database", database_url)
    assert again.returncode == 0, again.stderr
    expected, *_ = await contents(source)
    async with Store.open(source, database=database_url) as store:
        assert summary(store) == expected


async def test_a_corrupt_blob_is_reported_and_not_sent(
    source: Path, database_url: str, location: BlobLocation, s3: S3
) -> None:
    (source / "blobs" / "sha256" / DIGESTS[3].encoded).write_bytes(b"x" * MIB)
    done = await in_thread("--from", source, "--to-database", database_url, "--to-blobs", location)
    assert done.returncode == 1
    assert f"Error: blob {DIGESTS[3]} is corrupt: its digest is sha256:" in done.stderr
    assert len(s3.objects(location.prefix)) == len(BLOBS) - 1


async def test_a_lost_object_is_noticed_and_sent_again(
    source: Path, tmp_path: Path, database_url: str, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store confirms a blob that it does not keep."""
    with failing_proxy(s3) as proxy:
        location = use(proxy.port, monkeypatch, uuid.uuid4().hex)
        removed: list[str] = []

        def lose(_: BaseHTTPRequestHandler, reply: Reply) -> Reply:
            if reply.method == "PUT" and "uploadId" not in reply.path and not removed:
                removed.append(reply.path)
                s3.remove(location.prefix, reply.path.partition(f"{location.prefix}/")[2].partition("?")[0])
            return reply

        proxy.fail = lose
        arguments = ("--from", source, "--to-database", database_url, "--to-blobs", location)
        first = await in_thread(*arguments)
        assert first.returncode == 3
        assert f"the object store {location} has lost 1 object" in first.stderr
        again = await in_thread(*arguments)
        assert again.returncode == 0, again.stderr
        assert ": 1 blob (" in again.stdout
        await check_copy(source, tmp_path / "new", database_url, location)


async def test_a_folder_that_is_in_use(source: Path, database_url: str) -> None:
    with brokenreg_process(source, "--control", "off"):
        done = await in_thread("--from", source, "--to-database", database_url)
    assert done.returncode == 3
    assert done.stderr == f"Error: a brokenreg is using {source}: stop it first\n"


async def test_other_content_is_not_overwritten(
    source: Path, tmp_path: Path, database_url: str, location: BlobLocation, s3: S3
) -> None:
    async with Store.open(tmp_path / "other", database=database_url) as store:
        await put(store, key=OTHER)
    done = await in_thread("--from", source, "--to-database", database_url)
    assert done.returncode == 3
    assert "already has an index: use an empty database" in done.stderr
    assert "a-secret" not in done.stderr
    async with Store.open(tmp_path / "other", database=database_url) as store:
        assert list(store.index.repositories) == [OTHER]


async def test_an_object_store_with_other_blobs(
    source: Path, database_url: str, location: BlobLocation, s3: S3
) -> None:
    s3.replace(location.prefix, f"blobs/{uuid.uuid4().hex}", b"theirs")
    done = await in_thread("--from", source, "--to-database", database_url, "--to-blobs", location)
    assert done.returncode == 3
    assert f"the object store {location} already has blobs: use --to-blobs with another prefix" in done.stderr
    assert len(s3.objects(location.prefix)) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "--from is missing"),
        (("--from", "nowhere"), 2, "a database is missing: add --to-database"),
        (("--from", "nowhere", "--to-database", "sqlite:"), 2, 'invalid database "sqlite:": use postgresql'),
        (("--from", "nowhere", "--to-database", "mysql://x:hidden@y"), 2, "use postgresql://NAME@HOST"),
        (("--from", "nowhere", "--to-database-file", "nothing"), 3, "nothing: No such file"),
        (
            ("--from", "nowhere", "--to-database", "postgresql://x", "--to-blobs", "ftp://x"),
            2,
            "--to-blobs: ",
        ),
        (("--from", "nowhere", "--to-database", "postgresql://x"), 3, "there is no index in nowhere"),
    ],
)
def test_wrong_options(
    arguments: tuple[str, ...], status: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = migrate(*arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert "hidden" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_both_kinds_of_database(tmp_path: Path) -> None:
    done = migrate("--from", tmp_path, "--to-database", "postgresql://x", BROKENREG_DATABASE_FILE="file")
    assert done.returncode == 2
    assert "--to-database excludes --to-database-file: remove either" in done.stderr
