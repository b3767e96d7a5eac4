"""The data folder: only one process uses it, and each problem is reported in one clear line."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from brokenreg.storage import Store
from brokenreg.storage.errors import FolderLockedError, NewerIndexError, StorageError
from tests.process import brokenreg_process
from tests.server import Brokenreg, brokenreg, clean_environment
from tests.storage.contents import KEY, content_of, push, put

PAGE = 4096
"""Bytes of the first page, with SQLite's header; SQLite may count in it whenever it looks at a file."""


def refused(data: Path) -> str:
    """Run brokenreg on a folder that it must refuse, and return its message."""
    command = [sys.executable, "-m", "brokenreg", "serve", "--headless", "--data", str(data)]
    command += ["--listen", "127.0.0.1:0", "--control", "off"]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=20, env=clean_environment(), check=False
    )
    assert (run.returncode, run.stdout) == (3, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith("brokenreg: ")
    assert str(data) in line or "newer" in line
    return line


def test_a_second_process_is_refused(own_registry: Brokenreg) -> None:
    before = sorted(own_registry.data.rglob("*"))
    assert "in use by another brokenreg" in refused(own_registry.data)
    assert sorted(own_registry.data.rglob("*")) == before
    assert own_registry.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_next_process_is_accepted(tmp_path: Path, number: int) -> None:
    """A lock that outlived its process would have to be removed manually."""
    with brokenreg_process(tmp_path / "data") as running:
        running.stop(number)
    with brokenreg_process(tmp_path / "data") as running:
        assert running.stop() == 0


async def test_the_lock_in_one_process(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data"):
        with pytest.raises(FolderLockedError, match="in use"):
            async with Store.open(tmp_path / "data"):
                pass
    async with Store.open(tmp_path / "data"):
        pass


def overwrite(index: Path) -> None:
    index.write_bytes(b"this is no database " * 100)


def cut(index: Path) -> None:
    os.truncate(index, 5000)


def scribble(index: Path) -> None:
    """Overwrite the file except its header page."""
    content = index.read_bytes()
    index.write_bytes(content[:PAGE] + b"\xff" * (len(content) - PAGE))


def sql(index: Path, statement: str) -> tuple[int, ...] | None:
    with contextlib.closing(sqlite3.connect(index)) as connection, connection:
        return connection.execute(statement).fetchone()


def drop_a_table(index: Path) -> None:
    sql(index, "DROP TABLE manifests")


def spoil_a_row(index: Path) -> None:
    sql(index, "UPDATE manifests SET facts = 'no JSON'")


def other_application(index: Path) -> None:
    index.unlink()
    sql(index, "CREATE TABLE tags (something TEXT)")


def make_it_a_folder(index: Path) -> None:
    index.unlink()
    index.mkdir()


@pytest.mark.parametrize(
    "spoil", [overwrite, cut, scribble, drop_a_table, spoil_a_row, other_application, make_it_a_folder]
)
async def test_an_index_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """The error is one line with the name of the file, and the file stays unchanged."""
    async with Store.open(tmp_path / "data") as store:
        digest = await push(store, b"content")
        await put(store, digest)
        index = store.folder.index
    spoil(index)
    before = index.read_bytes()[PAGE:] if index.is_file() else None
    with pytest.raises(StorageError) as told:
        async with Store.open(tmp_path / "data"):
            pass
    assert str(index) in str(told.value)
    assert "\n" not in str(told.value)
    assert before is None or index.read_bytes()[PAGE:] == before
    assert content_of(store, digest) == b"content"


def test_a_broken_index_on_the_command_line(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data") as running:
        running.stop()
    overwrite(tmp_path / "data" / "index.sqlite3")
    assert "move it away" in refused(tmp_path / "data")


async def test_an_index_of_a_newer_version(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data") as store:
        digest = await put(store, await push(store, b"content"))
        index = store.folder.index
    (version,) = sql(index, "PRAGMA user_version") or ()
    sql(index, f"PRAGMA user_version = {version + 1}")
    with pytest.raises(NewerIndexError):
        async with Store.open(tmp_path / "data"):
            pass
    assert "newer brokenreg" in refused(tmp_path / "data")  # and the one before let go of the file
    sql(index, f"PRAGMA user_version = {version}")
    async with Store.open(tmp_path / "data") as store:
        assert store.index.repositories[KEY].tags == {"latest": digest}


async def test_an_index_of_the_first_version(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data") as store:
        digest = await put(store, await push(store, b"content"))
        index = store.folder.index
    sql(index, "DROP TABLE pushed")
    sql(index, "ALTER TABLE manifests DROP COLUMN stored")
    sql(index, "PRAGMA user_version = 1")
    for _ in range(2):
        async with Store.open(tmp_path / "data") as store:
            assert store.index.repositories[KEY].tags == {"latest": digest}
            assert store.index.was_pushed_to(KEY)
            assert await put(store, *store.index.repositories[KEY].links) == digest


def test_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    assert "cannot use the data folder" in refused(tmp_path / "file" / "data")


async def test_a_name_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data") as store:
        (store.folder.root / "replica.new").mkdir()
        with pytest.raises(StorageError, match=r"cannot write .*/replica: Is a directory"):
            store.folder.replica_name()
