"""Lists the entries in the tar of a layer without unpacking it to disk.

Layers are untrusted. So a listing has limits for entries, bytes of names, unpacked bytes, memory and time. It
reports where it stopped and why.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from brokenreg.images.tar_headers import (
    BLOCK,
    Header,
    Kind,
    TarError,
    is_end,
    parse_header,
    pax_records,
    pax_size,
)
from brokenreg.images.unpacked import CompressionError, Content, Unpacked
from brokenreg.oci.sizes import format_size

_Value = TypeVar("_Value", bytes, int)

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_SPARSE_NAME, _SPARSE_SIZES = b"GNU.sparse.name", (b"GNU.sparse.realsize", b"GNU.sparse.size")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a listing. `name` and `names` limit the bytes of one name and of all names."""

    entries: int = 100_000
    name: int = 4096
    names: int = 16 * 1024 * 1024
    metadata: int = 1024 * 1024
    """Maximum size of one pax header or long name, in bytes."""
    unpacked: int = 4 * 1024**3
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the archive. `size` is what the archive claims, in bytes; names can contain any bytes."""

    name: bytes
    kind: Kind
    permissions: int
    size: int
    link: bytes
    is_name_cut: bool = False

    @property
    def is_opaque(self) -> bool:
        """Return whether the entry hides the directory in lower layers (image-spec, "Opaque Whiteout")."""
        return self.name.rpartition(b"/")[2] == _OPAQUE

    @property
    def hides(self) -> bytes | None:
        """Return the path that the entry hides in lower layers (image-spec, "Whiteouts"), or None."""
        folder, slash, base = self.name.rpartition(b"/")
        if not base.startswith(_WHITEOUT):
            return None
        return folder + slash + (b"" if base == _OPAQUE else base.removeprefix(_WHITEOUT))


class _StoppedError(Exception):
    """A limit was reached or `stop` was called; the message says which."""


@dataclass(slots=True)
class _Extensions:
    """The values in extension headers for the next entry."""

    name: bytes | None = None
    link: bytes | None = None
    size: int | None = None
    shown_size: int | None = None

    def note(self, keyword: bytes, value: bytes) -> None:
        if keyword in (b"path", _SPARSE_NAME):
            self.name = value
        elif keyword == b"linkpath":
            self.link = value
        elif keyword == b"size":
            self.size = pax_size(value)
        elif keyword in _SPARSE_SIZES:
            self.shown_size = pax_size(value)


class LayerListing:
    """The listing of one blob. `run` blocks; other threads can use everything else in the meantime.

    `entries` only grows. `outcome` is one line of text, or None until `run` has ended. `is_whole` is true if
    the archive was read to its end.
    """

    def __init__(
        self,
        content: Content,
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.entries: list[Entry] = []
        self.outcome: str | None = None
        self.is_whole = False
        self.size = content.size
        self._limits = limits
        self._clock = clock
        self._content = content
        self._stream: Unpacked | None = None
        self._stopped = threading.Event()
        self._deadline = 0.0
        self._names = 0
        self._global_extensions = _Extensions()

    @property
    def read(self) -> int:
        """Return how many of the blob's `size` bytes were read so far."""
        return self._stream.read if self._stream else 0

    @property
    def unpacked(self) -> int:
        """Return how many bytes of the archive were read or skipped so far."""
        return self._stream.unpacked if self._stream else 0

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stopped.set()

    def run(self) -> None:
        """List until the end, a limit, `stop`, or an error. Raise `OSError` if the blob cannot be read."""
        self._deadline = self._clock() + self._limits.seconds
        try:
            self._stream = Unpacked(self._content)
            self._list()
        except (_StoppedError, TarError, CompressionError) as stopped:
            where = f"at byte {self.unpacked:,} of the archive" if self.unpacked else "at its beginning"
            self.outcome = f"stopped {where}: {stopped}"
        else:
            self.is_whole = True
            packed = f"{format_size(self.unpacked)} unpacked" if self._is_compressed else "not compressed"
            self.outcome = f"complete, {packed}"

    @property
    def _is_compressed(self) -> bool:
        return self._stream is not None and self._stream.is_compressed

    def _list(self) -> None:
        extensions = _Extensions()
        while (block := self._block()) is not None:
            if is_end(block):
                return
            header = parse_header(block)
            match header.flag:
                case b"L":
                    extensions.name = self._metadata(header).partition(b"\0")[0]
                case b"K":
                    extensions.link = self._metadata(header).partition(b"\0")[0]
                case b"x" | b"X":
                    for keyword, value in pax_records(self._metadata(header)):
                        extensions.note(keyword, value)
                case b"g":
                    for keyword, value in pax_records(self._metadata(header)):
                        self._global_extensions.note(keyword, value)
                case _:
                    self._add(header, extensions)
                    extensions = _Extensions()
        if not self.entries and not self.unpacked:
            raise TarError("the blob is empty and not a tar")
        raise TarError("the archive has no end mark and may be truncated")

    def _add(self, header: Header, extensions: _Extensions) -> None:
        """Add an entry and skip its content."""
        size = _first(extensions.size, self._global_extensions.size, header.size)
        name = _first(extensions.name, self._global_extensions.name, header.name)
        link = _first(extensions.link, self._global_extensions.link, header.link)
        most = self._limits.name
        entry = Entry(
            name=name[:most],
            kind=header.kind,
            permissions=header.permissions,
            size=_first(extensions.shown_size, header.real_size, size if header.has_content else 0),
            link=link[:most] if header.kind in (Kind.SYMLINK, Kind.HARD_LINK) else b"",
            is_name_cut=max(len(name), len(link)) > most,
        )
        self._names += len(entry.name) + len(entry.link)
        if self._names > self._limits.names:
            raise _StoppedError(f"the names exceed {format_size(self._limits.names)}")
        if len(self.entries) >= self._limits.entries:
            raise _StoppedError(f"the limit of {self._limits.entries:,} entries is reached")
        self.entries.append(entry)
        while header.is_extended:  # the rest of the map of a sparse file (GNU)
            block = self._block()
            if block is None:
                raise TarError("the archive is cut off in a header")
            if block[504:505] != b"\1":
                break
        if header.has_content:
            self._skip(_padded(size))

    def _block(self) -> bytes | None:
        """Return the next block, or None at the end of the data."""
        block = self._bytes(BLOCK)
        if block and len(block) < BLOCK:
            raise TarError("the archive is cut off in a header")
        return block or None

    def _metadata(self, header: Header) -> bytes:
        if header.size > self._limits.metadata:
            raise _StoppedError(
                f"a header has {format_size(header.size)}; the limit is {format_size(self._limits.metadata)}"
            )
        body = self._bytes(_padded(header.size))
        if len(body) < header.size:
            raise TarError("the archive is cut off in a header")
        return body[: header.size]

    def _bytes(self, length: int) -> bytes:
        parts = []
        while length:
            part = self._within_limits().take(length)
            if not part:
                break
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _skip(self, length: int) -> None:
        claimed = length
        while length:
            passed = self._within_limits().skip(length)
            if not passed:
                raise TarError(
                    f"the last entry is cut off: {format_size(length)} of {format_size(claimed)} are missing"
                )
            length -= passed

    def _within_limits(self) -> Unpacked:
        """Return the stream. Raise `_StoppedError` if a limit is reached."""
        assert self._stream is not None  # noqa: S101 - for the type checker
        if self._stopped.is_set():
            raise _StoppedError("the listing was closed")
        if self._is_compressed and self._stream.unpacked >= self._limits.unpacked:
            raise _StoppedError(f"the limit of {format_size(self._limits.unpacked)} unpacked is reached")
        if self._clock() > self._deadline:
            raise _StoppedError(f"the limit of {self._limits.seconds:g} s is reached")
        return self._stream


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _first(own: _Value | None, global_: _Value | None, header: _Value) -> _Value:
    if own is not None:
        return own
    return header if global_ is None else global_
