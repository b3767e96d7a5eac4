"""Whiteouts: empty files that hide files of lower layers."""

from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.tarball import DIRECTORY, Entry

_FOLDER = Entry(b"folder/", kind=DIRECTORY, mode=0o755)
_LOWER = (
    _FOLDER,
    Entry(b"folder/file.txt", b"of the first layer\n"),
    Entry(b"folder/other.txt", b"of the first layer\n"),
)


class ContentWhiteoutAndFile(ImageKind):
    """The second layer has a file, and a whiteout of the same file.

    The whiteout hides the file of the first layer, not that of its own layer, whatever the order of the two
    entries. `order` says which is first.
    """

    name = "content-whiteout-and-file"
    clients = (
        "All pull it by default. With `order-file-first`, podman, buildah, docker and ctr fail if they "
        "store layers in overlayfs: `file exists`. If they store copies (vfs; native), podman, docker and "
        "ctr lose the file of the second layer."
    )
    sources = 'cvmfs#4286, kaniko#282; image-spec, "layer.md", "Whiteouts": they apply to lower layers only'
    example = "order-file-first"

    order: Literal["whiteout-first", "file-first"] = Field(
        "whiteout-first", description="the order in the archive"
    )

    def make(self, draft: Draft) -> Descriptor:
        whiteout = Entry(b"folder/.wh.file.txt")
        file = Entry(b"folder/file.txt", b"of the second layer\n")
        both = (whiteout, file) if self.order == "whiteout-first" else (file, whiteout)
        return draft.image([draft.layer(*_LOWER), draft.layer(_FOLDER, *both, label="2")])


class ContentWhiteoutOpaque(ImageKind):
    """The second layer hides all files of a folder with an opaque whiteout, and adds a file to the folder.

    This is valid. `order` says which of the two entries is first. The image has the new file in both cases.
    """

    name = "content-whiteout-opaque"
    clients = "All pull it. podman, docker and ctr have the new file in both cases."
    sources = 'image-spec, "layer.md", "Opaque Whiteout"'
    example = "order-file-first"

    order: Literal["whiteout-first", "file-first"] = Field(
        "whiteout-first", description="the order in the archive"
    )

    def make(self, draft: Draft) -> Descriptor:
        whiteout = Entry(b"folder/.wh..wh..opq")
        file = Entry(b"folder/new.txt", b"of the second layer\n")
        both = (whiteout, file) if self.order == "whiteout-first" else (file, whiteout)
        return draft.image([draft.layer(*_LOWER), draft.layer(_FOLDER, *both, label="2")])


class ContentWhiteoutBare(ImageKind):
    """The second layer has a file with the name `.wh.`, a whiteout without the name of a file."""

    name = "content-whiteout-bare"
    clients = (
        "skopeo, which does not unpack it, and oras pull it. podman, buildah and docker take it for a "
        "whiteout of the folder: `chtimes /folder: no such file or directory` with vfs, and `file exists` "
        "with overlayfs. ctr fails: `invalid whiteout name`."
    )
    sources = 'image-spec#1301; image-spec, "layer.md", "Whiteouts"'

    def make(self, draft: Draft) -> Descriptor:
        bare = Entry(b"folder/.wh.")
        return draft.image([draft.layer(*_LOWER), draft.layer(_FOLDER, bare, label="2")])
