"""Layers whose descriptor in the manifest is odd."""

from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, Layer, to_json
from brokenreg.images.computed import digest_of, gzip_stored
from brokenreg.images.odd_image import Descriptor
from brokenreg.oci.mediatypes import DOCKER_LAYER, OCI_CONFIG, OCI_LAYER

_FOREIGN = {
    "oci": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "docker": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
}
_HUGE = 2**63 - 1


class LayerForeign(ImageKind):
    """The second layer is foreign: its descriptor has a URL at which nothing responds.

    The URL leads to port 1 of the client's own machine. The registry has the layer too, unless you set
    `blob-absent`.
    """

    name = "layer-foreign"
    clients = (
        "skopeo, podman, buildah, docker and oras pull it from the registry. ctr tries the URL alone: "
        "`connection refused`. With `blob-absent`, only skopeo copies it, to an OCI layout, without the "
        "layer."
    )
    sources = 'distribution#2795, containerd#7676, oras-go#319; image-spec, "layer.md"'
    example = "blob-absent"

    blob: Literal["present", "absent"] = Field("present", description="whether the registry has the layer")
    manifest: Literal["oci", "docker"] = Field("oci", description="format of the manifest")

    def make(self, draft: Draft) -> Descriptor:
        foreign = {
            "mediaType": _FOREIGN[self.manifest],
            "urls": [f"http://127.0.0.1:1/{draft.unique('foreign')}"],
        }
        if self.blob == "present":
            layer = draft.layer(label="foreign")
        else:
            tar = draft.tar(label="foreign")
            packed = gzip_stored(tar)
            layer = Layer({"digest": str(digest_of(packed)), "size": packed.size}, str(digest_of(tar)))
        first, second = draft.layer(), layer.claiming(**foreign)
        if self.manifest == "docker":
            return draft.docker_image([first.claiming(mediaType=DOCKER_LAYER), second])
        return draft.image([first, second])


class LayerSizeWrong(ImageKind):
    """The descriptor of the layer has a wrong size.

    `claim` says which: 1 byte too many, 1 byte too few, zero, -1, or the largest signed 64-bit number.
    """

    name = "layer-size"
    clients = (
        "skopeo, podman, buildah, docker and oras pull it, whatever the size. ctr does not: `failed size "
        "validation`, `unexpected EOF`, or `reports content size of zero`."
    )
    sources = (
        'image-spec, "descriptor.md": if the length differs from `size`, the content should not be trusted'
    )
    example = "claim-negative"

    claim: Literal["larger", "smaller", "zero", "negative", "huge"] = Field(
        "larger", description="what the descriptor says"
    )

    def make(self, draft: Draft) -> Descriptor:
        layer = draft.layer()
        size = layer.descriptor["size"]
        claims = {"larger": size + 1, "smaller": size - 1, "zero": 0, "negative": -1, "huge": _HUGE}
        return draft.image([layer.claiming(size=claims[self.claim])])


class LayerSha512(ImageKind):
    """The layer and the configuration have SHA-512 digests. This is valid."""

    name = "layer-sha512"
    clients = (
        "docker and oras pull it. skopeo, podman, buildah and ctr compare the digest with a SHA-256 "
        "digest, and fail."
    )
    sources = 'moby#48241, go-containerregistry#2427; image-spec, "descriptor.md", "Registered algorithms"'

    def make(self, draft: Draft) -> Descriptor:
        tar = draft.tar()
        layer = Layer(draft.blob(gzip_stored(tar), OCI_LAYER, algorithm="sha512"), str(digest_of(tar)))
        config = draft.blob(to_json(draft.config_document([layer])), OCI_CONFIG, algorithm="sha512")
        return draft.image([layer], config)
