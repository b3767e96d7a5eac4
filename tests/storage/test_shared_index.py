"""Two indexes on one PostgreSQL database: each follows what the other commits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.storage.changes import Change
from brokenreg.storage.database import Engine
from brokenreg.storage.database.postgresql import PostgreSQL
from brokenreg.storage.errors import NewerIndexError, StorageError
from brokenreg.storage.index import Index
from brokenreg.storage.records import UploadRow
from tests.postgresql import PostgreSQLServer
from tests.storage.contents import DAY, manifest_of

KEY = ("", "team/app")
PATIENCE = 20.0
BLOB = Digest.of(b"a blob")


class Watched(Index):
    """An index that can be awaited until a change arrives from elsewhere."""

    @classmethod
    async def on(cls, url: str, replica: str) -> Watched:
        index = await cls.open(PostgreSQL(url, replica))
        assert isinstance(index, Watched)
        return index

    def __init__(self, engine: Engine, place: str) -> None:
        super().__init__(engine, place)
        self.changed = asyncio.Event()

    def apply(self, change: Change) -> None:
        super().apply(change)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[tuple[Watched, Watched]]:
    first, second = await Watched.on(database_url, "aaaaaaaa"), await Watched.on(database_url, "bbbbbbbb")
    yield first, second
    await first.close()
    await second.close()


async def put(index: Index, name: str, *tags: str) -> Digest:
    manifest, body = manifest_of(BLOB, name=name)
    await index.put_manifest(KEY, manifest, body, tags)
    return manifest.digest


def tags(index: Index) -> dict[str, Digest]:
    return dict(index.repositories[KEY].tags) if KEY in index.repositories else {}


async def test_what_one_commits_reaches_the_other(pair: tuple[Watched, Watched]) -> None:
    first, second = pair
    digest = await put(first, "one", "v1")
    await second.until(lambda: tags(second) == {"v1": digest})
    assert await second.delete_tag(KEY, "v1")
    await first.until(lambda: tags(first) == {})
    await first.link_blob(KEY, BLOB, 5.0, size=6)
    await second.until(lambda: second.blob_size(BLOB) == 6)
    assert await second.unlink_blobs(KEY, [BLOB]) == 1
    await first.until(lambda: not first.is_linked(BLOB))


async def test_after_catching_up_nothing_that_was_committed_is_missing(
    pair: tuple[Watched, Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No notification is needed for that."""
    first, second = pair
    monkeypatch.setattr(second._database, "_wake", lambda: None)
    for number in range(50):
        digest = await put(first, str(number), "newest")
        await second.catch_up()
        assert tags(second) == {"newest": digest}


async def test_concurrent_misses_share_a_query(
    pair: tuple[Watched, Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = pair
    fetched = 0
    follow = PostgreSQL.follow

    def counted(engine: PostgreSQL) -> None:
        nonlocal fetched
        fetched += engine.replica == second.upload_prefix[:-1]
        follow(engine)

    monkeypatch.setattr(PostgreSQL, "follow", counted)
    await asyncio.gather(*(second.catch_up() for _ in range(100)))
    assert 1 <= fetched <= 3  # and what the listener may add


async def test_changes_at_both_are_applied_in_the_same_order(pair: tuple[Watched, Watched]) -> None:
    """They move the same tags, delete the same manifests and links, and agree in the end."""
    jobs: list[Awaitable[object]] = []
    for number in range(60):
        for index in pair:
            manifest, body = manifest_of(BLOB, name=str(number % 5))
            jobs.append(index.put_manifest(KEY, manifest, body, [f"v{number % 3}"]))
            jobs.append(index.delete_tag(KEY, f"v{number % 4}"))
            jobs.append(index.link_blob(KEY, BLOB, float(number)))
            jobs.append(index.delete_manifest(KEY, manifest.digest))
            jobs.append(index.unlink_blobs(KEY, [BLOB]))
            jobs.append(index.put_manifest(KEY, manifest, body, [f"v{number % 2}"]))
    await asyncio.gather(*jobs)
    for index in pair:
        await index.catch_up()
    first, second = pair
    assert tags(first) == tags(second) != {}
    assert first.repositories == second.repositories


async def test_a_blob_that_is_requested_at_one_is_not_garbage_for_the_other(
    pair: tuple[Watched, Watched],
) -> None:
    """A client that found it may be about to push a manifest that mentions it."""
    first, second = pair
    now = time.time()
    await first.link_blob(KEY, BLOB, now - 3 * DAY)
    await second.catch_up()
    first.touch_link(KEY, BLOB, now)
    await second.until(lambda: second.repositories[KEY].links[BLOB] == now)
    assert await second.unlink_blobs(KEY, [BLOB], unused_since=now - DAY) == 0
    first.touch_link(KEY, BLOB, now + 0.001)  # once is enough for half a day
    await second.unlink_blobs(KEY, [BLOB])
    await first.catch_up()
    assert not first.is_linked(BLOB)


async def test_a_change_that_cannot_be_applied_is_loaded(
    pair: tuple[Watched, Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then, the process does not claim that it has all changes."""
    first, second = pair
    apply, failures = second.apply, [RuntimeError("cannot apply")]

    def failing(change: Change) -> None:
        if failures:
            raise failures.pop()
        apply(change)

    monkeypatch.setattr(second, "apply", failing)
    await put(first, "one", "v1")
    with contextlib.suppress(StorageError):
        await second.catch_up()
    await second.catch_up()
    assert not failures
    assert second.repositories == first.repositories != {}


async def test_upload_sessions_belong_to_one_process(database_url: str) -> None:
    first, second = await Watched.on(database_url, "aaaaaaaa"), await Watched.on(database_url, "bbbbbbbb")
    row = UploadRow(f"{first.upload_prefix}{5:032x}", KEY, "sha256")
    await first.open_upload(row)
    await second.catch_up()
    assert second.uploads == {}
    await first.close()
    await second.close()
    again, other = await Watched.on(database_url, "aaaaaaaa"), await Watched.on(database_url, "bbbbbbbb")
    assert again.uploads == {row.id: row}
    assert other.uploads == {}
    await again.close()
    await other.close()


async def test_too_many_changes_are_loaded_together(
    pair: tuple[Watched, Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    monkeypatch.setattr("brokenreg.storage.database.postgresql.MOST_CHANGES", 10)
    loaded = counted_loads(second, monkeypatch)
    await asyncio.gather(*(put(first, str(number), f"v{number}") for number in range(40)))
    await second.catch_up()
    assert loaded
    assert len(tags(second)) == 40
    assert second.repositories == first.repositories
    version = second.version
    await put(first, "more", "v99")
    await second.catch_up()
    assert "v99" in tags(second)
    assert second.version > version


async def test_changes_that_were_deleted_are_loaded(
    pair: tuple[Watched, Watched],
    database_url: str,
    postgresql: PostgreSQLServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after an hour in which the process was stopped."""
    first, second = pair
    monkeypatch.setattr(PostgreSQL, "follow", lambda _: None)
    await put(first, "one", "v1")
    postgresql.run_sql("DELETE FROM changes", database_url)
    monkeypatch.undo()
    await second.catch_up()
    assert "v1" in tags(second)


async def test_a_restored_database_is_loaded(
    pair: tuple[Watched, Watched], database_url: str, postgresql: PostgreSQLServer
) -> None:
    """The newest changes are lost, as with a standby that takes over, and others have their numbers."""
    first, second = pair
    kept = await put(first, "kept", "kept")
    await second.catch_up()
    await put(first, "lost", "lost")
    await second.catch_up()
    postgresql.run_sql(
        """
        DELETE FROM tags WHERE tag = 'lost';
        UPDATE changes SET batch = 'another' WHERE number = (SELECT number FROM clock);
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid();
        """,
        database_url,
    )
    for index in pair:
        await index.catch_up()
        assert tags(index) == {"kept": kept}


def counted_loads(index: Index, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return a list that gets an entry whenever the index is loaded again."""
    loaded: list[None] = []
    load = index.load

    def counting(connection: object) -> Callable[[], None]:
        loaded.append(None)
        return load(connection)  # type: ignore[arg-type]

    monkeypatch.setattr(index, "load", counting)
    return loaded


async def test_processes_that_start_together_create_the_tables_once(database_url: str) -> None:
    indexes = await asyncio.gather(*(Watched.on(database_url, f"{number:08x}") for number in range(6)))
    await put(indexes[0], "one", "v1")
    for index in indexes:
        await index.catch_up()
        assert "v1" in tags(index)
        await index.close()


async def test_a_database_of_a_newer_release_is_refused(
    database_url: str, postgresql: PostgreSQLServer
) -> None:
    await (await Watched.on(database_url, "aaaaaaaa")).close()
    postgresql.run_sql("INSERT INTO migrations VALUES (99, 99)", database_url)
    with pytest.raises(NewerIndexError, match="it needs migration 99"):
        await Watched.on(database_url, "aaaaaaaa")


async def test_a_database_that_cannot_be_used_is_one_line_without_the_password(
    database_url: str, postgresql: PostgreSQLServer
) -> None:
    for url, reason in (
        (f"{database_url}_missing", 'database "test_[0-9]+_missing" does not exist'),
        (database_url.replace("a-secret", "another"), "password authentication failed"),
        (database_url.replace(str(postgresql.port), "1"), "Connection refused"),
        (f"{database_url}?sslmode=nonsense", 'invalid sslmode value: "nonsense"'),
    ):
        with pytest.raises(StorageError, match=reason) as caught:
            await Watched.on(url, "aaaaaaaa")
        message = str(caught.value)
        assert message.startswith("cannot use the database postgresql://***@127.0.0.1:")
        assert "a-secret" not in message
        assert "another" not in message
        assert "\n" not in message


async def test_a_user_who_may_not_create_tables_is_told_so(
    database_url: str, postgresql: PostgreSQLServer
) -> None:
    postgresql.run_sql("CREATE USER reader PASSWORD 'a-secret'", database_url)
    with pytest.raises(StorageError, match="permission denied for schema public"):
        await Watched.on(database_url.replace("brokenreg:", "reader:"), "aaaaaaaa")


async def test_text_is_compared_by_bytes(database_url: str, postgresql: PostgreSQLServer) -> None:
    """Whatever the locale of the database."""
    await (await Watched.on(database_url, "aaaaaaaa")).close()
    columns = postgresql.run_sql(
        "SELECT table_name || '.' || column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'",
        database_url,
    ).split()
    content = {"changes.batch", "changes.body", "manifests.facts", "manifests.media_type", "recipes.value"}
    objects = {f"objects.{name}" for name in ("digest", "place", "key", "problem")}  # compared for equality
    fleet = {"shared_states.name", "shared_states.body", "rule_counts.rule", "rule_counts.key"}
    replicas = {f"replicas.{name}" for name in ("name", "address", "host")}
    others = {"uploads.algorithm", "imports.source", "leases.name", "leases.holder"}
    assert set(columns) == content | objects | fleet | replicas | others
