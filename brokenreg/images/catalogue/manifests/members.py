"""Manifests with odd annotations and descriptors."""

from typing import Any, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, Layer, to_json
from brokenreg.images.odd_image import Descriptor
from brokenreg.oci.mediatypes import OCI_CONFIG, OCI_LAYER

_DESCRIPTOR = 'image-spec, "descriptor.md"'


class ManifestAnnotations(ImageKind):
    """The annotations of the manifest are not an object whose values are strings.

    One value is a number, a boolean, null or an object. With `form-list`, the annotations are a list.
    """

    name = "manifest-annotations"
    clients = (
        "Only oras pulls it. skopeo, podman, buildah, docker and ctr do not: `json: cannot unmarshal "
        "number`. All pull `form-null`."
    )
    sources = 'image-spec, "annotations.md": keys and values must be strings'
    example = "form-list"

    form: Literal["number", "boolean", "null", "object", "list"] = Field(
        "number", description="what is wrong with the annotations"
    )

    def make(self, draft: Draft) -> Descriptor:
        values: dict[str, Any] = {"number": 1, "boolean": True, "null": None, "object": {"key": "value"}}
        annotations: Any = {"brokenreg.annotation": values.get(self.form)}
        if self.form == "list":
            annotations = ["annotation"]
        return draft.image([draft.layer()], annotations=annotations)


class ManifestSizeFormat(ImageKind):
    """The size of the layer is right, but not written as an integer, or it is absent.

    `form` says how a size such as 105 is written: `105.0`, `105e0`, the string `"105"`, null, or not at all.
    """

    name = "manifest-size-format"
    clients = (
        "Only oras pulls it. skopeo, podman, buildah, docker and ctr do not: `json: cannot unmarshal "
        "number 2071.0`. With `form-null` and `form-absent`, all pull it except ctr: `reports content "
        "size of zero`."
    )
    sources = f"{_DESCRIPTOR}: `size` is an int64 and required; RFC 8259, section 6"
    example = "form-text"

    form: Literal["fraction", "exponent", "text", "null", "absent"] = Field(
        "fraction", description="how the size is written"
    )

    def make(self, draft: Draft) -> Descriptor:
        layer = draft.layer()
        size = layer.descriptor["size"]
        document = draft.image_document([layer])
        claim = b'"size":%d' % size
        head, found, tail = to_json(document).rpartition(b"," + claim)
        assert found  # noqa: S101 - the size is the last member of the last descriptor
        forms = {
            "fraction": b',"size":%d.0' % size,
            "exponent": b',"size":%de0' % size,
            "text": b',"size":"%d"' % size,
            "null": b',"size":null',
            "absent": b"",
        }
        return draft.manifest(head + forms[self.form] + tail, like=document)


class ManifestDigest(ImageKind):
    """The digest of the second layer is malformed.

    With `form-upper` it has capital letters, with `form-short` only half of its digits, with `form-algorithm`
    an unknown algorithm, and with `form-bare` no algorithm. With `form-traversal` it has a path. If a client
    uses this path as the name of a file, it leads out of the client's folder.
    """

    name = "manifest-digest"
    clients = (
        "No client pulls it: `invalid checksum digest format`, or 400 from the registry. With "
        "`form-bare`, skopeo crashes when it copies to a folder: `panic: no ':' separator in digest`. "
        "With `form-traversal`, no client writes outside its folder. skopeo requests that digest when it "
        "copies to a folder, and ctr requests `/tmp/brokenreg-escaped-...` from the registry."
    )
    sources = f'CVE-2024-3727 (containers/image); {_DESCRIPTOR}, "Digests"'
    example = "form-traversal"

    form: Literal["upper", "short", "algorithm", "bare", "traversal"] = Field(
        "upper", description="what is wrong with the digest"
    )

    def make(self, draft: Draft) -> Descriptor:
        upper = draft.layer(label="2")
        encoded = upper.descriptor["digest"].partition(":")[2]
        forms = {
            "upper": f"sha256:{encoded.upper()}",
            "short": f"sha256:{encoded[:32]}",
            "algorithm": f"example:{encoded}",
            "bare": encoded,
            "traversal": f"sha256:../../../../../../../../tmp/brokenreg-escaped-{draft.unique()}",
        }
        return draft.image([draft.layer(), upper.claiming(digest=forms[self.form])])


class ManifestMissingBlob(ImageKind):
    """The manifest names a layer or a configuration that the registry does not have."""

    name = "manifest-missing-blob"
    clients = (
        "No client pulls it: 404. With `blob-config`, oras pulls it, because it does not read the "
        "configuration."
    )
    sources = (
        'distribution-spec, "Pushing Manifests": a registry may accept a manifest whose blobs are missing, '
        "and blobs can be deleted"
    )
    example = "blob-config"

    blob: Literal["layer", "config"] = Field("layer", description="what is missing")

    def make(self, draft: Draft) -> Descriptor:
        absent = {key: draft.absent_manifest()[key] for key in ("digest", "size")}
        if self.blob == "config":
            return draft.image([draft.layer()], {"mediaType": OCI_CONFIG, **absent})
        missing = Layer({"mediaType": OCI_LAYER, **absent}, absent["digest"])
        return draft.image([draft.layer(), missing])
