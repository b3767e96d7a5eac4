"""Images and what refers to them: signatures, attestations, and thousands of others."""

import base64
from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, to_json
from brokenreg.images.catalogue.signing import sign
from brokenreg.images.odd_image import Descriptor

_COSIGN = "application/vnd.dev.cosign"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_IN_TOTO = "application/vnd.in-toto+json"
_PREDICATE = "https://slsa.dev/provenance/v0.2"
_EXAMPLE = "application/vnd.example"
_REFERRERS = 'distribution-spec, "Listing Referrers"'
_TEXT = "x" * 700


class ArtifactCosign(ImageKind):
    """The image has a signature and an attestation of cosign among its referrers. The image is valid.

    The signatures are valid for the public example key of RFC 6979, section A.2.5. With `signature-wrong`
    they are signatures of another digest. There are no tags `sha256-<digest>.sig`.
    """

    name = "artifact-cosign"
    clients = "All pull the image, whatever is signed. None of them requests the referrers."
    sources = f"cosign, specs/SIGNATURE_SPEC.md and ATTESTATION_SPEC.md; {_REFERRERS}"
    example = "signature-wrong"

    signature: Literal["valid", "wrong"] = Field("valid", description="what is signed")

    def make(self, draft: Draft) -> Descriptor:
        image = draft.plain_image()
        signed = image["digest"] if self.signature == "valid" else f"sha256:{draft.unique() * 4}"
        draft.artifact(f"{_COSIGN}.artifact.sig.v1+json", [_simple_signature(draft, signed)], subject=image)
        draft.artifact(f"{_COSIGN}.artifact.att.v1+json", [_attestation(draft, signed)], subject=image)
        return image


class ArtifactReferrers(ImageKind):
    """The image has thousands of referrers. The image is valid.

    Each referrer has an annotation of 700 bytes. The registry lists them in pages of at most 4 MiB, with a
    `Link` to the next one. They use 10 artifact types in turn, starting with `application/vnd.example.0`.
    """

    name = "artifact-referrers"
    clients = "All pull the image. None of them requests the referrers."
    sources = f"{_REFERRERS}: the list may be in pages"
    example = "count-100"

    count: int = Field(5000, ge=1, le=5000, description="number of referrers")

    def make(self, draft: Draft) -> Descriptor:
        image = draft.plain_image()
        layer = draft.blob(draft.random("file", 100), f"{_EXAMPLE}.file")
        for number in range(self.count):
            annotations = {"brokenreg.number": str(number), "brokenreg.text": _TEXT}
            draft.artifact(f"{_EXAMPLE}.{number % 10}", [layer], subject=image, annotations=annotations)
        return image


class ArtifactSubjectMissing(ImageKind):
    """The artifact refers to a manifest that the registry does not have. This is valid."""

    name = "artifact-subject-missing"
    clients = "skopeo and oras pull it. podman, buildah, docker and ctr do not, because it is not an image."
    sources = 'image-spec, "manifest.md": the subject need not exist'

    def make(self, draft: Draft) -> Descriptor:
        layer = draft.blob(draft.random("file", 100), f"{_EXAMPLE}.file")
        return draft.artifact(f"{_EXAMPLE}.artifact", [layer], subject=draft.absent_manifest())


def _simple_signature(draft: Draft, digest: str) -> Descriptor:
    payload = to_json(
        {
            "critical": {
                "identity": {"docker-reference": "broken/image"},
                "image": {"docker-manifest-digest": digest},
                "type": "cosign container image signature",
            },
            "optional": {"brokenreg.image": draft.name},
        }
    )
    blob = draft.blob(payload, f"{_COSIGN}.simplesigning.v1+json")
    return {**blob, "annotations": {_SIGNATURE: base64.b64encode(sign(payload)).decode()}}


def _attestation(draft: Draft, digest: str) -> Descriptor:
    """Add an attestation in an envelope of DSSE, which signs its type together with it."""
    algorithm, _, encoded = digest.partition(":")
    statement = to_json(
        {
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": _PREDICATE,
            "subject": [{"name": "broken/image", "digest": {algorithm: encoded}}],
            "predicate": {"builder": {"id": draft.name}, "buildType": "https://example.com/brokenreg"},
        }
    )
    signed = b"DSSEv1 %d %s %d %s" % (len(_IN_TOTO), _IN_TOTO.encode(), len(statement), statement)
    envelope = {
        "payloadType": _IN_TOTO,
        "payload": base64.b64encode(statement).decode(),
        "signatures": [{"keyid": "", "sig": base64.b64encode(sign(signed)).decode()}],
    }
    blob = draft.blob(to_json(envelope), "application/vnd.dsse.envelope.v1+json")
    return {**blob, "annotations": {_SIGNATURE: "", "predicateType": _PREDICATE}}
