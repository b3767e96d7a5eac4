"""The draft with which a kind of image makes its content: blobs, layers, configurations and manifests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from brokenreg.images.computed import Random, digest_of, gzip_stored, zstd_stored
from brokenreg.images.image import Document
from brokenreg.images.odd_image import Descriptor, OddImage, OddManifest
from brokenreg.images.tarball import Entry, tar_of
from brokenreg.images.unpacked import Content
from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    manifest_facts,
)

_CREATED = "1970-01-01T00:00:00Z"
_FRESH = 64
"""Bytes of the file that makes a layer unique to its image."""


class Layer(NamedTuple):
    """The descriptor of a layer, and the digest of its tar."""

    descriptor: Descriptor
    diff_id: str

    def claiming(self, **members: Any) -> Layer:
        """Return the same layer with members of its descriptor added or replaced."""
        return self._replace(descriptor={**self.descriptor, **members})


@dataclass(slots=True)
class Draft:
    """Collects the content of an image. `name` is the spelling of its kind and parameters.

    All content that a draft makes depends on that name, so clients have none of it from another image.
    """

    name: str
    _manifests: dict[Digest, OddManifest] = field(default_factory=dict)
    _blobs: dict[Digest, Content] = field(default_factory=dict)
    _referrers: dict[Digest, list[Descriptor]] = field(default_factory=dict)
    _configs: set[str] = field(default_factory=set)
    _positions: dict[str, dict[int, None]] = field(default_factory=dict)

    def random(self, label: str, size: int) -> Random:
        """Return pseudo-random content that is unique to the image and the label."""
        return Random(f"odd;{label};{self.name}", size)

    def unique(self, label: str = "") -> str:
        """Return a text of 16 hex digits that is unique to the image and the label."""
        return hashlib.sha256(f"{label};{self.name}".encode()).hexdigest()[:16]

    def blob(self, content: Content | bytes, media_type: str, *, algorithm: str = "sha256") -> Descriptor:
        """Add a blob, and return its descriptor."""
        blob = Document(content) if isinstance(content, bytes) else content
        digest = digest_of(blob, algorithm)
        self._blobs[digest] = blob
        return {"mediaType": media_type, "digest": str(digest), "size": blob.size}

    def layer(self, *entries: Entry, label: str = "1", media_type: str = OCI_LAYER) -> Layer:
        """Add a layer with these entries and a small file that makes it unique.

        It is compressed as its media type says: plain, with gzip, or with zstd.
        """
        return self.packed_layer(self.tar(*entries, label=label), media_type)

    def tar(self, *entries: Entry, label: str = "1") -> Content:
        """Return a tar with a small file that makes it unique, and these entries."""
        return tar_of((self.fresh(label), *entries))

    def fresh(self, label: str = "1") -> Entry:
        """Return a small file that is unique to the image and the label."""
        return Entry(f"fresh-{self.unique(label)}.bin".encode(), self.random(label, _FRESH))

    def packed_layer(self, tar: Content, media_type: str = OCI_LAYER) -> Layer:
        """Add a layer with this tar, compressed as its media type says."""
        packed: Content = tar
        if media_type.endswith("gzip"):
            packed = gzip_stored(tar)
        elif media_type.endswith("zstd"):
            packed = zstd_stored(tar)
        descriptor = self.blob(packed, media_type)
        return Layer(descriptor, descriptor["digest"] if packed is tar else str(digest_of(tar)))

    def config(self, layers: Sequence[Layer], **members: Any) -> Descriptor:
        """Add the configuration of an image with these layers. `members` are added, or replace others."""
        return self.config_of({**self.config_document(layers), **members})

    def config_of(self, document: Mapping[str, Any]) -> Descriptor:
        """Add a configuration as it is."""
        return self.blob(to_json(document), OCI_CONFIG)

    def config_document(self, layers: Sequence[Layer]) -> dict[str, Any]:
        """Return a valid configuration of an image with these layers."""
        steps = [{"created": _CREATED, "created_by": f"brokenreg {self.name}"} for _ in layers]
        return {
            "architecture": "amd64",
            "os": "linux",
            "created": _CREATED,
            "author": f"brokenreg {self.name}",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in layers]},
            "history": steps,
        }

    def manifest(
        self,
        document: Mapping[str, Any] | bytes,
        media_type: str = OCI_MANIFEST,
        *,
        algorithm: str = "sha256",
        payload: bytes | None = None,
        like: Mapping[str, Any] | None = None,
    ) -> Descriptor:
        """Add a manifest or an index that is served with this media type, and return its descriptor.

        `payload` are the bytes that its digest covers, if not all. `like` is a document with the same
        configuration and layers, if this one cannot be read as JSON or is large.
        """
        body = document if isinstance(document, bytes) else to_json(document)
        digest = Digest.of(body if payload is None else payload, algorithm)
        self._manifests[digest] = OddManifest(body, media_type, digest)
        facts = manifest_facts(body if like is None else to_json(like))
        if facts.config is not None:
            self._configs.add(facts.config)
        for place, layer in enumerate(facts.layers, start=1):
            self._positions.setdefault(layer, {})[place] = None
        return {"mediaType": media_type, "digest": str(digest), "size": len(body)}

    def image(self, layers: Sequence[Layer], config: Descriptor | None = None, **members: Any) -> Descriptor:
        """Add the manifest of an image with these layers. `members` are added, or replace others."""
        return self.manifest({**self.image_document(layers, config), **members})

    def image_document(self, layers: Sequence[Layer], config: Descriptor | None = None) -> dict[str, Any]:
        """Return a valid manifest of an image with these layers."""
        return {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.config(layers) if config is None else config,
            "layers": [each.descriptor for each in layers],
        }

    def docker_image(self, layers: Sequence[Layer]) -> Descriptor:
        """Add the manifest of an image in Docker's format. The media types of its layers stay as they are."""
        config = {**self.config(layers), "mediaType": DOCKER_CONFIG}
        document = {**self.image_document(layers, config), "mediaType": DOCKER_MANIFEST}
        return self.manifest(document, DOCKER_MANIFEST)

    def absent_manifest(self, label: str = "absent") -> Descriptor:
        """Return the descriptor of a manifest that nobody has."""
        body = f"absent {label} of {self.name}".encode()
        return {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(body)), "size": len(body)}

    def plain_image(self, label: str = "1") -> Descriptor:
        """Add a valid image with one layer."""
        return self.image([self.layer(label=label)])

    def index(self, manifests: Sequence[Descriptor], **members: Any) -> Descriptor:
        """Add an index of these manifests. `members` are added, or replace others."""
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(manifests)}
        return self.manifest({**document, **members}, OCI_INDEX)

    def refer(self, subject: Descriptor, referrer: Descriptor) -> None:
        """Let the registry list `referrer` among the referrers of `subject`."""
        self._referrers.setdefault(Digest(subject["digest"]), []).append(referrer)

    def artifact(
        self,
        artifact_type: str,
        layers: Sequence[Descriptor],
        config: Descriptor | None = None,
        *,
        subject: Descriptor | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> Descriptor:
        """Add the manifest of an artifact, and list it among the referrers of `subject`.

        Without `config` it has the empty one (image-spec, "Guidelines for Artifact Usage").
        """
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": self.blob(b"{}", OCI_EMPTY) if config is None else config,
            "layers": list(layers),
        }
        if subject is not None:
            document["subject"] = subject
        noted = {} if annotations is None else {"annotations": dict(annotations)}
        added = self.manifest({**document, **noted})
        if subject is not None:
            self.refer(subject, {**added, "artifactType": artifact_type, **noted})
        return added

    def finish(self, root: Descriptor) -> OddImage:
        """Return the image whose tag leads to `root`."""
        return OddImage(
            root=Digest(root["digest"]),
            manifests=self._manifests,
            blobs=self._blobs,
            referrers=self._referrers,
            configs=frozenset(self._configs & self._blobs.keys()),
            positions={digest: tuple(places) for digest, places in self._positions.items()},
        )


def platform(architecture: str = "amd64", os: str = "linux", **members: str) -> dict[str, str]:
    """Return the platform of a descriptor in an index."""
    return {"architecture": architecture, "os": os, **members}


def to_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON in ASCII, without blanks."""
    return json.dumps(document, separators=(",", ":")).encode()


def pairs_to_json(pairs: Iterable[tuple[str, Any]]) -> bytes:
    """Return an object as JSON whose keys may occur several times."""
    members = (f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in pairs)
    return f"{{{','.join(members)}}}".encode()
