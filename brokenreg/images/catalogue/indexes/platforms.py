"""Indexes whose platforms are odd."""

from typing import Any, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, platform, to_json
from brokenreg.images.odd_image import Descriptor

_PLATFORM = 'image-spec, "image-index.md": `platform`'
_IN_TOTO = "application/vnd.in-toto+json"


class IndexPlatform(ImageKind):
    """The index does not say for which platform its manifest is.

    `form` selects what the descriptor has as `platform`: nothing (which is valid), null, an empty object,
    an object with empty strings, or `unknown/unknown`.
    """

    name = "index-platform"
    clients = (
        "skopeo, podman, buildah and ctr pull it. docker does not: `no matching manifest for "
        "linux/amd64`. The same is true of `form-null`. With the other forms, none of them pulls it. "
        "oras downloads nothing and reports success."
    )
    sources = f"containers/image#898; {_PLATFORM} is optional"
    example = "form-unknown"

    form: Literal["absent", "null", "empty", "empty-texts", "unknown"] = Field(
        "absent", description="what the descriptor has as `platform`"
    )

    def make(self, draft: Draft) -> Descriptor:
        forms: dict[str, dict[str, Any]] = {
            "null": {"platform": None},
            "empty": {"platform": {}},
            "empty-texts": {"platform": platform("", "")},
            "unknown": {"platform": platform("unknown", "unknown")},
        }
        return draft.index([{**draft.plain_image(), **forms.get(self.form, {})}])


class IndexOtherPlatform(ImageKind):
    """The index has no manifest for the platform of most clients, only for another one. This is valid."""

    name = "index-other-platform"
    clients = (
        "skopeo, podman, buildah, docker and ctr do not pull it on linux/amd64: `no image found in "
        "image index`, `no matching manifest for linux/amd64`. oras downloads nothing and reports "
        "success."
    )
    sources = _PLATFORM
    example = "architecture-arm64"

    architecture: Literal["s390x", "arm64", "amd64"] = Field("s390x", description="the architecture")
    os: Literal["linux", "windows", "darwin"] = Field("linux", description="the operating system")

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        config = draft.config(layers, architecture=self.architecture, os=self.os)
        return draft.index(
            [{**draft.image(layers, config), "platform": platform(self.architecture, self.os)}]
        )


class IndexVariants(ImageKind):
    """The index has several manifests for amd64 that differ in the variant. This is valid.

    By default, they are for the variants v4, v3, v2 and v1, in this order. With `form-ascending`, the order
    is reversed. A program for v4 does not run on most machines. With `form-twice`, there are two manifests
    without any variant.
    """

    name = "index-variants"
    clients = (
        "docker and ctr pull the image for v1, in both orders. skopeo, podman and buildah do not pull "
        'it: `no image found in image index for architecture amd64, variant ""`. With `form-twice`, '
        "skopeo, podman, buildah and docker pull the first one, and ctr both. oras downloads nothing "
        "and reports success."
    )
    sources = f"{_PLATFORM}; Go, `GOAMD64`"
    example = "form-ascending"

    form: Literal["descending", "ascending", "twice"] = Field(
        "descending", description="the variants and their order"
    )

    def make(self, draft: Draft) -> Descriptor:
        forms = {"descending": (4, 3, 2, 1), "ascending": (1, 2, 3, 4), "twice": (None, None)}
        children = []
        for place, level in enumerate(forms[self.form]):
            members = {} if level is None else {"variant": f"v{level}"}
            layers = [draft.layer(label=f"{place}")]
            image = draft.image(layers, draft.config(layers, **members))
            children.append({**image, "platform": platform(**members)})
        return draft.index(children)


class IndexAttestation(ImageKind):
    """The index has, besides the image, an attestation for the platform `unknown/unknown`. This is valid.

    BuildKit adds an attestation to each image by default. With `order-only`, the index has only the
    attestation.
    """

    name = "index-attestation"
    clients = (
        "skopeo, podman, buildah, docker and ctr pull it. They do not pull `order-only`: `no matching "
        "manifest for linux/amd64`. oras downloads nothing and reports success."
    )
    sources = f"BuildKit, docs/attestations/attestation-storage.md; {_PLATFORM}"
    example = "order-first"

    order: Literal["last", "first", "only"] = Field("last", description="the position of the attestation")

    def make(self, draft: Draft) -> Descriptor:
        image = {**draft.plain_image(), "platform": platform()}
        attestation = {**_attestation(draft, image["digest"]), "platform": platform("unknown", "unknown")}
        orders = {"last": [image, attestation], "first": [attestation, image], "only": [attestation]}
        return draft.index(orders[self.order])


def _attestation(draft: Draft, subject: str) -> Descriptor:
    """Add the attestation of a manifest as BuildKit does, and return its descriptor."""
    algorithm, _, encoded = subject.partition(":")
    statement = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{"name": f"pkg:docker/broken/image@{draft.name}", "digest": {algorithm: encoded}}],
        "predicate": {"builder": {"id": ""}, "buildType": "https://mobyproject.org/buildkit@v1"},
    }
    layer = draft.blob(to_json(statement), _IN_TOTO)
    config = draft.config(
        [], architecture="unknown", os="unknown", rootfs={"type": "layers", "diff_ids": [layer["digest"]]}
    )
    noted = {**layer, "annotations": {"in-toto.io/predicate-type": statement["predicateType"]}}
    return {
        **draft.manifest({**draft.image_document([], config), "layers": [noted]}),
        "annotations": {
            "vnd.docker.reference.digest": subject,
            "vnd.docker.reference.type": "attestation-manifest",
        },
    }
