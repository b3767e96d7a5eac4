"""A layer: a gzip stream of a tar with one file of pseudo-random content, readable at any offset."""

from __future__ import annotations

import hashlib
import threading

from brokenreg.images.framing import GzipFrame, TarFrame
from brokenreg.images.spec import LayerRecipe
from brokenreg.late_imports import Late
from brokenreg.wording import counted

_BLOCK = 16
_ZEROS = memoryview(bytes(1024 * 1024))


class Keystream:
    """An endless stream of bytes that depends only on `recipe`. Reading is equally fast at any offset."""

    __slots__ = ("_key",)

    def __init__(self, recipe: str) -> None:
        self._key = hashlib.sha256(recipe.encode()).digest()

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill `view` with the bytes at `offset`, which must not be negative."""
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES256
        from cryptography.hazmat.primitives.ciphers.modes import CTR

        counter, skip = divmod(offset, _BLOCK)
        stream = Cipher(AES256(self._key), CTR(counter.to_bytes(_BLOCK, "big"))).encryptor()
        if skip:
            stream.update(_ZEROS[:skip])
        for start in range(0, len(view), len(_ZEROS)):
            part = view[start : start + len(_ZEROS)]
            stream.update_into(_ZEROS[: len(part)], part)


KEYSTREAM_LIBRARY = Late(lambda: Keystream("").read_into(0, memoryview(bytearray(1))))
"""Imports the library after the start by reading a byte, because the import is slow."""

_SCRATCH = 1024 * 1024


class _Scratch(threading.local):
    """A buffer for a read in progress, one per thread.

    A new buffer for each read would cost more than the content: the allocator returns pages to the system and
    faults them in again (0.9 GB/s instead of 3 GB/s or more, with reads of 256 KiB).
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_SCRATCH))


_SCRATCHES = _Scratch()


class LayerTar:
    """The tar of a layer before gzip; `diff_id` is the digest of this tar."""

    __slots__ = ("_content", "_frame", "size")

    def __init__(self, recipe: LayerRecipe) -> None:
        self._frame = TarFrame(recipe.file_name, recipe.size)
        self._content = Keystream(recipe.canonical)
        self.size = self._frame.size

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill `view` with the bytes at `offset`, which must be inside the tar."""
        start, stop = self._frame.content_start, self._frame.content_end
        end = offset + len(view)
        if offset < start:
            head = self._frame.head[offset:end]
            view[: len(head)] = head
        first, last = max(offset, start), min(end, stop)
        if first < last:
            self._content.read_into(first - start, view[first - offset : last - offset])
        first = max(offset, stop)
        if first < end:
            view[first - offset :] = bytes(end - first)


class Layer:
    """A layer in the form that clients download. `crc32` is that of the tar; the trailer contains it.

    A reader has no state, and its memory is at most a few times what it returns.
    """

    __slots__ = ("_crc32", "_frame", "_tar", "size", "tar_size")

    def __init__(self, recipe: LayerRecipe, crc32: int) -> None:
        self._tar = LayerTar(recipe)
        self._frame = GzipFrame(self._tar.size)
        self._crc32 = crc32
        self.size = self._frame.size
        self.tar_size = self._tar.size

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`, fewer only at the end. Raise `ValueError` if one is negative."""
        end = clip(offset, length, self.size)
        frame = self._frame
        body_start = len(frame.HEADER)
        body_end = body_start + frame.body_size
        parts: list[bytes | memoryview] = []
        if offset < body_start:
            parts.append(frame.HEADER[offset:end])
        start, stop = max(offset, body_start), min(end, body_end)
        if start < stop:
            parts += self._body(start - body_start, stop - body_start)
        start = max(offset, body_end)
        if start < end:
            parts.append(frame.trailer(self._crc32)[start - body_end : end - body_end])
        return b"".join(parts)

    def _body(self, start: int, stop: int) -> list[bytes | memoryview]:
        first, last = self._frame.tar_offset(start), self._frame.tar_offset(stop)
        tar = _scratch(last - first)
        self._tar.read_into(first, tar)
        return self._frame.parts(start, tar, stop)


def _scratch(length: int) -> memoryview:
    """Return a buffer that is valid until the next call in this thread."""
    return _SCRATCHES.view[:length] if length <= _SCRATCH else memoryview(bytearray(length))


def layer_size(recipe: LayerRecipe) -> int:
    """Return the number of bytes that clients download, without computing the content."""
    return GzipFrame(TarFrame(recipe.file_name, recipe.size).size).size


def clip(offset: int, length: int, size: int) -> int:
    """Return the end of a range. Raise `ValueError` if offset or length is negative."""
    if offset < 0 or length < 0:
        raise ValueError(f"no such range: {counted(length, 'byte')} at {offset}")
    return max(offset, min(offset + length, size))
