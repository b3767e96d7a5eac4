"""Configurations that are odd documents: too large, not JSON, or ambiguous."""

from typing import Annotated, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, pairs_to_json, to_json
from brokenreg.images.catalogue.parameters import Size, between
from brokenreg.images.computed import Joined, Repeated
from brokenreg.images.odd_image import Descriptor
from brokenreg.oci.mediatypes import OCI_CONFIG

_KIB, _MIB = 1024, 1024**2


class ConfigLarge(ImageKind):
    """The configuration is very large: one of its labels fills it up to `size`.

    Clients read configurations into memory, and many limit their size.
    """

    name = "config-large"
    clients = (
        "docker, ctr and oras pull it, even 100 MiB. skopeo, podman and buildah do not pull more than "
        "4 MiB: `exceeded maximum allowed size of 4194304 bytes`."
    )
    sources = "buildkit#4916; the specification has no limit"
    example = "size-20mib"

    size: Annotated[Size, between(4 * _KIB, 256 * _MIB)] = Field(
        9 * _MIB, description="size of the configuration, 4KiB to 256MiB"
    )

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        head, tail = to_json(draft.config_document(layers)).split(b'"config":{}')
        head += b'"config":{"Labels":{"padding":"'
        tail = b'"}}' + tail
        label = Repeated(b"x", self.size - len(head) - len(tail))
        return draft.image(layers, draft.blob(Joined([head, label, tail]), OCI_CONFIG))


class ConfigNotJSON(ImageKind):
    """The configuration is not a JSON object.

    By default, it is a line of text. With `form-truncated` it is the first half of a JSON object, with
    `form-trailing` more text follows the object, and with `form-list` it is a JSON array. With `form-bom` and
    `form-utf-16` it is JSON, but in an encoding that RFC 8259 forbids.
    """

    name = "config-not-json"
    clients = (
        "skopeo and oras pull it, whatever the form. podman, buildah, docker and ctr do not: `invalid "
        "character 'c' looking for beginning of value`."
    )
    sources = "RFC 8259, sections 2 and 8.1"
    example = "form-truncated"

    form: Literal["text", "truncated", "trailing", "list", "bom", "utf-16"] = Field(
        "text", description="what the configuration is"
    )

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        config = to_json(draft.config_document(layers))
        forms = {
            "text": f"configuration {draft.unique()}\n".encode(),
            "truncated": config[: len(config) // 2],
            "trailing": config + b"\n}",
            "list": b"[%s]" % config,
            "bom": config.decode().encode("utf-8-sig"),
            "utf-16": b"\xff\xfe" + config.decode().encode("utf-16-le"),
        }
        return draft.image(layers, draft.blob(forms[self.form], OCI_CONFIG))


class ConfigDuplicateKeys(ImageKind):
    """The configuration has two `rootfs` members: one with the right diff_ids, and one with wrong ones.

    Most parsers use the last member, some use the first, and some fail. With `form-case`, the second key is
    `Rootfs`. Go's parser ignores case, so this key is a duplicate for most container tools, and an unknown
    key for others.
    """

    name = "config-duplicate-keys"
    clients = (
        "All pull it. With `right-first`, docker and ctr do not: they use the last member, even if its "
        "key is `Rootfs`. skopeo, podman, buildah and oras do not compare the diff_ids."
    )
    sources = "RFC 8259, section 4: the behaviour of software that receives such an object is unpredictable"
    example = "right-first_form-case"

    right: Literal["first", "last"] = Field("last", description="which member has the right diff_ids")
    form: Literal["same", "case"] = Field(
        "same", description="whether the keys are the same or differ in case"
    )

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        config = draft.config_document(layers)
        right = config.pop("rootfs")
        wrong = {**right, "diff_ids": [f"sha256:{draft.unique() * 4}"]}
        first, last = (right, wrong) if self.right == "first" else (wrong, right)
        key = "rootfs" if self.form == "same" else "Rootfs"
        body = pairs_to_json([*config.items(), ("rootfs", first), (key, last)])
        return draft.image(layers, draft.blob(body, OCI_CONFIG))
