"""Limits of fills: the size of one blob, the total size, and the time without clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice

from brokenreg.oci.descriptors import described_sizes
from brokenreg.oci.digests import Digest
from brokenreg.oci.sizes import format_size
from brokenreg.proxy.errors import UpstreamContentError, UpstreamSilentError
from brokenreg.storage import Store
from brokenreg.storage.records import RepositoryKey
from brokenreg.wording import counted

_MAX_MANIFESTS = 8
"""Maximum number of manifests, the newest first, that are read to find the size of one blob."""


@dataclass(frozen=True, slots=True)
class FillLimit:
    """The maximum size of one blob, in bytes; `reason` says where the limit comes from."""

    digest: Digest
    size: int
    reason: str
    is_described: bool = False
    """Whether a manifest gives the limit."""

    def check(self, source: str, size: int | None) -> None:
        """Raise `UpstreamContentError` if `source` announces more."""
        if size is not None and size > self.size:
            raise UpstreamContentError(
                f"{source} announced {counted(size, 'byte')} for blob {self.digest}; {self.reason}"
            )

    def exceeded(self, source: str) -> UpstreamContentError:
        """Return the error for a body that exceeded the limit."""
        return UpstreamContentError(
            f"{source} sent more than {counted(self.size, 'byte')} for blob {self.digest}; {self.reason}"
        )

    def announced(self, size: int | None) -> FillLimit:
        """Return the limit for a blob of the size that the upstream announced, if any."""
        if size is None or size >= self.size:
            return self
        return FillLimit(self.digest, size, f"it announced {counted(size, 'byte')} before")


async def fill_limit(store: Store, key: RepositoryKey, digest: Digest) -> FillLimit:
    """Return the largest size that the repository's manifests give for a blob, or else the cache's limit.

    Manifests may disagree, because a wrong size is refused later, by the digest.
    """
    repository = store.index.repository(key)
    newest = reversed(repository.manifests.values() if repository else ())
    naming = (manifest.digest for manifest in newest if digest in manifest.facts.names)
    bodies = [await store.index.manifest_body(each) for each in list(islice(naming, _MAX_MANIFESTS))]
    sizes = await asyncio.to_thread(_sizes, bodies, digest) if bodies else set()
    if sizes:
        size = max(sizes)
        return FillLimit(digest, size, f"its manifest says {counted(size, 'byte')}", is_described=True)
    size = store.cache.max_size
    reason = f"no cached manifest gives its size, so --cache-max-size limits it to {format_size(size)}"
    return FillLimit(digest, size, f"{reason}; pull its manifest first")


def _sizes(bodies: list[bytes | None], digest: Digest) -> set[int]:
    return {size for body in bodies if body is not None for size in described_sizes(body, digest)}


class FillBudget:
    """Limits all fills together to `limit` bytes, plus one blob that is larger than `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.large: FillReservation | None = None
        self.lock = threading.Lock()

    def reserve(self) -> FillReservation:
        """Return a reservation of 0 bytes for another fill."""
        return FillReservation(self)


class FillReservation:
    """The bytes that are reserved for one fill. Thread-safe."""

    def __init__(self, budget: FillBudget) -> None:
        self._budget = budget
        self._size = 0
        self.was_refused = False
        """Whether the other fills left too little for this one."""

    def grow_to(self, size: int) -> bool:
        """Reserve at least `size` bytes in total. If too few are left, change nothing and return False."""
        budget = self._budget
        with budget.lock:
            more = size - self._size
            if more <= 0 or budget.large is self:
                return True
            if size > budget.limit and budget.large is None:
                budget.large = self
                budget.used -= self._size
            elif size <= budget.limit and budget.used + more <= budget.limit:
                budget.used += more
                self._size = size
            else:
                self.was_refused = True
                return False
            return True

    def release(self) -> None:
        """End the reservation, when the blob is in the cache or its file was removed."""
        budget = self._budget
        with budget.lock:
            if budget.large is self:
                budget.large = None
            else:
                budget.used -= self._size
            self._size = 0


ABANDONED_SECONDS = 60.0
"""Seconds between two checks, and the time for which progress is measured."""

MIN_PROGRESS = 512 * 1024
"""Minimum progress in that time, in bytes: 8 KiB per second, as for short bodies."""


@asynccontextmanager
async def ended_if_abandoned(
    received: Callable[[], int], is_awaited: Callable[[], bool], what: str
) -> AsyncIterator[None]:
    """End the block if no client waits and the download makes too little progress.

    That is less than `MIN_PROGRESS` in `ABANDONED_SECONDS`. Raise `UpstreamSilentError` then. `received`
    returns the number of bytes so far, and `what` names the download in the message.
    """
    loop = asyncio.get_running_loop()

    def check(before: int) -> None:
        if not is_awaited() and received() - before < MIN_PROGRESS:
            limit.reschedule(loop.time())
        else:
            timers.append(loop.call_later(ABANDONED_SECONDS, check, received()))
            del timers[0]

    timers = [loop.call_later(ABANDONED_SECONDS, check, received())]
    try:
        async with asyncio.timeout(None) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise UpstreamSilentError(
            f"the download of {what} was abandoned: its clients disconnected, and it received almost "
            f"nothing in {ABANDONED_SECONDS:g} s"
        ) from None
    finally:
        timers[0].cancel()
