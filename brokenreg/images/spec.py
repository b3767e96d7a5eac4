"""The specification of fabricated images: recipe 1, canonical strings, and the tags for them.

Recipe 1 is permanent: a specification results in the same bytes in every version of brokenreg. Any change
below needs a new recipe number; otherwise, the golden digests in the tests fail.

- A layer's canonical string is `recipe=1;size=<bytes>;seed=<int>;layer=<number from 1>;salt=<text>`, decimal
  numbers without leading zeros, UTF-8. The salt is free text. It comes last, so that no two recipes have the
  same string. The number of layers in the image is not part of it, so images that differ only in this number
  share layers.
- Content is the AES-256-CTR keystream under SHA-256 of that string, counter from zero (`keystream`).
- The layer is a tar of that one file, named `layer-<number>.bin`; with a salt, the name is
  `layer-<number>-<first 16 hex digits of the salt's SHA-256>.bin`, so that digests are unique to the salt
  even if the file is empty (`framing`).
- `image` describes configuration and manifest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.params import split_params
from brokenreg.oci.sizes import format_size, parse_size
from brokenreg.wording import counted, quoted

RECIPE = 1
"""The number of the recipe that this package implements."""

MAX_LAYERS = 127
"""Maximum number of layers: the overlay driver of Docker does not mount more."""

PARAMETERS = ("layers", "size", "seed")
"""The image parameters, for `split_params`."""

_SEED_RANGE = range(-(2**63), 2**63)
_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LayerRecipe:
    """The recipe of a layer with `size` bytes of content; `number` is its position in the image, from 1."""

    size: int
    seed: int
    number: int
    salt: str = ""

    @property
    def canonical(self) -> str:
        """Return the string whose SHA-256 is the key of the content. Never change it."""
        return f"recipe={RECIPE};size={self.size};seed={self.seed};layer={self.number};salt={self.salt}"

    @property
    def file_name(self) -> str:
        """Return the name of the file in the tar. Never change it."""
        if not self.salt:
            return f"layer-{self.number}.bin"
        return f"layer-{self.number}-{hashlib.sha256(self.salt.encode()).hexdigest()[:16]}.bin"


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """An image of `layers` layers with a file of `size` bytes each.

    `seed` is a signed 64-bit number. `salt` is anything else that the content depends on, for example the
    parameters of a fault. Raise `ValueError` with the name of a parameter that is out of range.
    """

    layers: int
    size: int
    seed: int = 0
    salt: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.layers <= MAX_LAYERS:
            raise ValueError(f"invalid layers {quoted(self.layers)}: use 0 to {MAX_LAYERS}")
        if self.size < 0:
            raise ValueError(f"invalid size {quoted(self.size)}: use 0 or more")
        if self.seed not in _SEED_RANGE:
            raise ValueError(f"invalid seed {quoted(self.seed)}: use {-(2**63)} to {2**63 - 1}")

    @property
    def canonical(self) -> str:
        """Return the key under which the image is stored; no content depends on it."""
        return (
            f"recipe={RECIPE};layers={self.layers};size={self.size};seed={self.seed};salt={self.salt}"
        )  # fmt: skip

    @property
    def recipes(self) -> tuple[LayerRecipe, ...]:
        """Return the recipes of the layers, lowest first."""
        return tuple(self.recipe(number) for number in range(1, self.layers + 1))

    def recipe(self, number: int) -> LayerRecipe:
        """Return the recipe of the layer with that number, from 1."""
        return LayerRecipe(size=self.size, seed=self.seed, number=number, salt=self.salt)


def parse_random_tag(tag: str) -> ImageSpec:
    """Return the image that a tag `layers-X_size-Y[_seed-Z]` specifies.

    Raise `OCIError` 400 BAD_REQUEST with the name of a parameter that is missing, unknown or wrong.
    """
    try:
        return _spec_of_tag(tag)
    except ValueError as error:
        example = "broken/random:layers-3_size-1024"
        raise OCIError(
            400, ErrorCode.BAD_REQUEST, f"broken/random:{tag[:200]}: {error} (for example {example})"
        ) from error


def _spec_of_tag(tag: str) -> ImageSpec:
    if tag == "latest":  # what clients request without a tag
        raise ValueError("the tag says what is in the image: use layers-<number>_size-<bytes>")
    return spec_from(split_params(tag, PARAMETERS))


def spec_from(
    values: Mapping[str, str], *, layers: int | None = None, size: int | None = None, salt: str = ""
) -> ImageSpec:
    """Return the image for the parameters `layers`, `size` and `seed` in `values`; others are ignored.

    `layers` and `size` are defaults; a parameter without a default is required. Raise `ValueError` with the
    name of the wrong parameter.
    """
    layers = _integer("layers", values["layers"]) if "layers" in values else layers
    size = _size(values["size"]) if "size" in values else size
    if layers is None or size is None:
        missing = " and ".join(name for name, value in (("layers", layers), ("size", size)) if value is None)
        raise ValueError(f"{missing} missing: use layers-<number>_size-<bytes>[_seed-<number>]")
    return ImageSpec(layers=layers, size=size, seed=_integer("seed", values.get("seed", "0")), salt=salt)


def check_limit(spec: ImageSpec, limit: int) -> None:
    """Raise `OCIError` 400 BAD_REQUEST if the image has more than `limit` bytes of content."""
    total = spec.layers * spec.size
    if total > limit:
        raise OCIError(
            400,
            ErrorCode.BAD_REQUEST,
            f"layers x size is {counted(total, 'byte')} ({format_size(total)}): use at most "
            f"{limit} ({format_size(limit)}), or start brokenreg with another --fabricate-limit",
        )


def _integer(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"invalid {name} {quoted(text)}: use a whole number")
    return int(text)


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise ValueError(f"size: {error}") from error
