"""Where a panel saves files. On this machine, a file is written completely or not at all."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from brokenreg.concurrency import shielded

_AT_ONCE = 1 << 20
"""Number of characters that are written together."""

_MOST_TRIED = 1000
"""Number of names that are tried for a new file."""


class Files(Protocol):
    """The files of the panel's user, which may be on another machine."""

    place: str
    """What a name means, for the prompt."""
    saving_problem: str
    """Why nothing can be saved, and what to do instead; empty if files can be saved."""
    opening_problem: str
    """Why nothing can be opened, and what to do instead; empty if files can be opened."""

    def free_name(self, stem: str, suffix: str) -> str:
        """Return a name for a new file that begins with `stem`."""

    async def save(self, name: str, pieces: AsyncIterable[str], *, overwrite: bool) -> str:
        """Save a file completely or not at all, and return its path.

        Raise `FileExistsError` if it exists and may be overwritten, `OSError`, `ValueError` or `RuntimeError`
        if it cannot be written.
        """


class LocalFiles:
    """The files of this machine. A name may be a path."""

    place = "to this file"
    saving_problem = opening_problem = ""

    def free_name(self, stem: str, suffix: str) -> str:
        """Return the first of `stem`, `stem-2`, ... that no file in the working directory has."""
        names = (f"{stem}-{number}{suffix}" for number in range(2, _MOST_TRIED))
        return next((name for name in (f"{stem}{suffix}", *names) if not Path(name).exists()), "")

    async def save(self, name: str, pieces: AsyncIterable[str], *, overwrite: bool) -> str:
        """Save a file as `save_pieces` does."""
        await save_pieces(name, pieces, overwrite=overwrite)
        return name


async def one_piece(text: str) -> AsyncIterator[str]:
    """Yield `text`."""
    yield text


def save(name: str, text: str, *, overwrite: bool) -> None:
    """Write `text` to the file of that name (`~` is the user's home), atomically.

    Raise `FileExistsError` if it exists and `overwrite` is false, `OSError` if it cannot be written,
    `RuntimeError` if the user has no home.
    """
    path = _path(name, overwrite)
    with _beside(path) as file:
        _write(file, [text])
        _put(file, path, overwrite)


async def save_pieces(name: str, pieces: AsyncIterable[str], *, overwrite: bool) -> None:
    """Write pieces as `save` does, in threads, with about a megabyte of them in memory."""
    path = _path(name, overwrite)
    with _beside(path) as file:
        waiting: list[str] = []
        length = 0
        async for piece in pieces:
            waiting.append(piece)
            length += len(piece)
            if length >= _AT_ONCE:
                await shielded(asyncio.to_thread(_write, file, waiting))
                waiting, length = [], 0
        await shielded(asyncio.to_thread(_write, file, waiting))
        await shielded(asyncio.to_thread(_put, file, path, overwrite))


def _path(name: str, overwrite: bool) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        raise IsADirectoryError(21, "is a directory")
    if path.exists() and not overwrite:
        raise FileExistsError(17, "already exists")
    return path


@contextmanager
def _beside(path: Path) -> Iterator[IO[bytes]]:
    """Provide a temporary file in the same folder, and remove it after the block."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def _write(file: IO[bytes], pieces: Iterable[str]) -> None:
    for piece in pieces:
        file.write(piece.encode("utf-8", "backslashreplace"))


def _put(file: IO[bytes], path: Path, overwrite: bool) -> None:
    """Give the file its name, after all of it has reached the disk."""
    file.flush()
    os.fchmod(file.fileno(), 0o644)
    os.fsync(file.fileno())
    if overwrite:
        Path(file.name).replace(path)
    else:
        os.link(file.name, path)
