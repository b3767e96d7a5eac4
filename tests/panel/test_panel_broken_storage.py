"""A full disk or an unreadable index does not end the panel: each change reports its result."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pushed import some_images
from running import registry
from screen import look, text
from stored import TEAM, store_image, tar
from textual.pilot import Pilot

from brokenreg.storage.errors import StorageError
from brokenreg.storage.index import Index
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from tests import disks
from tests.storage.test_full_disk import fill

SIZE = (110, 40)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 4 MiB, where folders that are made for a moment are."""
    with disks.small_disk(tmp_path / "disk", "4m") as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        yield disk


async def done(pilot: Pilot[int], *keys: str) -> str:
    """The screen after keys, once nothing works in the background but what asks."""
    await look(pilot, *keys)
    for worker in [each for each in pilot.app.workers if each.group != "asking"]:
        await worker.wait()
    return await look(pilot)


async def said(pilot: Pilot[int], words: str) -> None:
    """Wait until the panel has said that, in passing (it is folded on the screen) or to stay."""
    for _ in range(100):
        passing = [each.message for each in pilot.app._notifications]
        if any(words in each for each in (*passing, " ".join(text(pilot.app).split()))):
            return
        await pilot.pause()
    raise AssertionError(text(pilot.app))


async def break_index(index: Index) -> None:
    """No manifest can be read or written any more."""
    await index._database.write(lambda connection: connection.execute("DROP TABLE manifest_bodies") and ())
    index._bodies.clear()


@pytest.mark.slow
async def test_a_full_disk_is_reported_and_nothing_changes(disk: Path, tmp_path: Path) -> None:
    async with registry(TrafficLog()) as runtime:
        await some_images(runtime.store)
        tags = dict(runtime.store.index.repositories["", "library/app"].tags)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await done(pilot, "4", "j", "l", "l")
            filler = fill(disk)
            await done(pilot, "d")
            await done(pilot, "y")
            await said(pilot, "nothing was changed: the disk is full: the index cannot grow")
            await done(pilot, "2", "W", *str(disk / "rules.yaml"), "enter")
            await said(pilot, "No space left on device")
            await look(pilot, "escape")
            filler.unlink()
            assert panel.is_running
        assert runtime.store.index.repositories["", "library/app"].tags == tags


@pytest.mark.slow
async def test_an_unreadable_index_is_reported_everywhere() -> None:
    async with registry(TrafficLog()) as runtime:
        await store_image(runtime, TEAM, "1", tar(("a", b"a")))
        await break_index(runtime.store.index)
        panel = Panel(runtime)
        async with panel.run_test(size=SIZE, notifications=True) as pilot:
            await done(pilot, "4", "l", "l", "l")
            await said(pilot, ": the index cannot be used: no such table")
            panel.clear_notifications()
            assert "cannot be read: the index cannot be used" in await done(pilot, "enter")
            await look(pilot, "escape", "R", *"new", "enter")
            await said(pilot, "nothing was changed: the index cannot be used")
            await done(pilot, "3", "/", *"manifest", "enter", "enter")
            await said(pilot, "cannot be read: the index cannot be used")
            await done(pilot, "v")
            await said(pilot, "cannot be read: the index cannot be used")
            await pilot.press("Q")
        assert panel.return_code == 0


async def test_internal_errors_are_not_reported_as_disk_errors() -> None:
    async with registry(TrafficLog()) as runtime:
        read = runtime.store.index._database.read
        with pytest.raises(StorageError, match="no such table: nowhere"):
            await read(lambda connection: connection.execute("SELECT * FROM nowhere"))
        with pytest.raises(sqlite3.ProgrammingError):
            await read(lambda connection: connection.execute("SELECT ?", ()))
