"""The index in memory: repositories, their manifests, tags and blob links."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.oci.resolution import IN
from brokenreg.storage.tags import SortedNames, Tags

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


@dataclass(slots=True)
class Repository:
    """The content of one repository. Only the index changes it, after a commit."""

    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    tags: Tags = field(default_factory=Tags)
    links: dict[Digest, float] = field(default_factory=dict)
    """The blobs that the repository may serve, with the time of each link (seconds since the epoch)."""
    requested: dict[Digest, float] = field(default_factory=dict)
    """The time when each manifest was last stored or requested (seconds since the epoch)."""
    referring: dict[str, list[Digest]] = field(default_factory=dict)
    """The manifests that refer to each subject, in order of digest."""
    revision: int = field(default=0, compare=False)
    """The value of `Records.version` after the last change of the manifests, tags or links."""

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


class Records:
    """All repositories, and counts of digests across them. Only `Index` changes them."""

    def __init__(self) -> None:
        self.version = 0
        """Increases with every change of manifests, tags or links."""
        self.repositories: dict[RepositoryKey, Repository] = {}
        self.catalog = SortedNames()
        """The names of the repositories of the default namespace, in order."""
        self._ever_pushed: dict[RepositoryKey, None] = {}
        self._configs: Counter[str] = Counter()
        self._linked: Counter[Digest] = Counter()
        self._pushed: Counter[Digest] = Counter()
        self._sizes: dict[Digest, int] = {}

    def repository(self, key: RepositoryKey) -> Repository | None:
        return self.repositories.get(key)

    def present(self, keys: Iterable[RepositoryKey]) -> list[Repository]:
        """Return the repositories with these keys that exist."""
        return [self.repositories[key] for key in keys if key in self.repositories]

    def was_pushed_to(self, key: RepositoryKey) -> bool:
        """Return whether anything was ever pushed to a repository, even if it was deleted later."""
        return key in self.repositories or key in self._ever_pushed

    def is_config(self, digest: str) -> bool:
        """Return whether a stored manifest has that digest as its configuration."""
        return digest in self._configs

    def is_linked(self, digest: Digest) -> bool:
        """Return whether any repository has a link to that blob."""
        return digest in self._linked

    def is_pushed(self, digest: Digest) -> bool:
        """Return whether a repository outside the cache has a link to that blob."""
        return digest in self._pushed

    def blob_size(self, digest: Digest) -> int | None:
        """Return the size that a linked blob had when it was stored, in bytes.

        Return None if an older version of brokenreg stored it, which did not record sizes.
        """
        return self._sizes.get(digest)

    @property
    def blob_count(self) -> int:
        """Return the number of blobs that repositories have links to."""
        return len(self._linked)

    def _repository(self, key: RepositoryKey) -> Repository:
        repository = self.repositories.get(key)
        if repository is None:
            repository = self.repositories[key] = Repository()
            if not key[0]:
                self.catalog.put(key[1])
        return repository

    def _note_push(self, key: RepositoryKey) -> None:
        """Remember a name even if its content is deleted, up to a number of names."""
        if not is_cache(key):
            self._ever_pushed[key] = None
            if len(self._ever_pushed) > MOST_NAMES:
                del self._ever_pushed[next(iter(self._ever_pushed))]

    def _note_change(self, key: RepositoryKey) -> None:
        """Note a change of a repository's manifests, tags or links. Remove the repository if it is empty."""
        self.version += 1
        repository = self._repository(key)
        repository.revision = self.version
        if repository.is_empty:
            del self.repositories[key]
            if not key[0]:
                self.catalog.drop(key[1])

    def _add_manifest(self, key: RepositoryKey, manifest: Manifest, stored: float) -> None:
        repository = self._repository(key)
        if manifest.digest not in repository.manifests:
            if manifest.facts.config:
                self._configs[manifest.facts.config] += 1
            if manifest.facts.subject:
                insort(repository.referring.setdefault(manifest.facts.subject, []), manifest.digest)
        repository.manifests[manifest.digest] = manifest
        repository.requested[manifest.digest] = stored
        self._note_change(key)

    def _remove_manifest(self, key: RepositoryKey, digest: Digest, tags: Collection[str]) -> None:
        """Remove a manifest and the tags that point to it."""
        repository = self.repositories[key]
        manifest = repository.manifests.pop(digest)
        repository.requested.pop(digest)
        repository.tags.drop(tags)
        if manifest.facts.subject:
            referring = repository.referring[manifest.facts.subject]
            referring.remove(digest)
            if not referring:
                del repository.referring[manifest.facts.subject]
        if manifest.facts.config:
            self._configs[manifest.facts.config] -= 1
            if not self._configs[manifest.facts.config]:
                del self._configs[manifest.facts.config]
        self._note_change(key)

    def _add_link(self, key: RepositoryKey, digest: Digest, when: float) -> None:
        links = self._repository(key).links
        if digest not in links:
            self._linked[digest] += 1
            if not is_cache(key):
                self._pushed[digest] += 1
        links[digest] = when
        self._note_change(key)

    def _remove_link(self, key: RepositoryKey, digest: Digest) -> None:
        del self.repositories[key].links[digest]
        for counts in (self._linked,) if is_cache(key) else (self._linked, self._pushed):
            counts[digest] -= 1
            if not counts[digest]:
                del counts[digest]
        if digest not in self._linked:
            self._sizes.pop(digest, None)
        self._note_change(key)
