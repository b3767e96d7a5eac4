"""Finds fabricated images by their digests, from records in the store and the ledger in memory.

The store has two kinds of records (key, JSON): one per layer, shared by all images that contain it, and one
per image and repository. A record that this version cannot read, or whose key has another recipe, is ignored
and computed again on demand. The `Ledger` holds the most recently used part.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brokenreg.images.hashing import LayerSums
from brokenreg.images.image import Document, FabricatedImage, build_image
from brokenreg.images.layer import Layer
from brokenreg.images.spec import MAX_LAYERS, ImageSpec, LayerRecipe
from brokenreg.images.unpacked import Content
from brokenreg.oci.digests import Digest

_LAYER = "layer:"
IMAGES = "image:"
"""The prefix of the keys of image records."""

MAX_IN_MEMORY = 8_192
"""Maximum number of layers in memory, with about 450 bytes each: 64 images of 127 layers."""

_IMAGE_WEIGHT = 4
"""Memory of an image without its layers, as a number of layers."""
_Sha256 = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class LayerRecord(_Record):
    """The sums of one layer, as stored."""

    size: int
    seed: int
    number: int
    salt: str
    crc32: Annotated[int, Field(ge=0, lt=2**32)]
    diff_id: _Sha256
    digest: _Sha256

    @classmethod
    def of(cls, recipe: LayerRecipe, sums: LayerSums) -> LayerRecord:
        return cls(
            size=recipe.size,
            seed=recipe.seed,
            number=recipe.number,
            salt=recipe.salt,
            crc32=sums.crc32,
            diff_id=sums.diff_id,
            digest=sums.digest,
        )

    @property
    def key(self) -> str:
        return layer_key(self.recipe)

    @property
    def recipe(self) -> LayerRecipe:
        return LayerRecipe(size=self.size, seed=self.seed, number=self.number, salt=self.salt)

    @property
    def sums(self) -> LayerSums:
        return LayerSums(self.crc32, self.diff_id, self.digest)


class ImageRecord(_Record):
    """An image in a repository, as stored. `spec` raises `ValueError` if it is invalid."""

    repository: str
    layers: int
    size: int
    seed: int
    salt: str
    manifest: _Sha256
    config: _Sha256

    @classmethod
    def of(cls, repository: str, image: FabricatedImage) -> ImageRecord:
        spec = image.spec
        return cls(
            repository=repository,
            layers=spec.layers,
            size=spec.size,
            seed=spec.seed,
            salt=spec.salt,
            manifest=image.digest,
            config=image.config_digest,
        )

    @property
    def key(self) -> str:
        return image_key(self.repository, self.spec)

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(layers=self.layers, size=self.size, seed=self.seed, salt=self.salt)


class Role(Enum):
    """The kind of content that a digest belongs to."""

    MANIFEST = "manifest"
    CONFIG = "config"
    LAYER = "layer"


class Place(NamedTuple):
    """The image and the part of it to which a digest belongs; `number` is the position of a layer, from 1."""

    spec: ImageSpec
    role: Role
    number: int = 0


@dataclass(frozen=True, slots=True)
class FabricatedBlob:
    """A manifest, configuration or layer of a fabricated image, with its repository."""

    repository: str
    digest: Digest
    role: Role
    _place: Place
    _sums: list[LayerSums]

    @property
    def content(self) -> Content:
        """Return a new reader of the blob. For a document, this computes all documents of the image."""
        if self.role is Role.LAYER:
            return layer_at(self._place, self._sums)
        image = build_image(self._place.spec, self._sums[: self._place.spec.layers])
        return Document(image.config if self.role is Role.CONFIG else image.manifest)


def layer_at(place: Place, sums: Sequence[LayerSums]) -> Layer:
    """Return a new reader of the layer at a place; `sums` are those of the layers of its image."""
    return Layer(place.spec.recipe(place.number), sums[place.number - 1].crc32)


@dataclass(eq=False, slots=True)
class _Family:
    """Images that differ only in their number of layers, and share the layers up to that number."""

    sums: list[LayerSums] = field(default_factory=list)
    images: dict[str, dict[ImageSpec, tuple[str, str]]] = field(default_factory=dict)
    """The digests of manifest and configuration, by repository and image, in the order of `add`."""

    @property
    def weight(self) -> int:
        return len(self.sums) + sum(_IMAGE_WEIGHT * len(images) for images in self.images.values())

    def place(self, repository: str, digest: str) -> Place | None:
        images = self.images.get(repository, {})
        for spec, (manifest, config) in images.items():
            if digest in (manifest, config):
                return Place(spec, Role.MANIFEST if digest == manifest else Role.CONFIG)
        number = next((number for number, one in enumerate(self.sums, start=1) if one.digest == digest), 0)
        places = (Place(spec, Role.LAYER, number) for spec in images if 0 < number <= spec.layers)
        return next(places, None)


class Ledger:
    """The most recently used images, with at most `most` layers in total. The caller writes to the store."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._families: OrderedDict[tuple[int, int, str], _Family] = OrderedDict()
        self._by_digest: dict[str, _Family] = {}
        self._weight = 0
        self.added = 0
        """The number of images that were ever added."""

    @property
    def is_full(self) -> bool:
        """Return whether the next image may displace others."""
        return self._weight >= self._most - MAX_LAYERS

    def has_image(self, repository: str, spec: ImageSpec) -> bool:
        family = self._families.get(_series(spec))
        if family is None or spec not in family.images.get(repository, {}):
            return False
        self._families.move_to_end(_series(spec))
        return True

    def sums(self, spec: ImageSpec) -> list[LayerSums]:
        """Return the sums of the layers of an image, lowest first. Raise `KeyError` if they are unknown."""
        sums = self._families[_series(spec)].sums
        if len(sums) < spec.layers:
            raise KeyError(spec)
        return sums[: spec.layers]

    def place(self, repository: str, digest: str) -> Place | None:
        """Return the place of a digest in that repository, or None."""
        family = self._by_digest.get(digest)
        place = None if family is None else family.place(repository, digest)
        if place is not None:
            self._families.move_to_end(_series(place.spec))
        return place

    def places(self) -> Iterator[tuple[str, str, Place, list[LayerSums]]]:
        """Yield repository, digest, place, and the sums of at least the layers of the image."""
        for family in self._families.values():
            for repository, images in family.images.items():
                for spec, (manifest, config) in images.items():
                    yield repository, manifest, Place(spec, Role.MANIFEST), family.sums
                    yield repository, config, Place(spec, Role.CONFIG), family.sums
                largest = max(images, key=lambda spec: spec.layers)
                for number, one in enumerate(family.sums[: largest.layers], start=1):
                    yield repository, one.digest, Place(largest, Role.LAYER, number), family.sums

    def add(self, repository: str, image: FabricatedImage) -> None:
        """Add an image, and drop the least recently used ones beyond the limit."""
        series = _series(image.spec)
        family = self._families.setdefault(series, _Family())
        self._weight -= family.weight
        family.sums += [layer.sums for layer in image.layers[len(family.sums) :]]
        family.images.setdefault(repository, {})[image.spec] = str(image.digest), str(image.config_digest)
        self._weight += family.weight
        for digest in _digests(family):
            self._by_digest.setdefault(digest, family)
        self._families.move_to_end(series)
        self.added += 1
        while self._weight > self._most and len(self._families) > 1:
            self._forget(self._families.popitem(last=False)[1])

    def _forget(self, family: _Family) -> None:
        self._weight -= family.weight
        for digest in _digests(family):
            if self._by_digest.get(digest) is family:  # several families have the same empty layers
                del self._by_digest[digest]


def layer_key(recipe: LayerRecipe) -> str:
    """Return the key of a layer's record."""
    return _LAYER + recipe.canonical


def image_key(repository: str, spec: ImageSpec) -> str:
    """Return the key of an image's record."""
    return f"{IMAGES}{repository}:{spec.canonical}"


def read_layer(key: str, value: str) -> LayerRecord | None:
    """Return the record of a layer, or None if this version cannot read it."""
    try:
        record = LayerRecord.model_validate_json(value)
    except ValidationError:
        return None
    return record if record.key == key else None


def read_image(key: str, value: str) -> ImageRecord | None:
    """Return the record of an image, or None if this version cannot read it."""
    try:
        record = ImageRecord.model_validate_json(value)
        is_right = record.key == key
    except ValueError:
        return None
    return record if is_right else None


def _series(spec: ImageSpec) -> tuple[int, int, str]:
    return spec.size, spec.seed, spec.salt


def _digests(family: _Family) -> Iterator[str]:
    for images in family.images.values():
        for pair in images.values():
            yield from pair
    for one in family.sums:
        yield one.digest
