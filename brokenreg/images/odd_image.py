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
        """Bytes in memory, about: the documents, and what computes the other blobs."""
        blobs = (blob.size if isinstance(blob, Document) else _COMPUTED for blob in self.blobs.values())
        return sum(len(each.manifest) for each in self.manifests.values()) + sum(blobs)
