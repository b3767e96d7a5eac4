"""Hashes fabricated layers in threads.

A layer gets its CRC-32, diff_id and digest in one pass. The SHA-256 of the tar and that of the gzip stream
are computed in parallel. Each call for a slice releases the interpreter lock, so the event loop continues.
"""

from __future__ import annotations

import hashlib
import itertools
import zlib
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from brokenreg.images.framing import BLOCK, GzipFrame
from brokenreg.images.layer import LayerTar
from brokenreg.images.progress import Progress
from brokenreg.images.spec import LayerRecipe
from brokenreg.oci.digests import Digest

_SLICE = 16 * BLOCK
"""Bytes of the tar per step: about 1 MiB of whole blocks, so that slices of tar and gzip are aligned."""


@dataclass(frozen=True, slots=True)
class LayerSums:
    """The sums that are needed to serve a layer: the CRC-32 of its tar and both digests."""

    crc32: int
    diff_id: str
    digest: str


class HashingCancelled(Exception):  # noqa: N818 - it is requested, and not an error
    """The progress was cancelled before the sums were complete."""


def hash_layers(recipes: Sequence[LayerRecipe], helper: Executor, progress: Progress) -> list[LayerSums]:
    """Return the sums of each layer. Call it in a thread: it blocks.

    `helper` does half of the work and must have a free thread. Raise `HashingCancelled` within milliseconds
    after the progress is cancelled.
    """
    return [_hash_layer(recipe, helper, progress) for recipe in recipes]


def _hash_layer(recipe: LayerRecipe, helper: Executor, progress: Progress) -> LayerSums:
    progress.layer = recipe.number
    tar = LayerTar(recipe)
    stream = _GzipSums(GzipFrame(tar.size))
    diff_id = hashlib.sha256()
    # Two buffers alternate: the next slice is written to one while the helper reads the other.
    buffers = itertools.cycle([memoryview(bytearray(min(_SLICE, tar.size))) for _ in range(2)])
    pending: Future[None] | None = None
    for start, buffer in zip(range(0, tar.size, _SLICE), buffers, strict=False):
        if progress.cancelled.is_set():
            raise HashingCancelled
        part = buffer[: tar.size - start]
        tar.read_into(start, part)
        if pending is not None:
            pending.result()
        pending = helper.submit(stream.update, start, part)
        diff_id.update(part)
        progress.add(len(part))
    if pending is not None:
        pending.result()
    crc32, digest = stream.finish()
    return LayerSums(crc32, Digest.from_hash(diff_id), digest)


class _GzipSums:
    """The part of the work that the helper does: the CRC-32 of the tar and the digest of the gzip stream."""

    def __init__(self, frame: GzipFrame) -> None:
        self._frame = frame
        self._crc32 = 0
        self._hash = hashlib.sha256(frame.HEADER)

    def update(self, start: int, tar: memoryview) -> None:
        """Add the next slice of the tar; `start` is its offset, at which a block must begin."""
        frame = self._frame
        end = start + len(tar)
        body_end = frame.body_size if end == frame.tar_size else frame.body_offset(end)
        self._crc32 = zlib.crc32(tar, self._crc32)
        for part in frame.parts(frame.body_offset(start), tar, body_end):
            self._hash.update(part)

    def finish(self) -> tuple[int, Digest]:
        """Return the CRC-32 and the digest after all slices were added."""
        self._hash.update(self._frame.trailer(self._crc32))
        return self._crc32, Digest.from_hash(self._hash)
