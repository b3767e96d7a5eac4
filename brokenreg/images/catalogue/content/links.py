"""Hard links with odd targets."""

from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.tarball import HARD_LINK, Entry


class ContentHardLink(ImageKind):
    """The second layer has a hard link to a file that is not in this layer.

    `to` selects its target: a file in the first layer, a file that no layer has, or the link itself.
    """

    name = "content-hardlink"
    clients = (
        "With `to-lower`, podman, buildah, docker and ctr fail if they store layers in overlayfs: `no such "
        "file or directory`. If they store copies (vfs; native), they pull it, and so does oras. With "
        "`to-missing` and `to-itself`, all of these fail. skopeo pulls it in every case, because it does not "
        "unpack it."
    )
    sources = 'cvmfs#4286, kaniko#282; image-spec, "layer.md", "Hardlinks": such a link may fail to extract'
    example = "to-missing"

    to: Literal["lower", "missing", "itself"] = Field("lower", description="the target of the link")

    def make(self, draft: Draft) -> Descriptor:
        target = {"lower": b"target.txt", "missing": b"missing.txt", "itself": b"link.txt"}[self.to]
        lower = draft.layer(Entry(b"target.txt", b"the file in the first layer\n"))
        return draft.image([lower, draft.layer(Entry(b"link.txt", kind=HARD_LINK, link=target), label="2")])
