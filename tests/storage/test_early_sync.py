"""Syncing a file while it grows."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from brokenreg.storage.uploads import early_sync
from brokenreg.storage.uploads.early_sync import EarlySync


def test_an_error_is_raised_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        os.close(descriptor)
        raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr(early_sync, "_sync", fail)
    sync = EarlySync()
    with (tmp_path / "file").open("wb") as file:
        sync.grown(file.fileno(), 1)
        sync.finish()
        sync.grown(file.fileno(), 64 * 1024 * 1024)
        with pytest.raises(OSError, match="bad disk"):
            sync.finish()
        sync.finish()


def test_without_a_free_descriptor_the_file_still_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> int:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(early_sync.os, "dup", fail)
    sync = EarlySync()
    with (tmp_path / "file").open("wb") as file:
        sync.grown(file.fileno(), 64 * 1024 * 1024)
        sync.finish()
