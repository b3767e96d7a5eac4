"""A layer: the gzip stream of a tar of one file, readable at any offset; its content is a keystream."""

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
    """An endless stream of bytes that depends only on `recipe`, permanently. All offsets cost the same."""

    __slots__ = ("_key",)

    def __init__(self, recipe: str) -> None:
        self._key = hashlib.sha256(recipe.encode()).digest()

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill `view` with the bytes at `offset`, which is not negative."""
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
"""Imports the library by reading a byte: that takes long, and few of the first requests need it."""

_SCRATCH = 1024 * 1024


class _Scratch(threading.local):
    """Memory for a read in progress, one per thread.

    A fresh buffer for each read costs more than its content: the allocator gives pages back to the system
    and faults them in again (0.9 against 3 GB/s and more, in reads of 256 KiB).
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_SCRATCH))


_SCRATCHES = _Scratch()


class LayerTar:
    """The tar of a layer before gzip; `diff_id` is its digest."""

    __slots__ = ("_content", "_frame", "size")

    def __init__(self, recipe: LayerRecipe) -> None:
        self._frame = TarFrame(recipe.file_name, recipe.size)
        self._content = Keystream(recipe.canonical)
        self.size = self._frame.size

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill `view` with the bytes at `offset`; the tar has as many there."""
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
    """A layer as clients download it. `crc32` is that of the tar, and part of the last bytes.

    A reader has no state, and uses no more memory than a few times what it returns.
    """

    __slots__ = ("_crc32", "_frame", "_tar", "size", "tar_size")

    def __init__(self, recipe: LayerRecipe, crc32: int) -> None:
        self._tar = LayerTar(recipe)
        self._frame = GzipFrame(self._tar.size)
        self._crc32 = crc32
        self.size = self._frame.size
        self.tar_size = self._tar.size

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes at `offset`, fewer only at the end. Raise `ValueError` if one is negative."""
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
    """Memory until this thread's next call; larger than usual, it is its own."""
    return _SCRATCHES.view[:length] if length <= _SCRATCH else memoryview(bytearray(length))


def layer_size(recipe: LayerRecipe) -> int:
    """Return the size of a layer as clients download it, in bytes; its content is not computed."""
    return GzipFrame(TarFrame(recipe.file_name, recipe.size).size).size


def clip(offset: int, length: int, size: int) -> int:
    """Return the end of a range. Raise `ValueError` if offset or length is negative."""
    if offset < 0 or length < 0:
        raise ValueError(f"no such range: {counted(length, 'byte')} at {offset}")
    return max(offset, min(offset + length, size))
