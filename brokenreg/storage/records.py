"""The index as it stands in memory: repositories, their manifests, tags and blob links."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import ManifestFacts

RepositoryKey = tuple[str, str]
"""(namespace, repository)."""

CACHE_MARK = "@"
"""First character of the namespaces of the cache: no path can name them."""


def is_cache(key: RepositoryKey) -> bool:
    """Whether a repository holds what came from an upstream."""
    return key[0].startswith(CACHE_MARK)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A stored manifest; its bytes are fetched by `Index.manifest_body`."""

    digest: Digest
    media_type: str
    size: int
    facts: ManifestFacts

    def descriptor(self) -> dict[str, Any]:
        """As the referrers list shows it (distribution-spec, "Listing Referrers")."""
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


@dataclass(slots=True)
class Repository:
    """What one repository holds. Only the index changes it, after its commit."""

    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)
    links: dict[Digest, float] = field(default_factory=dict)
    """Blobs that the repository may serve, and when each was linked (seconds since the epoch)."""

    @property
    def is_empty(self) -> bool:
        return not (self.manifests or self.tags or self.links)

    def resolve(self, reference: str) -> Manifest | None:
        """The manifest of a tag or a digest."""
        return self.manifests.get(self.tags.get(reference) or Digest(reference))

    def referrers(self, subject: Digest) -> list[Manifest]:
        """The manifests whose subject is that digest, in order of digest."""
        found = [manifest for manifest in self.manifests.values() if manifest.facts.subject == subject]
        return sorted(found, key=lambda manifest: manifest.digest)

    def names(self, digest: Digest) -> bool:
        """Whether a manifest here mentions that digest."""
        return any(digest in manifest.facts.names for manifest in self.manifests.values())

    def named_digests(self) -> set[str]:
        """All digests that the manifests here mention."""
        return {name for manifest in self.manifests.values() for name in manifest.facts.names}
