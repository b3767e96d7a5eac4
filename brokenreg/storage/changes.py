"""What a transaction of the index changed, as values, which the state in memory follows in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brokenreg.oci.digests import Digest
from brokenreg.storage.records import Manifest, RepositoryKey, StoredObject, UploadRow


@dataclass(frozen=True, slots=True)
class ManifestPut:
    """A manifest was stored at `stored` (seconds since the epoch), and the tags point to it."""

    key: RepositoryKey
    manifest: Manifest
    tags: tuple[str, ...]
    stored: float


@dataclass(frozen=True, slots=True)
class ManifestDeleted:
    """A manifest and the tags that pointed to it were deleted.

    The links of the blobs that it mentions are at least as new as `deleted` (seconds since the epoch).
    """

    key: RepositoryKey
    digest: Digest
    tags: tuple[str, ...]
    mentioned: tuple[Digest, ...]
    deleted: float


@dataclass(frozen=True, slots=True)
class TagDeleted:
    """A tag was deleted, but not its manifest."""

    key: RepositoryKey
    tag: str


@dataclass(frozen=True, slots=True)
class BlobLinked:
    """A repository may serve a blob from `linked` on (seconds since the epoch).

    `size` is in bytes, and None if the blob was stored earlier. `upload_id` is the session that ended.
    """

    key: RepositoryKey
    digest: Digest
    linked: float
    size: int | None = None
    upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class LinkTouched:
    """A client requested a blob of a repository at `when` (seconds since the epoch)."""

    key: RepositoryKey
    digest: Digest
    when: float


@dataclass(frozen=True, slots=True)
class BlobsUnlinked:
    """Repositories may no longer serve these blobs."""

    links: tuple[tuple[RepositoryKey, Digest], ...]


@dataclass(frozen=True, slots=True)
class TimesCorrected:
    """The times of a repository's links and manifests that were later than `now` were set to it."""

    key: RepositoryKey
    now: float


@dataclass(frozen=True, slots=True)
class UploadOpened:
    """An upload session began."""

    row: UploadRow


@dataclass(frozen=True, slots=True)
class UploadsClosed:
    """Upload sessions ended without a blob."""

    upload_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectStored:
    """A blob has an object, or the problem of its object has become known."""

    digest: Digest
    stored: StoredObject


@dataclass(frozen=True, slots=True)
class ObjectsForgotten:
    """Blobs no longer have objects. Each has the key of the object to delete."""

    forgotten: tuple[tuple[Digest, str], ...]


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A document that all processes share was published, or deleted if `body` is None."""

    name: str
    revision: int
    body: str | None


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """A lease was ended by the process that had it."""

    name: str


@dataclass(frozen=True, slots=True)
class TagConfirmed:
    """An upstream has sent or confirmed a tag of the cache, at `when` (seconds since the epoch)."""

    key: RepositoryKey
    tag: str
    when: float


Change = (
    ManifestPut
    | ManifestDeleted
    | TagDeleted
    | BlobLinked
    | LinkTouched
    | BlobsUnlinked
    | TimesCorrected
    | UploadOpened
    | UploadsClosed
    | ObjectStored
    | ObjectsForgotten
    | StateChanged
    | LeaseEnded
    | TagConfirmed
)

Changes = Sequence[Change]
"""The changes of one job, in order. Empty if it found nothing to change."""
