"""Files with odd names."""

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.tarball import Entry

_PART = 200
"""Bytes of each folder in a long path; Linux allows 255."""


class ContentNameLong(ImageKind):
    """A file in the layer has a very long path, through folders whose names have 200 bytes each.

    Linux allows 4,095 bytes for a path in a system call. The path is in a pax header.
    """

    name = "content-name-long"
    clients = (
        "skopeo pulls it, because it does not unpack it. podman, buildah, docker, ctr and oras do not: "
        "`file name too long`. podman, buildah, docker and ctr pull `size-3500`."
    )
    sources = 'POSIX.1-2024, "pax", `path`; Linux, PATH_MAX'
    example = "size-3500"

    size: int = Field(4096, ge=300, le=50_000, description="length of the path in bytes")

    def make(self, draft: Draft) -> Descriptor:
        folders = b"/".join([b"a" * _PART] * (self.size // (_PART + 1)))
        rest = self.size - len(folders)
        path = folders + b"/" + b"b" * (rest - 1) if rest > 1 else folders[: self.size - 2] + b"/b"
        return draft.image([draft.layer(Entry(path, b"far away\n"))])


class ContentNameTwice(ImageKind):
    """The layer has two files with the same name. The second one replaces the first."""

    name = "content-name-twice"
    clients = (
        "skopeo, ctr and oras pull it, and ctr keeps the second file. podman, buildah and docker do not: "
        "`duplicates of file paths not supported`."
    )
    sources = 'image-spec, "layer.md", "Distributable Format": there must not be duplicate entries'

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer(Entry(b"file.txt", b"first\n"), Entry(b"file.txt", b"second\n"))])


class ContentNameControl(ImageKind):
    """Files in the layer have names with control characters.

    One name clears the screen of a terminal that interprets it, one has a line break, and one changes the
    direction of the text.
    """

    name = "content-name-control"
    clients = "All pull it."
    sources = 'image-spec, "layer.md" says nothing about characters in names'

    def make(self, draft: Draft) -> Descriptor:
        names = ("clear-\x1b[2J.txt", "line-\n.txt", "turned-\u202egpj.exe")
        return draft.image([draft.layer(*(Entry(name.encode(), b"content\n") for name in names))])


class ContentNameNotUtf8(ImageKind):
    """Files in the layer have names that are not UTF-8: Latin-1, a lone surrogate, and a byte 0xFF.

    Linux file systems allow such names.
    """

    name = "content-name-not-utf8"
    clients = "All pull it."
    sources = 'image-spec, "layer.md" says nothing about the encoding of names'

    def make(self, draft: Draft) -> Descriptor:
        names = (b"caf\xe9.txt", b"surrogate-\xed\xa0\x80.txt", b"byte-\xff.txt")
        return draft.image([draft.layer(*(Entry(name, b"content\n") for name in names))])


class ContentNameCase(ImageKind):
    """Files in the layer have names that differ only in the case of letters.

    On file systems that ignore case, as on macOS and Windows, each of them overwrites the one before.
    """

    name = "content-name-case"
    clients = "All pull it, and on a case-sensitive file system, they have all files."
    sources = 'image-spec, "layer.md" says nothing about case'

    def make(self, draft: Draft) -> Descriptor:
        names = (b"README", b"Readme", b"readme")
        return draft.image([draft.layer(*(Entry(name, b"I am " + name + b"\n") for name in names))])
