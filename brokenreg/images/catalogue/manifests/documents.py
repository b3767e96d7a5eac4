"""Manifests that are odd documents: too large or deep, not JSON, or ambiguous."""

from typing import Annotated, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, pairs_to_json, to_json
from brokenreg.images.catalogue.parameters import Size, between
from brokenreg.images.odd_image import Descriptor

_KIB, _MIB = 1024, 1024**2


class ManifestLarge(ImageKind):
    """The manifest is very large: an annotation fills it up to exactly `size` bytes."""

    name = "manifest-large"
    clients = (
        "docker and oras pull it. skopeo, podman and buildah do not: `exceeded maximum allowed size "
        "of 4194304 bytes`. ctr does not: `rejecting 5242880 byte manifest`. All pull `size-4mib`."
    )
    sources = 'distribution-spec, "Pushing Manifests": registries should accept at least 4 MiB'
    example = "size-4mib"

    size: Annotated[Size, between(4 * _KIB, 8 * _MIB)] = Field(
        5 * _MIB, description="size of the manifest, 4KiB to 8MiB"
    )

    def make(self, draft: Draft) -> Descriptor:
        document = draft.image_document([draft.layer()])
        tail = b'"}}'
        head = to_json({**document, "annotations": {"padding": ""}}).removesuffix(tail)
        return draft.manifest(head.ljust(self.size - len(tail), b"x") + tail, like=document)


class ManifestDeep(ImageKind):
    """The manifest has a member that clients do not know, with `depth` nested arrays in it.

    A recursive parser can overflow its stack. Go's parser allows at most 10,000 levels.
    """

    name = "manifest-deep"
    clients = (
        "No client pulls it. skopeo, podman, buildah, docker and ctr: `exceeded max depth`. oras: "
        "`RecursionError`, also with `depth-1000`, which the others pull."
    )
    sources = "RFC 8259, section 9: an implementation may set limits on the depth of nesting"
    example = "depth-1000"

    depth: int = Field(10_001, ge=1, le=1_000_000, description="number of nested arrays")

    def make(self, draft: Draft) -> Descriptor:
        document = draft.image_document([draft.layer()])
        arrays = b"[" * self.depth + b"]" * self.depth
        body = b'%s,"nested":%s}' % (to_json(document).removesuffix(b"}"), arrays)
        return draft.manifest(body, like=document)


class ManifestNotJSON(ImageKind):
    """The manifest is not a JSON object, although its digest and Content-Type are right.

    By default, it is a line of text. With `form-html` it is an HTML page, with `form-truncated` it is the
    first half of a JSON object, with `form-trailing` more text follows the object, and with `form-list` it is
    a JSON array.
    """

    name = "manifest-not-json"
    clients = (
        "No client pulls it. skopeo, podman, buildah, docker and ctr: `invalid character 'm' looking "
        "for beginning of value`. oras: `JSONDecodeError`."
    )
    sources = "RFC 8259, section 2"
    example = "form-truncated"

    form: Literal["text", "html", "truncated", "trailing", "list"] = Field(
        "text", description="what the manifest is"
    )

    def make(self, draft: Draft) -> Descriptor:
        document = draft.image_document([draft.layer()])
        body = to_json(document)
        forms = {
            "text": f"manifest {draft.unique()}\n".encode(),
            "html": f"<!DOCTYPE html>\n<title>{draft.unique()}</title>\n".encode(),
            "truncated": body[: len(body) // 2],
            "trailing": body + b"\n}",
            "list": b"[%s]" % body,
        }
        return draft.manifest(forms[self.form], like=document)


class ManifestEncoding(ImageKind):
    """The manifest is JSON, but not in plain UTF-8.

    By default, it begins with a byte order mark. With `form-utf-16` it is in UTF-16. With `form-latin-1`, an
    annotation has a byte that is not UTF-8. With `form-surrogate` it is ASCII, but an annotation has an
    escape for half a surrogate pair.
    """

    name = "manifest-encoding"
    clients = (
        "oras pulls it, and UTF-16 too. skopeo, podman, buildah, docker and ctr do not: `invalid "
        "character 'ï' looking for beginning of value`. All pull `form-latin-1` and `form-surrogate`."
    )
    sources = "RFC 8259, section 8.1: UTF-8, without a byte order mark; section 8.2: surrogates"
    example = "form-utf-16"

    form: Literal["bom", "utf-16", "latin-1", "surrogate"] = Field(
        "bom", description="the encoding of the manifest"
    )

    def make(self, draft: Draft) -> Descriptor:
        document = draft.image_document([draft.layer()])
        text = to_json({**document, "annotations": {"brokenreg.cafe": "cafE"}}).decode()
        forms = {
            "bom": text.encode("utf-8-sig"),
            "utf-16": b"\xff\xfe" + text.encode("utf-16-le"),
            "latin-1": text.replace("cafE", "caf\xe9").encode("latin-1"),
            "surrogate": text.replace("cafE", r"caf\ud83d").encode(),
        }
        return draft.manifest(forms[self.form], like=document)


class ManifestDuplicateKeys(ImageKind):
    """The manifest has two `config` members and two `layers` members, which describe two complete images.

    Most parsers use the last ones, some use the first, and some fail. If a scanner and a client differ in
    this, they see different images under the same digest. With `form-case`, the second keys are `Config` and
    `Layers`. Go's parser ignores case, so they are duplicates for most container tools, and unknown keys for
    others.
    """

    name = "manifest-duplicate-keys"
    clients = (
        "All pull it, and all use the last ones. With `form-case`, oras uses the first ones, and "
        "skopeo, podman, buildah, docker and ctr the last ones."
    )
    sources = "RFC 8259, section 4: the behaviour of software that receives such an object is unpredictable"
    example = "form-case"

    form: Literal["same", "case"] = Field(
        "same", description="whether the keys are the same or differ in case"
    )

    def make(self, draft: Draft) -> Descriptor:
        first, second = (draft.image_document([draft.layer(label=label)]) for label in ("1", "2"))
        names = {name: name if self.form == "same" else name.capitalize() for name in ("config", "layers")}
        doubled = [(names[name], second[name]) for name in names]
        return draft.manifest(pairs_to_json([*first.items(), *doubled]))
