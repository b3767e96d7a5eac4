"""Layers whose gzip stream is odd. Their digests and sizes are right."""

from itertools import pairwise
from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, Layer
from brokenreg.images.computed import Joined, checksum_of, digest_of, gzip_stored
from brokenreg.images.image import Document
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.tarball import Entry
from brokenreg.images.unpacked import Content
from brokenreg.oci.mediatypes import OCI_LAYER

_DATA = 10_000
"""Bytes of the file in these layers."""


class _GzipKind(ImageKind):
    """An image with one layer, whose stream `pack` makes of a tar with a file of 10,000 bytes."""

    def make(self, draft: Draft) -> Descriptor:
        tar = draft.tar(Entry(b"data.bin", draft.random("data", _DATA)))
        layer = Layer(draft.blob(self.pack(draft, tar), OCI_LAYER), str(digest_of(tar)))
        return draft.image([layer])

    def pack(self, draft: Draft, tar: Content) -> Content:
        """Return the tar as the odd stream."""
        raise NotImplementedError


class LayerGzipTrailing(_GzipKind):
    """More bytes follow the gzip stream of the layer: zeros, or junk.

    The digest and the size of the layer include these bytes.
    """

    name = "layer-gzip-trailing"
    clients = (
        "skopeo, which does not unpack it, and oras pull it. podman, buildah, docker and ctr do not: `gzip: "
        "invalid header`."
    )
    sources = "umoci#358; RFC 1952, section 2.2: a gzip file consists only of members"
    example = "after-junk"

    after: Literal["zeros", "junk"] = Field("zeros", description="what follows the stream")
    size: int = Field(512, ge=1, le=65_536, description="number of bytes that follow the stream")

    def pack(self, draft: Draft, tar: Content) -> Content:
        more = bytes(self.size)
        if self.after == "junk":
            more = b"\xff" + draft.random("junk", self.size - 1).read(0, self.size - 1)
        return Joined((gzip_stored(tar), more))


class LayerGzipMembers(_GzipKind):
    """The layer is a gzip stream of several members, cut at arbitrary bytes of the tar.

    This is valid. Parallel compressors make such streams.
    """

    name = "layer-gzip-members"
    clients = "All pull it."
    sources = "RFC 1952, section 2.2"

    members: int = Field(3, ge=2, le=200, description="number of members")

    def pack(self, draft: Draft, tar: Content) -> Content:
        cuts = [tar.size * number // self.members for number in range(self.members + 1)]
        parts = (tar.read(begin, end - begin) for begin, end in pairwise(cuts))
        return Joined([gzip_stored(Document(part)) for part in parts])


class LayerGzipTruncated(_GzipKind):
    """The gzip stream of the layer is cut off.

    The digest and the size of the layer are those of the truncated stream, so only a client that unpacks the
    layer can notice. By default, half of a file is missing. With `missing-8`, only the checksum and the
    length are missing.
    """

    name = "layer-gzip-truncated"
    clients = (
        "skopeo pulls it, because it does not unpack it. podman, buildah, docker and ctr do not: "
        "`unexpected EOF`. oras does not either, but does not notice if only the last 500 bytes are "
        "missing."
    )
    sources = "RFC 1952, section 2.3"
    example = "missing-8"

    missing: int = Field(6000, ge=1, le=10_000, description="number of bytes that are missing at the end")

    def pack(self, draft: Draft, tar: Content) -> Content:
        packed = gzip_stored(tar)
        return Document(packed.read(0, packed.size - self.missing))


class LayerGzipChecksumWrong(_GzipKind):
    """The CRC-32 at the end of the gzip stream of the layer is wrong."""

    name = "layer-gzip-wrong-crc"
    clients = (
        "skopeo, which does not unpack it, and oras pull it. podman, buildah, docker and ctr do not: `gzip: "
        "invalid checksum`."
    )
    sources = "RFC 1952, section 2.3.1"

    def pack(self, draft: Draft, tar: Content) -> Content:
        return gzip_stored(tar, crc32=checksum_of(tar) ^ 0xFFFF_FFFF)
