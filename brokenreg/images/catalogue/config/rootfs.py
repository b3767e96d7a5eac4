"""Configurations that do not fit the layers of their image."""

import hashlib
from typing import Any, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.computed import digest_of
from brokenreg.images.odd_image import Descriptor


class ConfigDiffIds(ImageKind):
    """The configuration has wrong diff_ids, the digests of the unpacked layers.

    The image has two layers. With `form-few`, only the first layer has a diff_id. With `form-none`, neither
    has one. With `form-many`, there are three diff_ids. With `form-wrong`, the second diff_id is the digest
    of something else. With `form-swapped`, both are right but in the wrong order. With `form-sha512`, both
    are right but use SHA-512, which is valid.
    """

    name = "config-diff-ids"
    clients = (
        "skopeo, podman and buildah pull it, whatever the form: they do not compare the digests. "
        "docker and ctr do not: `layers from manifest don't match image configuration`, `mismatched "
        "image rootfs and manifest layers`. oras pulls it without reading the configuration."
    )
    sources = (
        "umoci#676, go-containerregistry#2304, #2370, distribution#4420; "
        'image-spec, "config.md": `diff_ids` are in the order of the layers, from first to last'
    )
    example = "form-few"

    form: Literal["few", "many", "none", "wrong", "swapped", "sha512"] = Field(
        "wrong", description="what the configuration has as `diff_ids`"
    )

    def make(self, draft: Draft) -> Descriptor:
        tars = [draft.tar(label=label) for label in ("1", "2")]
        layers = [draft.packed_layer(tar) for tar in tars]
        first, second = [each.diff_id for each in layers]
        other = f"sha256:{hashlib.sha256(draft.unique('other').encode()).hexdigest()}"
        forms = {
            "few": [first],
            "many": [first, second, other],
            "none": [],
            "wrong": [first, other],
            "swapped": [second, first],
            "sha512": [str(digest_of(tar, "sha512")) for tar in tars],
        }
        rootfs = {"type": "layers", "diff_ids": forms[self.form]}
        return draft.image(layers, draft.config(layers, rootfs=rootfs))


class ConfigHistoryTooLong(ImageKind):
    """The configuration has more steps in its history than the image has layers.

    The additional `steps` are not marked as steps without a layer (`empty_layer`).
    """

    name = "config-history-too-long"
    clients = (
        "skopeo, podman, buildah, ctr and oras pull it. docker does not: `too many non-empty layers "
        "in History section`."
    )
    sources = 'image-spec, "config.md": a step without a layer is marked with `empty_layer`'
    example = "steps-5"

    steps: int = Field(3, ge=1, le=1000, description="number of additional steps")

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        more = [{"created_by": "a step without a layer"}] * self.steps
        history = [*draft.config_document(layers)["history"], *more]
        return draft.image(layers, draft.config(layers, history=history))


class ConfigRootfs(ImageKind):
    """The configuration has no usable `rootfs`, the member with the digests of the unpacked layers.

    `form` says what it has instead: nothing, null, an empty object, null as `diff_ids`, or another `type`.
    """

    name = "config-rootfs"
    clients = (
        "skopeo, podman, buildah and oras pull it. docker and ctr do not: `invalid rootfs in image "
        "configuration`, `mismatched image rootfs and manifest layers`. All pull `form-other-type`."
    )
    sources = 'image-spec, "config.md": `rootfs` is required, and its `type` is `layers`'
    example = "form-null"

    form: Literal["absent", "null", "empty", "diff-ids-null", "other-type"] = Field(
        "absent", description="what the configuration has as `rootfs`"
    )

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        config = draft.config_document(layers)
        forms: dict[str, dict[str, Any]] = {
            "null": {"rootfs": None},
            "empty": {"rootfs": {}},
            "diff-ids-null": {"rootfs": {"type": "layers", "diff_ids": None}},
            "other-type": {"rootfs": {**config.pop("rootfs"), "type": "other"}},
        }
        return draft.image(layers, draft.config_of({**config, **forms.get(self.form, {})}))
