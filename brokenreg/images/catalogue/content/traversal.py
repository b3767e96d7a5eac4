"""Files whose paths lead out of the layer."""

from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.tarball import SYMLINK, Entry

_UP = b"../" * 20


class ContentTraversal(ImageKind):
    """A file in the layer has a path that leads out of the folder into which a client unpacks the layer.

    `through` says how: the name of the file has `../` 20 times, its name is absolute, or an entry before the
    file is a symbolic link to `/tmp`. A client that follows the path creates the harmless file
    `/tmp/brokenreg-escaped-<digits>`.
    """

    name = "content-traversal"
    clients = (
        "With `through-symlink`, oras 0.2 (Python) writes the file to `/tmp`, ctr puts it into the image's "
        "own `/tmp`, and podman, buildah and docker fail: `no such file or directory`. Otherwise oras "
        "fails: `Attempted Path Traversal in Tar File`, and podman, buildah, docker and ctr put the file "
        "into the image's own `/tmp`. skopeo pulls it in every case, because it does not unpack it."
    )
    sources = "CVE-2014-6407 and CVE-2014-9356 (docker), CVE-2007-4559 (Python's tarfile)"
    example = "through-symlink"

    through: Literal["parent", "absolute", "symlink"] = Field("parent", description="how the path leads out")

    def make(self, draft: Draft) -> Descriptor:
        name = b"brokenreg-escaped-" + draft.unique("escaped").encode()
        before = () if self.through != "symlink" else (Entry(b"link", kind=SYMLINK, link=b"/tmp"),)
        folder = {"parent": _UP + b"tmp/", "absolute": b"/tmp/", "symlink": b"link/"}[self.through]
        return draft.image([draft.layer(*before, Entry(folder + name, b"This file left its layer.\n"))])
