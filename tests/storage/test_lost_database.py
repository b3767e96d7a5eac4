"""PostgreSQL goes away: clear errors, nothing acknowledged is lost, and recovery without manual action."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.storage.database.postgresql import PostgreSQL
from brokenreg.storage.errors import DatabaseUnreachableError, error_for_client
from brokenreg.storage.index import Index
from tests.postgresql import PostgreSQLServer, running_server
from tests.storage.contents import manifest_of

KEY = ("", "team/app")
PATIENCE = 30.0
BLOB = Digest.of(b"a blob")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    """A server that tests stop; it survives crashes."""
    with running_server(fsync=True) as server:
        yield server


@pytest.fixture
def url(server: PostgreSQLServer) -> str:
    return server.create_database(f"lost_{random.randrange(10**9)}")


@pytest.fixture
async def index(url: str) -> AsyncIterator[Index]:
    async with opened(url) as index:
        yield index


@contextlib.asynccontextmanager
async def opened(url: str, replica: str = "aaaaaaaa") -> AsyncIterator[Index]:
    index = await Index.open(PostgreSQL(url, replica))
    try:
        yield index
    finally:
        await index.close()


async def put(index: Index, tag: str) -> Digest:
    manifest, body = manifest_of(BLOB, name=tag)
    await index.put_manifest(KEY, manifest, body, [tag])
    return manifest.digest


async def until_it_works(index: Index) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(DatabaseUnreachableError):
                return await index.catch_up()
            await asyncio.sleep(0.05)


async def tags_in(url: str) -> set[str]:
    """Return the tags that a process sees that starts now."""
    async with opened(url, "cccccccc") as fresh:
        return set(fresh.repositories[KEY].tags) if KEY in fresh.repositories else set()


async def test_idle_connections_that_were_cut_are_not_noticed(
    index: Index, url: str, server: PostgreSQLServer
) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    for number in range(5):
        server.run_sql(cut, url)
        if number % 2:
            await index.catch_up()
        await put(index, f"v{number}")
    assert await tags_in(url) == {f"v{number}" for number in range(5)}


async def test_a_database_that_is_down_is_an_error_until_it_is_back(
    index: Index, server: PostgreSQLServer, caplog: pytest.LogCaptureFixture
) -> None:
    digest = await put(index, "v1")
    server.stop()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(DatabaseUnreachableError, match="the database cannot be reached: ") as caught:
                await put(index, "v2")
            with pytest.raises(DatabaseUnreachableError):
                await index.catch_up()
            assert time.monotonic() - began < PATIENCE
            await asyncio.sleep(0.2)
        response = error_for_client(caught.value)
        assert response is not None
        assert (response.status, response.code) == (503, "UNAVAILABLE")
        assert index.repositories[KEY].resolve("v1").digest == digest  # what is found is still served
        server.start()
        await until_it_works(index)
    await put(index, "v2")
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 2, warnings
    assert "trying again" in warnings[0]
    assert "can be reached again" in warnings[1]
    assert "a-secret" not in " ".join(warnings)


async def test_the_other_follows_again_after_a_restart(
    index: Index, url: str, server: PostgreSQLServer
) -> None:
    async with opened(url, "bbbbbbbb") as other:
        server.stop()
        server.start()
        await until_it_works(index)
        await put(index, "v1")
        async with asyncio.timeout(PATIENCE):
            while KEY not in other.repositories:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_nothing_acknowledged_is_lost_over_five_restarts_under_load(
    url: str, server: PostgreSQLServer
) -> None:
    """Of the restarts, every second one is like a crash."""
    acknowledged: set[str] = set()
    refused = 0
    is_over = False

    async def push(index: Index, name: str) -> None:
        nonlocal refused
        number = 0
        while not is_over:
            number += 1
            tag = f"{name}-{number}"
            try:
                await put(index, tag)
            except DatabaseUnreachableError:
                refused += 1
                await asyncio.sleep(0.01)
            else:
                acknowledged.add(tag)

    async with opened(url) as first, opened(url, "bbbbbbbb") as second:
        pushing = [
            asyncio.create_task(push(index, f"{which}{number}"))
            for which, index in enumerate((first, second))
            for number in range(4)
        ]
        for number in range(5):
            before = len(acknowledged)
            async with asyncio.timeout(PATIENCE):
                while len(acknowledged) < before + 50:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.01)
            how = signal.SIGQUIT if number % 2 else signal.SIGINT
            await asyncio.to_thread(server.stop, how=how)
            await asyncio.to_thread(server.start)
        is_over = True
        await asyncio.gather(*pushing)
        for index in (first, second):
            await until_it_works(index)
            assert acknowledged <= set(index.repositories[KEY].tags)
        assert first.repositories == second.repositories
    assert refused
    assert acknowledged <= await tags_in(url)


class CutWire:
    """Forwards connections to the server, and cuts one when the client sends a certain text."""

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self.text: bytes | None = None
        """The text to wait for; None afterwards."""
        self.is_delivered = True
        """Whether the server still gets and executes what contains the text."""
        self.is_open = True
        """Whether new connections are forwarded."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Yield the URL of the database behind this wire."""
        listening = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        user, _, _ = self._server.netloc.rpartition("@")
        async with listening:
            yield f"postgresql://{user}@127.0.0.1:{port}{self._server.path}?sslmode=disable&gssencmode=disable"

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.is_open:
            writer.close()
            return
        there, back = await asyncio.open_connection(self._server.hostname, self._server.port)
        answers = asyncio.create_task(pump(there, writer))
        while content := await reader.read(65536):
            if self.text is not None and self.text in content:
                self.text = None
                answers.cancel()
                if self.is_delivered:
                    back.write(content)
                    await there.read(1)  # the server has executed it
                break
            back.write(content)
        writer.close()
        back.close()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await answers


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(65536):
            writer.write(content)
    writer.close()


@pytest.mark.parametrize("is_delivered", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize("together", [1, 4])
async def test_a_connection_that_is_lost_during_a_commit(
    url: str, server: PostgreSQLServer, is_delivered: bool, together: int
) -> None:
    """Whether the server has committed or not, each change is made once and acknowledged."""
    wire = CutWire(url)
    async with wire.running() as behind, opened(behind) as index, opened(url, "bbbbbbbb") as other:
        await put(index, "before")
        wire.is_delivered = is_delivered
        wire.text = b"COMMIT"
        await asyncio.gather(*(put(index, f"v{number}") for number in range(together)))
        assert wire.text is None, "no commit was cut"
        tags = {"before", *(f"v{number}" for number in range(together))}
        assert set(index.repositories[KEY].tags) == tags
        await other.catch_up()
        assert other.repositories == index.repositories
        assert server.run_sql("SELECT count(*) FROM changes", url) == str(1 + together)
        assert await index.delete_tag(KEY, "v0")
        await other.catch_up()
        assert "v0" not in other.repositories[KEY].tags


@pytest.mark.parametrize("is_delivered", [True, False], ids=["committed", "not committed"])
async def test_an_unknown_outcome_is_not_acknowledged(
    url: str, is_delivered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database cannot be reached to find out. Later, memory has what was committed."""
    monkeypatch.setattr("brokenreg.storage.database.postgresql._PATIENCE", 0.3)
    wire = CutWire(url)
    async with wire.running() as behind, opened(behind) as index:
        wire.is_delivered = is_delivered
        wire.text = b"COMMIT"
        wire.is_open = False
        with pytest.raises(DatabaseUnreachableError, match="may or may not be stored"):
            await put(index, "v1")
        assert KEY not in index.repositories
        wire.is_open = True
        await until_it_works(index)
        assert (KEY in index.repositories) == is_delivered
    assert await tags_in(url) == ({"v1"} if is_delivered else set())


async def test_a_server_that_does_not_answer_is_given_up(
    url: str, server: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokenreg.storage.database.postgresql_connection._SILENCE", 0.5)
    async with opened(url) as index:
        with server.frozen():
            began = time.monotonic()
            with pytest.raises(DatabaseUnreachableError, match="no answer for"):
                await index.catch_up()
            with pytest.raises(DatabaseUnreachableError):
                await put(index, "v1")
            assert time.monotonic() - began < PATIENCE
        await until_it_works(index)
        await put(index, "v2")
        assert "v2" in await tags_in(url)


async def test_a_process_that_stops_in_a_transaction_does_not_block_the_others(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends its transaction. Until then, others get an error when their time is over."""
    monkeypatch.setattr(
        "brokenreg.storage.database.postgresql_connection._SESSION",
        "SET statement_timeout = '500ms'; SET idle_in_transaction_session_timeout = '900ms'",
    )
    stopped = PostgreSQL(url, "bbbbbbbb")
    async with opened(url) as index:
        await asyncio.to_thread(stopped.open)
        await asyncio.to_thread(stopped.begin)
        with pytest.raises(DatabaseUnreachableError, match="did not respond within"):
            await put(index, "v1")
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(DatabaseUnreachableError):
                    await put(index, "v1")
                    break
        assert set(index.repositories[KEY].tags) == {"v1"}
        stopped.close()
