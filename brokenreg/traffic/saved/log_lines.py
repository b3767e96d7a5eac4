"""Reads the lines of a log that may grow, be rotated or be truncated meanwhile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from brokenreg.traffic.saved.formats import LARGEST, PIECE, UnreadableFileError, opened
from brokenreg.traffic.saved.summaries import LONGEST_LINE


class LogLines:
    """The lines of a file, which is opened again if another file gets its name, as `tail -F` does."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._rest = b""
        self._is_skipping = False
        self.skipped = 0
        """Number of bytes at the beginning that were skipped, because the file is too long."""
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            self.skipped = size - LARGEST
            file.seek(self.skipped)
            self._is_skipping = True

    def complete(self) -> Iterator[bytes]:
        """Yield the complete lines that have not been yielded yet, cut behind `LONGEST_LINE`."""
        while data := self._file.read(PIECE):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                if self._is_skipping:
                    self._is_skipping = False
                else:
                    yield line[: LONGEST_LINE + 1]
            if len(self._rest) > LONGEST_LINE:
                if not self._is_skipping:
                    yield self._rest[: LONGEST_LINE + 1]
                self._rest, self._is_skipping = b"", True

    def incomplete(self) -> bytes:
        """Return the beginning of the last line, if it has no end."""
        return b"" if self._is_skipping else self._rest

    def appended(self) -> Iterator[bytes]:
        """Yield the complete lines that were appended, and those of a new file with the same name."""
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._restart()
        yield from self.complete()
        if self._is_replaced():
            with contextlib.suppress(UnreadableFileError):  # the new file may not exist yet
                file = opened(self._path)
                self._file.close()
                self._file = file
                self._restart()
                yield from self.complete()

    def close(self) -> None:
        self._file.close()

    @property
    def position(self) -> float:
        """Return how much of the file was read: from 0 to 1."""
        return self._file.tell() / max(1, os.fstat(self._file.fileno()).st_size)

    def _restart(self) -> None:
        self._file.seek(0)
        self._rest, self._is_skipping = b"", False

    def _is_replaced(self) -> bool:
        own = os.fstat(self._file.fileno())
        try:
            other = self._path.stat()
        except OSError:
            return False
        return (own.st_dev, own.st_ino) != (other.st_dev, other.st_ino)
