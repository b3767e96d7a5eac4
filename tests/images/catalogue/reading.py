"""Reads odd images as a client would, with libraries that are not ours."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import zstandard

from brokenreg.images.catalogue.tags import kind_of
from brokenreg.images.odd_image import OddImage

MOST = 64 * 1024 * 1024
"""Maximum number of bytes of a blob that a test reads into memory."""


@dataclass(frozen=True)
class Reader:
    """An image, by tag."""

    image: OddImage

    @property
    def root(self) -> Any:
        """The document to which the tag leads, as JSON."""
        return self.manifest(self.image.root)

    def manifest(self, digest: str) -> Any:
        """Return a manifest or index as JSON."""
        return json.loads(self.manifest_bytes(digest))

    def manifest_bytes(self, digest: str) -> bytes:
        return next(each.manifest for key, each in self.image.manifests.items() if key == digest)

    def media_type(self, digest: str) -> str:
        """Return the Content-Type with which a manifest is served."""
        return next(each.media_type for key, each in self.image.manifests.items() if key == digest)

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        """Return the bytes of a blob after a check of its digest."""
        content = next(each for key, each in self.image.blobs.items() if key == descriptor["digest"])
        assert content.size <= MOST
        data = content.read(0, content.size)
        algorithm, _, encoded = descriptor["digest"].partition(":")
        assert hashlib.new(algorithm, data).hexdigest() == encoded
        return data

    @property
    def config(self) -> Any:
        """The configuration of the image to which the tag leads, as JSON."""
        return json.loads(self.blob(self.root["config"]))

    def layers(self) -> list[bytes]:
        """Return the layers of the image to which the tag leads, as they are downloaded."""
        return [self.blob(each) for each in self.root["layers"]]

    def tars(self) -> list[bytes]:
        """Return the same layers, unpacked as their first bytes say."""
        return [unpacked(each) for each in self.layers()]


def read(tag: str) -> Reader:
    """Return the image of a tag of `broken/image`."""
    return Reader(image_of(tag))


@lru_cache(256)
def image_of(tag: str) -> OddImage:
    """Make the image of a tag once, because some take seconds."""
    return kind_of(tag).image()


def unpacked(data: bytes) -> bytes:
    """Return the tar in a layer: plain, with gzip, or with zstd."""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            return reader.read()
    return data


def members(tar: bytes) -> list[tarfile.TarInfo]:
    """Return the entries of a tar."""
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        return archive.getmembers()


def without_fresh(tar: bytes) -> list[tarfile.TarInfo]:
    """Return the entries of a tar except the one that makes it unique to its image."""
    return [each for each in members(tar) if not each.name.startswith("fresh-")]


def diff_id(tar: bytes) -> str:
    return f"sha256:{hashlib.sha256(tar).hexdigest()}"
