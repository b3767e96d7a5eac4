"""Saves files that the panel sends: in the current folder, completely, and never over another file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO, Any

from brokenreg.wording import printable, quoted

_LONGEST_NAME = 200
_MOST_BYTES = 1024**3
_MOST_FILES = 100
"""Limits of all files of one connection."""


class ReceivedFiles:
    """The files of one connection, one after the other in pieces: at most 100, of 1 GiB in total."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._size = 0
        self._saved_files = 0
        self._saved_bytes = 0

    def handle(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Write the piece of a file in a message. Return the reply, or None if the file is cancelled."""
        if message.get("cancel"):
            self.close()
            return None
        name, text = str(message.get("name")), str(message.get("text"))
        try:
            path = self._checked(name)
            self._write(text)
            if message.get("last"):
                self._put(path)
        except (OSError, ValueError) as error:
            self.close()
            return {"id": message.get("id"), "problem": getattr(error, "strerror", None) or str(error)}
        return {"id": message.get("id"), "path": str(path)}

    def close(self) -> None:
        """Remove the file that is not complete, if there is one."""
        if self._file is not None:
            self._file.close()
            with contextlib.suppress(OSError):
                Path(self._file.name).unlink(missing_ok=True)
            self._file = None

    def _checked(self, name: str) -> Path:
        """Return the path of a file of that name. Raise `ValueError` or `FileExistsError`."""
        is_plain = name == os.path.basename(name) and "\\" not in name and printable(name) == name
        if not is_plain or name.startswith((".", "-")) or not 0 < len(name.encode()) <= _LONGEST_NAME:
            raise ValueError(
                f"invalid file name {quoted(name)}: use a name without a folder, such as rules.yaml"
            )
        path = self._folder / name
        if os.path.lexists(path):
            raise ValueError(f"{name} exists in that folder: use another name")
        return path

    def _write(self, text: str) -> None:
        if self._file is None:
            if self._saved_files >= _MOST_FILES:
                raise ValueError(
                    f"{_MOST_FILES} files are saved, which is the maximum: attach again to save more"
                )
            self._size = 0
            self._file = tempfile.NamedTemporaryFile(dir=self._folder, prefix=".brokenreg.", delete=False)  # noqa: SIM115 - `close` does
        data = text.encode("utf-8", "backslashreplace")
        self._size += len(data)
        if self._saved_bytes + self._size > _MOST_BYTES:
            raise ValueError("the saved files are larger than 1 GiB in total: attach again to save more")
        self._file.write(data)

    def _put(self, path: Path) -> None:
        """Give the file its name, after all of it has reached the disk."""
        assert self._file is not None  # noqa: S101 - `_write` has opened it
        self._file.flush()
        os.fsync(self._file.fileno())
        os.link(self._file.name, path)
        self._saved_files += 1
        self._saved_bytes += self._size
        self.close()
