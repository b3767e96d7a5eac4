"""Artifacts of tools that use registries for something other than images."""

import struct
from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, to_json
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.tarball import Entry, tar_of
from brokenreg.oci.mediatypes import OCI_MANIFEST

_CREATED = "1970-01-01T00:00:00Z"
_TITLE = "org.opencontainers.image.title"
_HELM = "application/vnd.cncf.helm"
_MODEL = "application/vnd.cncf.model"
_DOCKER_MODEL = "application/vnd.docker.ai"
_TEXT = 8
"""The type of a text in GGUF."""


class ArtifactHelm(ImageKind):
    """The artifact is a Helm chart with one ConfigMap. This is valid."""

    name = "artifact-helm"
    clients = (
        "skopeo and oras pull it. podman, buildah, docker and ctr do not: `unsupported media type`, "
        "`mismatched image rootfs and manifest layers`."
    )
    sources = 'Helm, "Use OCI-based registries"'

    def make(self, draft: Draft) -> Descriptor:
        chart = {
            "apiVersion": "v2",
            "name": "brokenreg",
            "version": "1.0.0",
            "description": f"A chart that is unique ({draft.unique()})",
            "type": "application",
        }
        template = (
            b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n"
            b"data:\n  value: {{ .Values.value | quote }}\n"
        )
        tar = tar_of(
            [
                Entry(b"brokenreg/Chart.yaml", "".join(f"{key}: {chart[key]}\n" for key in chart).encode()),
                Entry(b"brokenreg/values.yaml", b'value: "1"\n'),
                Entry(b"brokenreg/templates/configmap.yaml", template),
            ]
        )
        layer = draft.packed_layer(tar, f"{_HELM}.chart.content.v1.tar+gzip")
        return draft.image([layer], draft.blob(to_json(chart), f"{_HELM}.config.v1+json"))


class ArtifactWasm(ImageKind):
    """The artifact is a WebAssembly module without functions. This is valid.

    By default it has the media types of the CNCF. With `form-image` it is an image for the platform
    `wasip1/wasm`, with the module as a file.
    """

    name = "artifact-wasm"
    clients = (
        "skopeo and oras pull it. podman, buildah, docker and ctr do not: `unsupported media type`, "
        "`mismatched image rootfs and manifest layers`. With `form-image`, only docker does not pull it: "
        "`operating system is not supported`."
    )
    sources = 'CNCF TAG Runtime, "Wasm OCI Artifact layout"'
    example = "form-image"

    form: Literal["artifact", "image"] = Field("artifact", description="how the module is stored")

    def make(self, draft: Draft) -> Descriptor:
        custom = b"\x09brokenreg" + draft.unique().encode()
        module = b"\0asm" + struct.pack("<I", 1) + bytes([0, len(custom)]) + custom
        platform = {"architecture": "wasm", "os": "wasip1"}
        if self.form == "image":
            layers = [draft.layer(Entry(b"module.wasm", module, mode=0o755))]
            return draft.image(
                layers, draft.config(layers, **platform, config={"Entrypoint": ["/module.wasm"]})
            )
        layer = draft.blob(module, "application/wasm")
        config = {"created": _CREATED, **platform, "layerDigests": [layer["digest"]]}
        return draft.manifest(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": draft.blob(to_json(config), "application/vnd.wasm.config.v0+json"),
                "layers": [layer],
            }
        )


class ArtifactModel(ImageKind):
    """The artifact is an AI model without tensors, in the format GGUF. This is valid.

    `form` selects the layout: that of Docker Model Runner, or that of the CNCF's ModelPack.
    """

    name = "artifact-model"
    clients = (
        "skopeo and oras pull it. podman, buildah, docker and ctr do not: `unsupported image-specific "
        "operation on artifact`, `invalid rootfs in image configuration`, `mismatched image rootfs "
        "and manifest layers`."
    )
    sources = "docker/model-spec; modelpack/model-spec"
    example = "form-modelpack"

    form: Literal["docker", "modelpack"] = Field("docker", description="the layout")

    def make(self, draft: Draft) -> Descriptor:
        model = _gguf({"general.architecture": "llama", "general.name": draft.unique()})
        if self.form == "docker":
            layer = draft.blob(model, f"{_DOCKER_MODEL}.gguf.v3")
            config = {
                "descriptor": {"createdAt": _CREATED},
                "config": {"format": "gguf", "format_version": "3", "size": str(len(model))},
                "files": [{"diffID": layer["digest"], "type": layer["mediaType"]}],
            }
            return draft.manifest(
                {
                    "schemaVersion": 2,
                    "mediaType": OCI_MANIFEST,
                    "config": draft.blob(to_json(config), f"{_DOCKER_MODEL}.model.config.v0.1+json"),
                    "layers": [layer],
                }
            )
        layer = draft.blob(model, f"{_MODEL}.weight.v1.raw")
        config = {
            "descriptor": {"createdAt": _CREATED, "name": draft.unique()},
            "config": {"architecture": "transformer", "format": "gguf"},
            "modelfs": {"type": "layers", "diffIds": [layer["digest"]]},
        }
        titled = {**layer, "annotations": {_TITLE: "model.gguf", "org.cncf.model.filepath": "model.gguf"}}
        return draft.artifact(
            f"{_MODEL}.manifest.v1+json", [titled], draft.blob(to_json(config), f"{_MODEL}.config.v1+json")
        )


def _gguf(metadata: dict[str, str]) -> bytes:
    """Return a file of GGUF, version 3, without tensors."""
    parts = [b"GGUF", struct.pack("<IQQ", 3, 0, len(metadata))]
    for key, value in metadata.items():
        parts += [struct.pack("<Q", len(key)), key.encode(), struct.pack("<I", _TEXT)]
        parts += [struct.pack("<Q", len(value)), value.encode()]
    return b"".join(parts)
