"""An odd image: its manifests and blobs, which need not be valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brokenreg.images.image import Document
from brokenreg.images.unpacked import Content
from brokenreg.oci.digests import Digest

Descriptor = dict[str, Any]
"""A descriptor (image-spec, "Descriptor") as JSON. Kinds change it at will."""

_COMPUTED = 3 * 1024
"""Memory of a blob that is computed when it is read, about."""

_MANIFEST = 512
"""Memory of a manifest besides its bytes, about."""

_REFERRER = 1536
"""Memory of a descriptor in a list of referrers, about."""


@dataclass(frozen=True, slots=True)
class OddManifest:
    """A manifest or an index, with the media type that the registry sends as Content-Type."""

    manifest: bytes
    media_type: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class OddImage:
    """All content of an image. `root` is the digest to which its tag leads."""

    root: Digest
    manifests: Mapping[Digest, OddManifest]
    blobs: Mapping[Digest, Content]
    referrers: Mapping[Digest, Sequence[Descriptor]]
    configs: frozenset[str]
    positions: Mapping[str, tuple[int, ...]]
    """The positions of each layer in the manifests, from 1."""

    @property
    def memory(self) -> int:
        """Bytes in memory, about: the documents, what computes other blobs, and lists of referrers."""
        blobs = (blob.size if isinstance(blob, Document) else _COMPUTED for blob in self.blobs.values())
        manifests = (len(each.manifest) + _MANIFEST for each in self.manifests.values())
        referrers = sum(map(len, self.referrers.values()))
        return sum(manifests) + sum(blobs) + referrers * _REFERRER
