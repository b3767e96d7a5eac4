"""The rest of a blob that the disk has no room for: each reader fetches it with its own requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenreg.oci.digests import Digest
from brokenreg.proxy.fill_limit import FillLimit
from brokenreg.proxy.resumption import Resumption

if TYPE_CHECKING:
    from hashlib import _Hash as Hash


@dataclass(frozen=True, slots=True)
class Overflow:
    """A blob of which the file has only the first `kept` bytes, with their hash."""

    kept: int
    hasher: Hash


async def beyond(
    overflow: Overflow, resumption: Resumption, limit: FillLimit, begin: int, end: int | None
) -> AsyncIterator[bytes]:
    """Yield the bytes from `begin` to `end` (None: the end of the blob) that are not in the file.

    The last byte of the blob follows after its digest has been verified. Raise `UpstreamError`.
    """
    hasher = overflow.hasher.copy()
    position, last = overflow.kept, b""
    async for chunk in resumption.chunks(position):
        hasher.update(chunk)
        data = last + chunk
        if position + len(data) > limit.size:
            raise limit.exceeded(resumption.source)
        ready, last = data[:-1], data[-1:]
        wanted = ready[max(0, begin - position) : None if end is None else max(0, end - position)]
        position += len(ready)
        if wanted:
            yield wanted
    received = Digest.from_hash(hasher)
    if received != limit.digest:
        raise resumption.wrong(received, position + len(last))
    if begin <= position and (end is None or position < end):
        yield last
