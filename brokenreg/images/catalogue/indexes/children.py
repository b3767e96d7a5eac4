"""Indexes whose descriptors do not fit the manifests to which they lead."""

from typing import Any, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, platform
from brokenreg.images.odd_image import Descriptor
from brokenreg.oci.mediatypes import DOCKER_LAYER, DOCKER_LIST, OCI_INDEX

_HUGE = 2**63 - 1


class IndexMissingChild(ImageKind):
    """The index names a manifest that the registry does not have.

    With `platform-other`, the missing manifest is for `s390x`, and the one for amd64 is present, so most
    clients do not need the missing one. Clients that copy all platforms need it.
    """

    name = "index-missing-child"
    clients = (
        "skopeo, podman, buildah, docker and ctr do not pull it: 404. They pull `platform-other`. "
        "oras downloads nothing and reports success."
    )
    sources = 'distribution-spec, "Deleting Manifests": a manifest that an index names can be deleted'
    example = "platform-other"

    platform: Literal["amd64", "other"] = Field("amd64", description="the platform whose manifest is missing")

    def make(self, draft: Draft) -> Descriptor:
        missing = draft.absent_manifest()
        if self.platform == "amd64":
            return draft.index([{**missing, "platform": platform()}])
        present = {**draft.plain_image(), "platform": platform()}
        return draft.index([{**missing, "platform": platform("s390x")}, present])


class IndexChildSize(ImageKind):
    """The index has a wrong size for its manifest.

    `claim` says which: 1 byte too many, 1 byte too few, zero, -1, or the largest signed 64-bit number.
    """

    name = "index-child-size"
    clients = (
        "skopeo, podman, buildah and docker pull it, whatever the size. ctr does not: `unexpected "
        "EOF`, `failed size validation`, `reports content size of zero`. oras downloads nothing and "
        "reports success."
    )
    sources = (
        'image-spec, "descriptor.md": if the length differs from `size`, the content should not be trusted'
    )
    example = "claim-zero"

    claim: Literal["larger", "smaller", "zero", "negative", "huge"] = Field(
        "larger", description="what the index says"
    )

    def make(self, draft: Draft) -> Descriptor:
        child = draft.plain_image()
        size = child["size"]
        claims = {"larger": size + 1, "smaller": size - 1, "zero": 0, "negative": -1, "huge": _HUGE}
        return draft.index([{**child, "size": claims[self.claim], "platform": platform()}])


class IndexChildUnknown(ImageKind):
    """The index has, besides the image, a manifest of a type that no client knows.

    By default, the unknown manifest comes first. It claims to be for amd64 too. Clients must ignore it.
    """

    name = "index-child-unknown"
    clients = (
        "skopeo, podman, buildah, docker and ctr do not pull it: `unsupported schema version 0`, "
        "`missing signature key`, `not found`. With `order-last`, only ctr does not pull it. oras downloads "
        "nothing and reports success."
    )
    sources = 'image-spec, "image-index.md": unknown media types must be ignored'
    example = "order-last"

    order: Literal["first", "last"] = Field("first", description="the position of the unknown manifest")

    def make(self, draft: Draft) -> Descriptor:
        unknown = draft.manifest({"unknown": draft.unique()}, "application/vnd.example.unknown.v1+json")
        children = [unknown, draft.plain_image()]
        ordered = children if self.order == "first" else children[::-1]
        return draft.index([{**each, "platform": platform()} for each in ordered])


class IndexMixedTypes(ImageKind):
    """The index is in OCI's format and its image in Docker's, or the reverse.

    By default, a Docker manifest list contains an OCI manifest. With `outer-oci`, an OCI index contains a
    Docker manifest.
    """

    name = "index-mixed-types"
    clients = (
        "skopeo, podman, buildah, docker and ctr pull it, in both forms. oras downloads nothing and "
        "reports success."
    )
    sources = 'image-spec, "image-index.md" and "media-types.md", "Compatibility Matrix"'
    example = "outer-oci"

    outer: Literal["docker", "oci"] = Field("docker", description="the type of the index")

    def make(self, draft: Draft) -> Descriptor:
        if self.outer == "docker":
            child = {**draft.plain_image(), "platform": platform()}
            return draft.manifest(_list(DOCKER_LIST, child), DOCKER_LIST)
        image = draft.docker_image([draft.layer(media_type=DOCKER_LAYER)])
        return draft.manifest(_list(OCI_INDEX, {**image, "platform": platform()}), OCI_INDEX)


def _list(media_type: str, child: Descriptor) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": media_type, "manifests": [child]}
