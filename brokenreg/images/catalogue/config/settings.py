"""Configurations with odd settings for containers."""

from typing import Any, Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor

_CONFIG = 'image-spec, "config.md", "Properties", '


class ConfigUser(ImageKind):
    """The user of the image is odd.

    By default it is the name of a user that the image does not have. With `form-number` it is a number that
    is too large for a user ID, with `form-negative` it is -1, with `form-colon` it is `:`, with
    `form-newline` it has a line break, and with `form-not-text` it is a JSON number.
    """

    name = "config-user"
    clients = (
        "All pull it. With `form-not-text`, only skopeo and oras do. The others fail: `json: cannot "
        "unmarshal number`."
    )
    sources = f"{_CONFIG}`User`: a name or a number, and optionally a group"
    example = "form-number"

    form: Literal["missing", "number", "negative", "colon", "newline", "not-text"] = Field(
        "missing", description="what the configuration has as `User`"
    )

    def make(self, draft: Draft) -> Descriptor:
        forms = {
            "missing": "no-such-user",
            "number": "4294967296",
            "negative": "-1",
            "colon": ":",
            "newline": "root\nroot",
            "not-text": 0,
        }
        return _image(draft, User=forms[self.form])


class ConfigEnv(ImageKind):
    """An environment variable of the image is odd.

    By default it has no `=`. With `form-no-name` there is nothing before the `=`, with `form-twice` the same
    name occurs twice, with `form-newline` and `form-nul` the value has that character, and with
    `form-surrogate` the value has half a surrogate pair. With `form-not-text` the variable is a JSON number,
    and with `form-object` the variables are an object instead of a list.
    """

    name = "config-env"
    clients = (
        "All pull it. With `form-not-text` and `form-object`, only skopeo and oras do. The others fail: "
        "`json: cannot unmarshal number`."
    )
    sources = f"{_CONFIG}`Env`: a list of `VARNAME=VARVALUE`"
    example = "form-twice"

    form: Literal["no-equals", "no-name", "twice", "newline", "nul", "surrogate", "not-text", "object"] = (
        Field("no-equals", description="what the configuration has as `Env`")
    )

    def make(self, draft: Draft) -> Descriptor:
        forms: dict[str, Any] = {
            "no-equals": ["VARIABLE"],
            "no-name": ["=value"],
            "twice": ["VARIABLE=first", "VARIABLE=second"],
            "newline": ["VARIABLE=two\nlines"],
            "nul": ["VARIABLE=before\0after"],
            "surrogate": ["VARIABLE=\ud800"],
            "not-text": [1],
            "object": {"VARIABLE": "value"},
        }
        return _image(draft, Env=forms[self.form])


class ConfigEntrypoint(ImageKind):
    """The entrypoint of the image is odd.

    By default it names a program that the image does not have. With `form-empty` it is an empty list, and
    with `form-empty-text` a list with an empty string. With `form-nul` the path has a NUL. With
    `form-not-text` it is a list with a number, and with `form-text` it is a string instead of a list.
    """

    name = "config-entrypoint"
    clients = (
        "All pull it. With `form-not-text`, only skopeo and oras do. The others fail: `json: cannot "
        "unmarshal number`. With `form-text`, skopeo, oras and docker do, but podman, buildah and ctr do not."
    )
    sources = f"{_CONFIG}`Entrypoint`: a list of arguments"
    example = "form-text"

    form: Literal["missing", "empty", "empty-text", "nul", "not-text", "text"] = Field(
        "missing", description="what the configuration has as `Entrypoint`"
    )

    def make(self, draft: Draft) -> Descriptor:
        forms: dict[str, Any] = {
            "missing": ["/no-such-program"],
            "empty": [],
            "empty-text": [""],
            "nul": ["/before\0after"],
            "not-text": [1],
            "text": "/bin/sh -c true",
        }
        return _image(draft, Entrypoint=forms[self.form])


def _image(draft: Draft, **settings: Any) -> Descriptor:
    layers = [draft.layer()]
    return draft.image(layers, draft.config(layers, config=settings))
