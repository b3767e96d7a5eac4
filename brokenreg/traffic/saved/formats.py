"""The formats of files with exchanges, and how a file is opened and recognised."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import IO

from brokenreg.oci.sizes import format_size
from brokenreg.traffic.saved.har_stream import HAR_BEGINS
from brokenreg.traffic.saved.summaries import LONGEST_LINE, is_summary
from brokenreg.wording import quoted

LARGEST = 1024 * 1024 * 1024
"""Maximum size of a HAR file, in bytes. Of a longer log, the end is read."""

PIECE = 64 * 1024
"""Bytes that are read together."""

_BEGINNING = LONGEST_LINE
"""Bytes by which a format is recognised."""

_EXAMINED = 8
"""Lines of which one must be an exchange. The first one may be incomplete after the log was rotated."""


class UnreadableFileError(Exception):
    """A file cannot be read. The message is one line."""


class Format(Enum):
    """A format of files with exchanges: the noun for its parts, and their plural."""

    HAR = ("entry", "entries")
    LOG = ("line", "lines")


def opened(path: Path) -> IO[bytes]:
    """Return an open regular file. Raise `UnreadableFileError`."""
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableFileError(f"cannot read {quoted(path)}: {why}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableFileError(f"cannot read {quoted(path)}: it is not a file: save the exchanges first")
    return os.fdopen(descriptor, "rb", buffering=0)


def format_of(path: Path, file: IO[bytes], *, follows: bool) -> Format:
    """Return the format of a file by its beginning. Raise `UnreadableFileError`.

    If `follows`, it must be a log, which may still be empty.
    """
    beginning = _beginning(file)
    if HAR_BEGINS.match(beginning.decode("utf-8-sig", "replace")):
        if follows:
            raise UnreadableFileError(
                f"cannot follow {quoted(path)}: a HAR file does not grow. To follow a log, "
                'write one with "brokenreg serve --log FILE"'
            )
        if (size := os.fstat(file.fileno()).st_size) > LARGEST:
            raise UnreadableFileError(
                f"cannot read {quoted(path)}: it has {format_size(size)}, "
                f"the limit for HAR is {format_size(LARGEST)}"
            )
        return Format.HAR
    lines = beginning.strip().split(b"\n", _EXAMINED)[:_EXAMINED]
    if any(map(is_summary, lines)) or (follows and not b"".join(lines)):
        return Format.LOG
    if not b"".join(lines):
        raise UnreadableFileError(f"cannot read {quoted(path)}: it is empty")
    raise UnreadableFileError(
        f"cannot read {quoted(path)}: it is neither HAR nor a log with a line of JSON for each exchange"
    )


def texts(file: IO[bytes]) -> Iterator[str]:
    """Yield the text of a file in pieces. Invalid UTF-8 is replaced."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    while data := file.read(PIECE):
        if text := decoder.decode(data):
            yield text
    if rest := decoder.decode(b"", final=True):
        yield rest


def _beginning(file: IO[bytes]) -> bytes:
    data = b""
    while len(data) < _BEGINNING and (piece := file.read(_BEGINNING - len(data))):
        data += piece
    file.seek(0)
    return data
