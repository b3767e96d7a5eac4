"""Configurations with an odd date or platform."""

from typing import Any, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor


class ConfigCreated(ImageKind):
    """The date of the image is absent, or not in the format of RFC 3339.

    `form-absent` is valid. By default, the date is an empty string. With `form-date` it has no time, with
    `form-no-zone` it has no time zone, with `form-number` it is the number of seconds since 1970, and with
    `form-year-10000` its year has five digits.
    """

    name = "config-created"
    clients = (
        'skopeo and oras pull it. podman, buildah, docker and ctr do not: `cannot parse "\\"" as '
        '"2006"`. All pull `form-absent` and `form-null`.'
    )
    sources = (
        "kargo#1267, testcontainers-java#8302, moby#47368; "
        'image-spec, "config.md": `created` is optional, and in the format of RFC 3339, section 5.6'
    )
    example = "form-date"

    form: Literal["absent", "null", "empty", "date", "no-zone", "number", "year-10000"] = Field(
        "empty", description="what the configuration has as `created`"
    )

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        config = draft.config_document(layers)
        del config["created"]
        forms: dict[str, Any] = {
            "null": None,
            "empty": "",
            "date": "2026-11-28",
            "no-zone": "2026-11-28T12:00:00",
            "number": 1795867200,
            "year-10000": "10000-01-01T00:00:00Z",
        }
        if self.form != "absent":
            config["created"] = forms[self.form]
        return draft.image(layers, draft.config_of(config))


class ConfigPlatform(ImageKind):
    """The configuration has an unknown architecture or operating system, or none.

    With `form-other`, the value is valid but few machines have it: the architecture `s390x` or the operating
    system `windows`.
    """

    name = "config-platform"
    clients = (
        "All pull it, whatever the architecture: docker, podman and ctr on amd64 pull `s390x` too. "
        "docker does not pull `member-os` with `form-unknown` or `form-other`: `operating system is "
        "not supported`, `cannot be used on this platform`."
    )
    sources = 'image-spec, "config.md": `architecture` and `os` are required, with values that Go lists'
    example = "member-os_form-absent"

    member: Literal["architecture", "os"] = Field("architecture", description="which member is odd")
    form: Literal["unknown", "other", "empty", "absent"] = Field(
        "unknown", description="the value of this member"
    )

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        config = draft.config_document(layers)
        other = {"architecture": "s390x", "os": "windows"}[self.member]
        forms = {"unknown": "unknown", "other": other, "empty": ""}
        del config[self.member]
        if self.form != "absent":
            config[self.member] = forms[self.form]
        return draft.image(layers, draft.config_of(config))
