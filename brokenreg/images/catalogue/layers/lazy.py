"""Layers with a table of contents, from which some clients read single files."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, Layer, to_json
from brokenreg.images.computed import digest_of, gzip_stored, zstd_stored
from brokenreg.images.framing import GzipFrame
from brokenreg.images.image import Document
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.tarball import END, Entry, parts_of
from brokenreg.images.unpacked import Content
from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import OCI_LAYER, OCI_LAYER_ZSTD

_TIME = "1970-01-01T00:00:00Z"
_DATA = 10_000
_SKIPPABLE = b"\x50\x2a\x4d\x18"
_CHUNKED = b"GNUlInUx"
_CHUNKED_KEYS = {"new": "io.github.containers.zstd-chunked", "old": "io.containers.zstd-chunked"}
_CRC64 = 0xD800_0000_0000_0000
"""The polynomial of ISO 3309, its highest power in the lowest bit."""

Pack = Callable[[Content], Content]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A file in a layer: the parts of its tar entry, and where its packed content begins and ends."""

    entry: Entry
    head: bytes
    data: bytes
    padding: bytes
    offset: int
    end: int


class _Pieces:
    """A tar whose headers and contents are compressed separately. `padding` waits for the next header."""

    def __init__(self, entries: Sequence[Entry], pack: Pack) -> None:
        self.packed, self.tar, self.padding = b"", b"", b""
        self.pieces: list[_Piece] = []
        self._pack = pack
        for entry in entries:
            head, data, padding = (_bytes(part) for part in parts_of(entry))
            self.add(self.padding + head)
            offset = len(self.packed)
            self.add(data)
            self.padding = padding
            self.pieces.append(_Piece(entry, head, data, padding, offset, len(self.packed)))

    def add(self, part: bytes) -> None:
        """Add a part of the tar, in a frame or member of its own."""
        self.tar += part
        self.packed += _bytes(self._pack(Document(part)))


class LayerEstargz(ImageKind):
    """The layer is in the eStargz format: each file is a gzip member, with a table of contents.

    This is a valid gzip layer. The table is the last file. Its offset is in the extra field of the last gzip
    member, which has no content.
    """

    name = "layer-estargz"
    clients = "All pull it. podman reads single files of it if partial images are enabled."
    sources = "stargz-snapshotter, docs/estargz.md"

    def make(self, draft: Draft) -> Descriptor:
        files = (draft.fresh(), Entry(b"data.bin", draft.random("data", _DATA)))
        layer = _Pieces((*files, Entry(b".no.prefetch.landmark", b"\x0f")), gzip_stored)
        toc = to_json({"version": 1, "entries": [_estargz_entry(each) for each in layer.pieces]})
        layer.add(layer.padding)
        footer = _estargz_footer(len(layer.packed))
        head, _, padding = (_bytes(part) for part in parts_of(Entry(b"stargz.index.json", toc, mode=0o444)))
        layer.add(head + toc + padding + END)
        descriptor = draft.blob(layer.packed + footer, OCI_LAYER)
        found = Layer(descriptor, str(digest_of(Document(layer.tar))))
        annotations = {
            "containerd.io/snapshot/stargz/toc.digest": str(Digest.of(toc)),
            "io.containers.estargz.uncompressed-size": str(len(layer.tar)),
        }
        return draft.image([found.claiming(annotations=annotations)])


class LayerZstdChunked(ImageKind):
    """The layer is in the zstd:chunked format: each file is a zstd frame, with a table of contents.

    This is a valid zstd layer. At its end are frames that decompressors skip. They contain the table, the
    data from which the tar can be restored (tar-split), and a footer. Annotations of the layer say where
    these parts are. With `keys-old`, the annotations have the names that podman knew until 2023.
    """

    name = "layer-zstd-chunked"
    clients = (
        "skopeo, podman, buildah, ctr and oras pull it. podman 4.3 reads single files of it if partial "
        "images are enabled, but only with `keys-old`. docker 20.10 does not pull it: `invalid tar header`."
    )
    sources = "containers/storage, pkg/chunked/internal/minimal/compression.go"
    example = "keys-old"

    keys: Literal["new", "old"] = Field("new", description="names of the annotations")

    def make(self, draft: Draft) -> Descriptor:
        files = (draft.fresh(), Entry(b"data.bin", draft.random("data", _DATA)))
        layer = _Pieces(files, zstd_stored)
        layer.add(layer.padding + END)
        split = _tar_split(layer.pieces)
        packed_split = _bytes(zstd_stored(Document(split)))
        entries = [_chunked_entry(each) for each in layer.pieces]
        toc = to_json({"version": 1, "entries": entries, "tarSplitDigest": str(Digest.of(packed_split))})
        packed_toc = _bytes(zstd_stored(Document(toc)))
        toc_place = (len(layer.packed) + 8, len(packed_toc), len(toc))
        split_place = (toc_place[0] + len(packed_toc) + 8, len(packed_split), len(split))
        footer = struct.pack("<7Q8s", *toc_place, 1, *split_place, _CHUNKED)
        blob = layer.packed + _skippable(packed_toc) + _skippable(packed_split) + _skippable(footer)
        found = Layer(draft.blob(blob, OCI_LAYER_ZSTD), str(digest_of(Document(layer.tar))))
        key = _CHUNKED_KEYS[self.keys]
        annotations = {
            f"{key}.manifest-checksum": str(Digest.of(packed_toc)),
            f"{key}.manifest-position": ":".join(map(str, (*toc_place, 1))),
            f"{key}.tarsplit-position": ":".join(map(str, split_place)),
        }
        return draft.image([found.claiming(annotations=annotations)])


def _estargz_entry(piece: _Piece) -> dict[str, Any]:
    digest = str(Digest.of(piece.data))
    return {
        **_toc_entry(piece),
        "mode": 0o100_000 | piece.entry.mode,
        "digest": digest,
        "chunkDigest": digest,
    }


def _chunked_entry(piece: _Piece) -> dict[str, Any]:
    digest = str(Digest.of(piece.data))
    return {**_toc_entry(piece), "mode": piece.entry.mode, "digest": digest, "endOffset": piece.end}


def _toc_entry(piece: _Piece) -> dict[str, Any]:
    """Return the members that both formats have."""
    return {
        "type": "reg",
        "name": piece.entry.name.decode(),
        "size": len(piece.data),
        "uid": 0,
        "gid": 0,
        "modtime": _TIME,
        "offset": piece.offset,
    }


def _estargz_footer(offset: int) -> bytes:
    """Return an empty gzip member with the offset of the table of contents in its extra field."""
    extra = b"%016xSTARGZ" % offset
    subfield = b"SG" + struct.pack("<H", len(extra)) + extra
    head = GzipFrame.HEADER[:3] + b"\x04" + GzipFrame.HEADER[4:]  # with an extra field
    return head + struct.pack("<H", len(subfield)) + subfield + struct.pack("<BHH", 1, 0, 0xFFFF) + bytes(8)


def _tar_split(pieces: Sequence[_Piece]) -> bytes:
    """Return the headers and the padding of a tar, and the checksums of its files, as JSON lines."""
    lines: list[dict[str, Any]] = []
    before = b""
    for piece in pieces:
        lines.append({"type": 2, "payload": _base64(before + piece.head), "position": len(lines)})
        checksum = _base64(crc64(piece.data).to_bytes(8, "big"))
        name, size = piece.entry.name.decode(), len(piece.data)
        lines.append({"type": 1, "name": name, "size": size, "payload": checksum, "position": len(lines)})
        before = piece.padding
    lines.append({"type": 2, "payload": _base64(before + END), "position": len(lines)})
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


def crc64(data: bytes) -> int:
    """Return the CRC-64 that tar-split stores for a file."""
    checksum = 2**64 - 1
    for byte in data:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum >> 1 ^ (_CRC64 if checksum & 1 else 0)
    return checksum ^ 2**64 - 1


def _skippable(data: bytes) -> bytes:
    return _SKIPPABLE + struct.pack("<I", len(data)) + data


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(content: Content | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.read(0, content.size)
