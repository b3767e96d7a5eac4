"""Manifests that do not say of which type they are, or say two things."""

from typing import Any, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor
from brokenreg.oci.mediatypes import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, OCTET_STREAM

_UNKNOWN = "application/vnd.example.unknown.v1+json"


class ManifestMediaType(ImageKind):
    """The manifest has no `mediaType`, or a wrong one.

    The Content-Type of the response is right. `form-absent` is valid. With `form-docker` and
    `form-index`, the manifest has another type that clients know, which conflicts with the Content-Type.
    """

    name = "manifest-media-type"
    clients = (
        "All pull it. With `form-unknown`, docker does not. With `form-docker`, podman, buildah and "
        "docker do not: `unsupported docker v2s2 media type`. With `form-index`, only skopeo and oras "
        "do."
    )
    sources = (
        "regclient#436, spegel#172, jib#2819, rules_img#189; "
        'image-spec, "manifest.md": `mediaType` should be used, and must be that of a manifest'
    )
    example = "form-docker"

    form: Literal["absent", "null", "empty", "unknown", "docker", "index"] = Field(
        "absent", description="what the manifest has as `mediaType`"
    )

    def make(self, draft: Draft) -> Descriptor:
        document = draft.image_document([draft.layer()])
        forms = {
            "null": None,
            "empty": "",
            "unknown": _UNKNOWN,
            "docker": DOCKER_MANIFEST,
            "index": OCI_INDEX,
        }
        document["mediaType"] = forms.get(self.form)
        if self.form == "absent":
            del document["mediaType"]
        return draft.manifest(document)


class ManifestContentType(ImageKind):
    """The response has a Content-Type that conflicts with the manifest, which is an OCI manifest.

    `form-charset` has the right type with a parameter, which is harmless for most clients. The fault
    `content-type` does the same to any image.
    """

    name = "manifest-content-type"
    clients = (
        "ctr and oras pull it. skopeo, podman, buildah and docker do not: `unsupported docker v2s2 "
        "media type`. With `form-index`, `form-json`, `form-text` and `form-octets`, only oras does. docker "
        "says `missing signature key` with the last three. All pull `form-charset`."
    )
    sources = 'distribution-spec, "Pulling Manifests": the Content-Type should match `mediaType`'
    example = "form-text"

    form: Literal["docker", "index", "json", "text", "octets", "charset"] = Field(
        "docker", description="the Content-Type of the response"
    )

    def make(self, draft: Draft) -> Descriptor:
        forms = {
            "docker": DOCKER_MANIFEST,
            "index": OCI_INDEX,
            "json": "application/json",
            "text": "text/plain",
            "octets": OCTET_STREAM,
            "charset": f"{OCI_MANIFEST}; charset=utf-8",
        }
        return draft.manifest(draft.image_document([draft.layer()]), forms[self.form])


class ManifestSchemaVersion(ImageKind):
    """The manifest has a `schemaVersion` other than 2, or none.

    With `form-text` it is the string "2", and with `form-fraction` it is 2.5.
    """

    name = "manifest-schema-version"
    clients = (
        "All pull `form-3`, `form-1`, `form-absent` and `form-null`. With `form-text` and "
        "`form-fraction`, only oras does. The others fail: `json: cannot unmarshal string`."
    )
    sources = 'image-spec, "manifest.md": `schemaVersion` must be 2'
    example = "form-text"

    form: Literal["3", "1", "absent", "null", "text", "fraction"] = Field(
        "3", description="what the manifest has as `schemaVersion`"
    )

    def make(self, draft: Draft) -> Descriptor:
        document = draft.image_document([draft.layer()])
        forms: dict[str, Any] = {"3": 3, "1": 1, "null": None, "text": "2", "fraction": 2.5}
        document["schemaVersion"] = forms.get(self.form)
        if self.form == "absent":
            del document["schemaVersion"]
        return draft.manifest(document)
