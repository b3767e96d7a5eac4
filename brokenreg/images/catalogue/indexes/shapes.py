"""Indexes of odd shapes: empty, large, nested, cyclic, or without their media type."""

from typing import Any, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, platform
from brokenreg.images.odd_image import Descriptor
from brokenreg.oci.mediatypes import OCI_INDEX, OCI_MANIFEST

_INDEX = 'image-spec, "image-index.md"'


class IndexEmpty(ImageKind):
    """The image is an index without any manifest.

    `form` says how: `manifests` is an empty list (which is valid), null, or absent.
    """

    name = "index-empty"
    clients = (
        "skopeo, podman, buildah, docker and ctr do not pull it: `no image found in image index`, `no "
        "matching manifest for linux/amd64`. oras downloads nothing and reports success, as with "
        "every index."
    )
    sources = f"{_INDEX} allows it"
    example = "form-null"

    form: Literal["empty", "null", "absent"] = Field("empty", description="what the index has as `manifests`")

    def make(self, draft: Draft) -> Descriptor:
        forms: dict[str, dict[str, Any]] = {"empty": {"manifests": []}, "null": {"manifests": None}}
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, **forms.get(self.form, {})}
        return draft.manifest({**document, "annotations": {"brokenreg.image": draft.name}}, OCI_INDEX)


class IndexMany(ImageKind):
    """The index has very many manifests, each for a different platform. The last one is for amd64.

    The registry has all manifests. The others are for riscv64, each for a different variant.
    """

    name = "index-many"
    clients = "skopeo, podman, buildah, docker and ctr pull it. oras downloads nothing and reports success."
    sources = f"{_INDEX}; the specification has no limit"
    example = "count-3000"

    count: int = Field(1000, ge=2, le=5000, description="number of manifests in the index")

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        config = draft.config(layers, architecture="riscv64")
        others = [
            {
                **draft.image(layers, config, annotations={"brokenreg.number": str(number)}),
                "platform": platform("riscv64", variant=f"v{number}"),
            }
            for number in range(1, self.count)
        ]
        return draft.index([*others, {**draft.image(layers), "platform": platform()}])


class IndexNested(ImageKind):
    """The image is behind several indexes: each one except the last contains only another index.

    This is valid. In each index, the descriptor names the platform.
    """

    name = "index-nested"
    clients = (
        "ctr pulls it, even with `depth-1000`. skopeo, podman, buildah and docker do not: "
        "`Unexpectedly received a manifest list`, `unsupported manifest format`. oras downloads "
        "nothing and reports success."
    )
    sources = f"{_INDEX}: implementations should support nested indexes"
    example = "depth-10"

    depth: int = Field(2, ge=2, le=1000, description="number of indexes, including the outermost")

    def make(self, draft: Draft) -> Descriptor:
        inner = draft.plain_image()
        for _ in range(self.depth):
            inner = draft.index([{**inner, "platform": platform()}])
        return inner


class IndexCyclic(ImageKind):
    """The image has a referrer that leads back to it: an index that contains the image.

    The image itself is valid. A client can copy an image with its referrers, then the contents of these
    referrers with their own referrers, and so on. If it does not remember what it has copied, it never
    finishes.
    """

    name = "index-cyclic"
    clients = "All pull it. None of them requests the referrers."
    sources = f'{_INDEX}: `subject`; distribution-spec, "Listing Referrers"'

    def make(self, draft: Draft) -> Descriptor:
        image = draft.plain_image()
        index = draft.index(
            [{**image, "platform": platform()}], subject=image, artifactType="application/vnd.example.cycle"
        )
        draft.refer(image, {**index, "artifactType": "application/vnd.example.cycle"})
        return image


class IndexMediaType(ImageKind):
    """The index has no `mediaType`, or that of an image manifest.

    The Content-Type of the response is right. `form-absent` is valid.
    """

    name = "index-media-type"
    clients = (
        "skopeo, podman, buildah, docker and ctr pull it. With `form-manifest`, docker and ctr do "
        "not: `expected index but found manifest`. oras downloads nothing and reports success."
    )
    sources = f"regclient#436, spegel#172, jib#2819, rules_img#189; {_INDEX}: `mediaType`"
    example = "form-manifest"

    form: Literal["absent", "manifest"] = Field("absent", description="what the index has as `mediaType`")

    def make(self, draft: Draft) -> Descriptor:
        member = {} if self.form == "absent" else {"mediaType": OCI_MANIFEST}
        child = {**draft.plain_image(), "platform": platform()}
        return draft.manifest({"schemaVersion": 2, **member, "manifests": [child]}, OCI_INDEX)
