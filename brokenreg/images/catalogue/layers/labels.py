"""Layers by compression: less usual ones, and those that are not what their media type says."""

from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor
from brokenreg.oci.mediatypes import OCI_LAYER, OCI_LAYER_TAR, OCI_LAYER_ZSTD

DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
"""A media type that no specification has, though some clients know it."""

_LABELS = 'image-spec, "layer.md": the media type says how a layer is compressed'


class LayerTar(ImageKind):
    """The layer is a plain tar, and its media type says so. This is valid."""

    name = "layer-tar"
    clients = "All pull it."
    sources = 'image-spec, "layer.md"'

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer(media_type=OCI_LAYER_TAR)])


class LayerZstd(ImageKind):
    """The layer is compressed with zstd, and its media type says so. This is valid."""

    name = "layer-zstd"
    clients = "skopeo, podman, buildah, ctr and oras pull it. docker 20.10 does not: `invalid tar header`."
    sources = 'image-spec, "layer.md"; docker supports it since version 23'

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer(media_type=OCI_LAYER_ZSTD)])


class LayerZstdInDocker(ImageKind):
    """A manifest in Docker's format has a layer that is compressed with zstd.

    Docker's format has no media type for such a layer. This layer has the type that BuildKit used,
    `application/vnd.docker.image.rootfs.diff.tar.zstd`. With `manifest-oci`, the rest of the image is in
    OCI's format.
    """

    name = "layer-zstd-in-docker"
    clients = (
        "Only oras pulls it. skopeo, podman and buildah do not: `unsupported docker v2s2 media type`. They "
        "pull it with `manifest-oci`. ctr does not: `no processor for media-type`. docker 20.10 does not: "
        "`invalid tar header`."
    )
    sources = (
        "pelagos#441, containerd#9263, containers/image#2906, stereoscope#486; BuildKit 0.10 made such images"
    )
    example = "manifest-oci"

    manifest: Literal["docker", "oci"] = Field("docker", description="format of the manifest")

    def make(self, draft: Draft) -> Descriptor:
        layer = draft.layer(media_type=DOCKER_LAYER_ZSTD)
        if self.manifest == "oci":
            return draft.image([layer])
        return draft.docker_image([layer])


class LayerZstdAsGzip(ImageKind):
    """The layer is compressed with zstd, but its media type says gzip."""

    name = "layer-zstd-as-gzip"
    clients = (
        "skopeo, podman, buildah and ctr pull it. docker 20.10 does not: `invalid tar header`. Nor does "
        "oras: `not a gzip file`."
    )
    sources = f"concourse/registry-image-resource#405; {_LABELS}"

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer(media_type=OCI_LAYER_ZSTD).claiming(mediaType=OCI_LAYER)])


class LayerGzipAsTar(ImageKind):
    """The layer is compressed with gzip, but its media type says that it is a plain tar."""

    name = "layer-gzip-as-tar"
    clients = "skopeo, podman, buildah, docker and oras pull it. ctr does not: `invalid tar header`."
    sources = f"containerd#13662, containerd#10134; {_LABELS}"

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer().claiming(mediaType=OCI_LAYER_TAR)])


class LayerTarAsGzip(ImageKind):
    """The layer is a plain tar, but its media type says gzip."""

    name = "layer-tar-as-gzip"
    clients = "skopeo, podman, buildah, docker and ctr pull it. oras does not: `not a gzip file`."
    sources = _LABELS

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer(media_type=OCI_LAYER_TAR).claiming(mediaType=OCI_LAYER)])
