"""Artifacts whose types no client knows."""

from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, Layer
from brokenreg.images.odd_image import Descriptor
from brokenreg.oci.mediatypes import OCI_EMPTY

_EXAMPLE = "application/vnd.example"
_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json"
_GUIDELINES = 'image-spec, "manifest.md", "Guidelines for Artifact Usage"'
_FILE_SIZE = 100


class ArtifactEmptyConfig(ImageKind):
    """The artifact has the empty configuration, `{}`, and an `artifactType`. This is valid.

    It has one file as its layer. With `layer-empty`, the layer is the empty configuration as well, because a
    manifest should have at least one layer.
    """

    name = "artifact-empty-config"
    clients = (
        "skopeo and oras pull it. podman, buildah, docker and ctr do not: `unsupported media type`, "
        "`mismatched image rootfs and manifest layers`."
    )
    sources = f"containers/image#2279; {_GUIDELINES}"
    example = "layer-empty"

    layer: Literal["file", "empty"] = Field("file", description="what the layer is")

    def make(self, draft: Draft) -> Descriptor:
        layer = _file(draft) if self.layer == "file" else draft.blob(b"{}", OCI_EMPTY)
        return draft.artifact(f"{_EXAMPLE}.artifact", [layer], annotations={"brokenreg.image": draft.name})


class ArtifactUnknown(ImageKind):
    """The configuration and the layers have media types that no client knows. This is valid.

    With `types-config` or `types-layers`, only that part has an unknown type, and the other part is that of
    an image.
    """

    name = "artifact-unknown-types"
    clients = (
        "skopeo and oras pull it. podman, buildah, docker and ctr do not: `unsupported media type`. "
        "With `types-config`, ctr pulls it too."
    )
    sources = f"containerd#9142; {_GUIDELINES}"
    example = "types-config"

    types: Literal["both", "config", "layers"] = Field("both", description="what has an unknown type")

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        if self.types != "config":
            file = _file(draft)
            layers = [Layer(file, file["digest"])]
        config = draft.config(layers)
        if self.types != "layers":
            config["mediaType"] = f"{_EXAMPLE}.config.v1+json"
        return draft.image(layers, config)


class ArtifactLayerUnknown(ImageKind):
    """The image has one layer of an unknown type besides an ordinary one.

    The unknown layer is not a tar, unless you set `content-tar`. The configuration has a diff_id for it.
    """

    name = "artifact-layer-unknown"
    clients = (
        "skopeo and oras pull it. podman and buildah do not: `unexpected EOF`. docker and ctr do not: "
        "`unsupported media type`, `no processor for media-type`. With `content-tar`, podman and "
        "buildah pull it too."
    )
    sources = 'containerd#9142; image-spec, "manifest.md": unknown media types must not cause errors'
    example = "order-first"

    order: Literal["first", "last"] = Field("last", description="the position of the unknown layer")
    content: Literal["file", "tar"] = Field("file", description="what the unknown layer contains")

    def make(self, draft: Draft) -> Descriptor:
        file = _file(draft)
        unknown = Layer(file, file["digest"])
        if self.content == "tar":
            unknown = draft.layer(label="tar", media_type=f"{_EXAMPLE}.layer")
        layers = [draft.layer(), unknown]
        return draft.image(layers if self.order == "last" else layers[::-1])


class ArtifactManifest(ImageKind):
    """The manifest is an artifact manifest, which was in drafts of OCI 1.1 and then removed."""

    name = "artifact-manifest"
    clients = (
        "No client pulls it: `unsupported schema version 0`, `missing signature key`, `not found`. "
        "oras downloads nothing and reports success."
    )
    sources = 'image-spec 1.1.0-rc2, "artifact.md", removed in rc3'

    def make(self, draft: Draft) -> Descriptor:
        document = {"mediaType": _MANIFEST, "artifactType": f"{_EXAMPLE}.artifact", "blobs": [_file(draft)]}
        return draft.manifest(document, _MANIFEST)


def _file(draft: Draft) -> Descriptor:
    """Add a file of an unknown type, and return its descriptor with a title, as oras names files."""
    file = draft.blob(draft.random("file", _FILE_SIZE), f"{_EXAMPLE}.file")
    return {**file, "annotations": {"org.opencontainers.image.title": "file.bin"}}
