"""Manifests of Docker's schema 1."""

import hashlib
from typing import Any, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, to_json
from brokenreg.images.catalogue.signing import pretty_jws
from brokenreg.images.odd_image import Descriptor
from brokenreg.oci.mediatypes import DOCKER_LAYER

_TYPE = "application/vnd.docker.distribution.manifest.v1"


class ManifestSchema1(ImageKind):
    """The manifest is in Docker's schema 1, which most registries and clients no longer support.

    It has a valid signature, as registries create it. The digest of the manifest covers only what is signed,
    not the signature. With `form-tampered`, the manifest has a different tag from the one that was
    signed. With `form-unsigned` it has no signature, and the media type says so.
    """

    name = "manifest-schema1"
    clients = (
        "skopeo, podman, buildah, docker and ctr pull it, and `form-tampered` too, so they do not "
        "verify the signature. docker and ctr do not pull `form-unsigned`: `missing signature key`, "
        "`not found`. oras downloads nothing and reports success."
    )
    sources = 'distribution, docs/spec/manifest-v2-1.md and "Content Digests"; libtrust'
    example = "form-unsigned"

    form: Literal["signed", "tampered", "unsigned"] = Field(
        "signed", description="the state of the signature"
    )

    def make(self, draft: Draft) -> Descriptor:
        document = _document(draft)
        layers = {"layers": [{"digest": each["blobSum"]} for each in document["fsLayers"]]}
        if self.form == "unsigned":
            return draft.manifest(to_json(document), f"{_TYPE}+json", like=layers)
        body, payload = pretty_jws(document)
        if self.form == "tampered":
            tag = draft.name.encode()  # another of the same length, because the signature has positions
            body, payload = (
                each.replace(b'"tag": "%s"' % tag, b'"tag": "%s"' % tag.swapcase())
                for each in (body, payload)
            )
        return draft.manifest(body, f"{_TYPE}+prettyjws", payload=payload, like=layers)


def _document(draft: Draft) -> dict[str, Any]:
    """Return a manifest with two layers. In schema 1, the uppermost comes first."""
    layers = [draft.layer(label=label, media_type=DOCKER_LAYER) for label in ("1", "2")]
    ids = [hashlib.sha256(f"{draft.name} {place}".encode()).hexdigest() for place in range(len(layers))]
    common = {"created": "1970-01-01T00:00:00Z", "architecture": "amd64", "os": "linux"}
    upper = {"id": ids[1], "parent": ids[0], **common, "config": {}}
    lower = {"id": ids[0], **common}
    return {
        "schemaVersion": 1,
        "name": "broken/image",
        "tag": draft.name,
        "architecture": "amd64",
        "fsLayers": [{"blobSum": each.descriptor["digest"]} for each in reversed(layers)],
        "history": [{"v1Compatibility": to_json(each).decode()} for each in (upper, lower)],
    }
