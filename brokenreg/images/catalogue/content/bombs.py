"""Layers that need much more space, memory or time unpacked than packed."""

from typing import Annotated

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, Layer
from brokenreg.images.catalogue.parameters import Size, between
from brokenreg.images.computed import Joined, Repeated, digest_of
from brokenreg.images.numbered_files import NumberedFiles
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.runs import Run
from brokenreg.images.tarball import END, PAX_HEADER, RECORD, Entry, header, parts_of, pax_prefix
from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import OCI_LAYER, OCI_LAYER_TAR, OCI_LAYER_ZSTD

_GIB = 1024**3
_MOST_HASHED = 256 * 1024**2
"""Maximum number of bytes of a file for which the diff_id is computed."""


class ContentBomb(ImageKind):
    """The layer is a zstd bomb: a file of 1 TiB of zeros in 32 MiB.

    Limit the disk space of your client before you pull it. Up to a `size` of 256 MiB, the image is valid. For
    a larger file the diff_id is wrong, because it would take minutes to compute. A client can notice that
    only after it has unpacked everything.
    """

    name = "content-bomb"
    clients = (
        "podman, buildah and ctr were still unpacking it after 20 s. docker 20.10 does not know zstd: "
        "`invalid tar header`. skopeo and oras pull it, because they do not unpack it. With `size-300mib`, "
        "podman and buildah accept the wrong diff_id. ctr does not."
    )
    sources = "RFC 8878, section 3.1.1.2: 4 bytes stand for 128 KiB"
    example = "size-200mib"

    size: Annotated[Size, between(0, 8 * 1024 * _GIB)] = Field(
        1024 * _GIB, description="size of the file in bytes, 0 to 8TiB"
    )

    def make(self, draft: Draft) -> Descriptor:
        run = _zeros(draft, self.size)
        return draft.image([Layer(draft.blob(run.zstd(), OCI_LAYER_ZSTD), _diff_id(run))])


class ContentGzipBomb(ImageKind):
    """The layer is a gzip bomb: a file of zeros, packed at deflate's limit of about 1,032 to 1.

    Limit the disk space of your client before you pull it. Up to a `size` of 256 MiB, the image is valid. For
    a larger file the diff_id is wrong, because it would take too long to compute. A client can notice that
    only after it has unpacked everything.
    """

    name = "content-gzip-bomb"
    clients = (
        "podman, buildah, docker, ctr and oras were still unpacking it after 20 s, or had filled a small "
        "disk: `no space left on device`. skopeo pulls it, because it does not unpack it. With "
        "`size-300mib`, podman, buildah and oras accept the wrong diff_id. docker and ctr do not."
    )
    sources = "RFC 1951, section 3.2.5: 2 bits stand for 258 bytes"
    example = "size-200mib"

    size: Annotated[Size, between(0, 512 * _GIB)] = Field(
        64 * _GIB, description="size of the file in bytes, 0 to 512GiB"
    )

    def make(self, draft: Draft) -> Descriptor:
        run = _zeros(draft, self.size)
        return draft.image([Layer(draft.blob(run.gzip(), OCI_LAYER), _diff_id(run))])


class ContentManyFiles(ImageKind):
    """The layer has a million empty files in one folder.

    It is a plain tar of 512 bytes for each file, 488 MiB by default.
    """

    name = "content-many-files"
    clients = (
        "skopeo and oras pull it. podman, docker and ctr were still unpacking it after 20 s. All pull "
        "`files-20000`, in 1 to 4 s."
    )
    sources = "no specification limits the number of files"
    example = "files-10000"

    files: int = Field(1_000_000, ge=1, le=2_000_000, description="number of files")

    def make(self, draft: Draft) -> Descriptor:
        files = NumberedFiles(b"files-" + draft.unique("files").encode(), self.files)
        return draft.image([draft.packed_layer(Joined((files, END)), OCI_LAYER_TAR)])


class ContentSparse(ImageKind):
    """The layer has a sparse file: a file of 1 GiB of which only 512 bytes are in the archive.

    It is in GNU tar's format for sparse files, version 1.0. Clients that know the format create the whole
    file, and may write all of it. Others see a small file.
    """

    name = "content-sparse"
    clients = "All pull it. podman, docker and ctr write all zeros to disk, so the file is no longer sparse."
    sources = (
        'GNU tar manual, "Storing Sparse Files"; image-spec, "layer.md": sparse files should not be used'
    )
    example = "size-100mib"

    size: Annotated[Size, between(1024, 1024 * _GIB)] = Field(
        _GIB, description="size of the file in bytes, 1KiB to 1TiB"
    )

    def make(self, draft: Draft) -> Descriptor:
        data = draft.random("data", RECORD).read(0, RECORD)
        pieces = b"2\n0\n%d\n%d\n0\n" % (RECORD, self.size)
        sparse = {"major": b"1", "minor": b"0", "name": b"sparse.bin", "realsize": b"%d" % self.size}
        pax = {f"GNU.sparse.{key}": value for key, value in sparse.items()}
        content = pieces.ljust(RECORD, b"\0") + data
        return draft.image([draft.layer(Entry(b"GNUSparseFile.0/sparse.bin", content, pax=pax))])


class ContentPaxBomb(ImageKind):
    """The layer has a pax header of 64 MiB: one comment, compressed to 64 KiB.

    Clients that read such headers into memory need at least that much memory.
    """

    name = "content-pax-bomb"
    clients = (
        "skopeo, which does not unpack it, and oras pull it. podman, buildah, docker and ctr do not: "
        "`archive/tar: header field too long`. They pull `size-500kib`."
    )
    sources = 'CVE-2022-2879 (Go); POSIX.1-2024, "pax Extended Header": no limit'
    example = "size-2mib"

    size: Annotated[Size, between(1, _MOST_HASHED)] = Field(
        64 * 1024**2, description="size of the comment in bytes, 1 to 256MiB"
    )

    def make(self, draft: Draft) -> Descriptor:
        prefix = pax_prefix("comment", self.size)
        size = len(prefix) + self.size + 1
        head = _bytes(Joined([*parts_of(draft.fresh()), header(PAX_HEADER, size), prefix]))
        tail = (
            b"\n" + bytes(-size % RECORD) + _bytes(Joined([*parts_of(Entry(b"file.txt", b"content\n")), END]))
        )
        run = Run(head, ord("x"), self.size, tail)
        return draft.image([Layer(draft.blob(run.gzip(), OCI_LAYER), _diff_id(run))])


def _zeros(draft: Draft, size: int) -> Run:
    """Return a tar with a file of zeros. All that follows its header is zeros, too."""
    *headers, _, padding = parts_of(Entry(b"zeros.bin", Repeated(b"\0", size)))
    head = _bytes(Joined([*parts_of(draft.fresh()), *headers]))
    return Run(head, 0, size + len(_bytes(Joined([padding]))) + len(END))


def _diff_id(run: Run) -> str:
    if run.count > _MOST_HASHED + RECORD + len(END):
        return str(Digest.of(b"not computed: " + run.head))
    return str(digest_of(run.unpacked))


def _bytes(content: Joined) -> bytes:
    return content.read(0, content.size)
