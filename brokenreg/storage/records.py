"""The values of the index in memory: repositories, their manifests, tags and blob links."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Any

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.oci.resolution import IN
from brokenreg.storage.tags import Tags

RepositoryKey = tuple[str, str]
"""(namespace, repository)."""

CACHE_MARK = "@"
"""First character of the cache's namespaces. No path can name them."""

MOST_NAMES = 100_000
"""Maximum number of repository names that are remembered after their content was deleted."""


def is_cache(key: RepositoryKey) -> bool:
    """Return whether a repository belongs to the cache of an upstream."""
    return key[0].startswith(CACHE_MARK)


def spelled(key: RepositoryKey) -> str:
    """Return the name of a repository as clients write it."""
    namespace, name = key
    if is_cache(key):
        return f"{namespace.removeprefix(CACHE_MARK)}/{name}"
    return f"{IN}{namespace}/{name}" if namespace else name


@dataclass(frozen=True, slots=True)
class Manifest:
    """A stored manifest, without its bytes; see `Index.manifest_body`."""

    digest: Digest
    media_type: str
    size: int
    facts: ManifestFacts

    def descriptor(self) -> dict[str, Any]:
        """Return the descriptor for a list of referrers (distribution-spec, "Listing Referrers")."""
        descriptor: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.facts.artifact_type:
            descriptor["artifactType"] = self.facts.artifact_type
        if self.facts.annotations:
            descriptor["annotations"] = self.facts.annotations
        return descriptor


@dataclass(frozen=True, slots=True)
class UploadRow:
    """The row of an upload session in the index."""

    id: str
    key: RepositoryKey
    algorithm: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The object of a blob in the object store, with its size in bytes."""

    key: str
    size: int
    stored: float
    """The time when it was complete, in seconds since the epoch."""
    problem: str = ""
    """Why the blob is not served: its object is lost or corrupt. Empty if it is intact."""


@dataclass(slots=True)
class Repository:
    """The content of one repository. Only the index changes it: after a commit, or to note a request."""

    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    tags: Tags = field(default_factory=Tags)
    links: dict[Digest, float] = field(default_factory=dict)
    """The blobs that the repository may serve, with the time of each link (seconds since the epoch)."""
    requested: dict[Digest, float] = field(default_factory=dict)
    """The time when each manifest was last stored or requested (seconds since the epoch)."""
    referring: dict[str, list[Digest]] = field(default_factory=dict)
    """The manifests that refer to each subject, in order of digest."""
    revision: int = field(default=0, compare=False)
    """The value of `IndexMemory.version` after the last change of the manifests, tags or links."""

    @property
    def is_empty(self) -> bool:
        return not (self.manifests or self.tags or self.links)

    def resolve(self, reference: str) -> Manifest | None:
        """Return the manifest of a tag or a digest, or None."""
        return self.manifests.get(self.tags.get(reference) or Digest(reference))

    def referrers(self, subject: Digest, after: str = "") -> list[Manifest]:
        """Return the manifests with that subject whose digests come after `after`, in order."""
        found = self.referring.get(subject, [])
        return [self.manifests[digest] for digest in found[bisect_right(found, after) :]]

    def names(self, digest: Digest) -> bool:
        """Return whether a manifest of the repository mentions that digest."""
        return any(digest in manifest.facts.names for manifest in self.manifests.values())

    def copy(self) -> Repository:
        """Return a snapshot that a thread can read while the repository changes."""
        return replace(
            self,
            manifests=self.manifests.copy(),
            tags=self.tags.copy(),
            links=self.links.copy(),
            requested=self.requested.copy(),
            referring={subject: found.copy() for subject, found in self.referring.items()},
        )

    def left_over(self, before: float) -> list[Digest]:
        """Return the manifests that have no tag and no stored blobs of their own, in order of digest.

        They were not requested since `before`. Content counts as tagged if a tagged manifest mentions it, or
        if it refers to tagged content. It is not counted as a manifest's own. The blobs of an index are those
        of its manifests.
        """
        tagged = self._tagged()
        left = {
            digest for digest in self.manifests if digest not in tagged and self.requested[digest] < before
        }
        kept = (self.links.keys() | self.manifests.keys()) - left - tagged
        while back := {digest for digest in left if not kept.isdisjoint(self.manifests[digest].facts.names)}:
            left -= back
            kept |= back
        return sorted(left)

    def _tagged(self) -> set[str]:
        """Return the digests that tags lead to, as far as they are stored here or have referrers here."""
        here = self.links.keys() | self.manifests.keys() | self.referring.keys()
        found: set[str] = set()
        waiting: list[str] = list(self.tags.values())
        while waiting:
            digest = waiting.pop()
            if digest not in found:
                found.add(digest)
                waiting += self.referring.get(digest, ())
                if (named := self.manifests.get(Digest(digest))) is not None:
                    waiting += here.intersection(named.facts.names)
        return found
