"""Files whose paths lead out of the layer."""

from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.tarball import SYMLINK, Entry

_UP = b"../" * 20


class ContentTraversal(ImageKind):
    """A file in the layer has a path that leads out of the folder into which a client unpacks it.

    `through` says how: its name has `../` 20 times, its name is absolute, or an entry before it is a symbolic
    link to `/tmp`. If a client follows it, it creates the harmless file `/tmp/brokenreg-escaped-<digits>`.
    """

    name = "content-traversal"
    clients = (
        "oras writes the file to `/tmp` with `through-symlink`, and otherwise fails: `Attempted Path "
        "Traversal in Tar File`. podman, buildah and docker fail with `through-symlink`: `no such file or "
        "directory`. Otherwise they, and ctr always, put the file into the image. skopeo does not unpack "
        "it."
    )
    sources = 'CVE-2018-15664, CVE-2019-14271; image-spec, "layer.md"'
    example = "through-symlink"

    through: Literal["parent", "absolute", "symlink"] = Field("parent", description="how the path leads out")

    def make(self, draft: Draft) -> Descriptor:
        name = b"brokenreg-escaped-" + draft.unique("escaped").encode()
        before = () if self.through != "symlink" else (Entry(b"link", kind=SYMLINK, link=b"/tmp"),)
        folder = {"parent": _UP + b"tmp/", "absolute": b"/tmp/", "symlink": b"link/"}[self.through]
        return draft.image([draft.layer(*before, Entry(folder + name, b"This file left its layer.\n"))])
