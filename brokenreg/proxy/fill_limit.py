"""The maximum size of a blob that is being fetched, whatever its upstream sends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import islice

from brokenreg.oci.descriptors import described_sizes
from brokenreg.oci.digests import Digest
from brokenreg.oci.plurals import counted
from brokenreg.oci.sizes import format_size
from brokenreg.proxy.errors import UpstreamContentError
from brokenreg.storage import Store
from brokenreg.storage.records import RepositoryKey

_MOST_MANIFESTS = 8
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
                f"{source} sends {counted(size, 'byte')} for blob {self.digest}; {self.reason}"
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
        return FillLimit(self.digest, size, f"it announced {size} before")


async def fill_limit(store: Store, key: RepositoryKey, digest: Digest) -> FillLimit:
    """Return the largest size that a manifest of the repository gives, or else the cache's limit.

    Manifests may disagree. The digest then decides.
    """
    repository = store.index.repository(key)
    newest = reversed(repository.manifests.values() if repository else ())
    naming = (manifest.digest for manifest in newest if digest in manifest.facts.names)
    bodies = [await store.index.manifest_body(each) for each in list(islice(naming, _MOST_MANIFESTS))]
    sizes = await asyncio.to_thread(_sizes, bodies, digest) if bodies else set()
    if sizes:
        size = max(sizes)
        return FillLimit(
            digest, size, f"the manifest describes it with {counted(size, 'byte')}", is_described=True
        )
    size = store.cache.max_size
    reason = f"without a manifest that describes it, --cache-max-size allows {format_size(size)}"
    return FillLimit(digest, size, f"{reason}; pull its manifest first")


def _sizes(bodies: list[bytes | None], digest: Digest) -> set[int]:
    return {size for body in bodies if body is not None for size in described_sizes(body, digest)}
