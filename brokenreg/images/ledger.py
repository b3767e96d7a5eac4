"""What is known of fabricated images: the sums of layers, and which digests stand for what, and where.

Kept as two kinds of records in a store of (key, JSON): one per layer, shared by all images that have it,
and one per image and repository. A record that this version cannot read, or whose key names another recipe,
is passed over; what it stood for is made again when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brokenreg.images.hashing import LayerSums
from brokenreg.images.image import FabricatedImage
from brokenreg.images.spec import ImageSpec, LayerRecipe

_LAYER, _IMAGE = "layer:", "image:"
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
        return _LAYER + self.recipe.canonical

    @property
    def recipe(self) -> LayerRecipe:
        return LayerRecipe(size=self.size, seed=self.seed, number=self.number, salt=self.salt)

    @property
    def sums(self) -> LayerSums:
        return LayerSums(self.crc32, self.diff_id, self.digest)


class ImageRecord(_Record):
    """An image in a repository, as stored. Raise `ValueError` by `spec` if it is none."""

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
        return f"{_IMAGE}{self.repository}:{self.spec.canonical}"

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(layers=self.layers, size=self.size, seed=self.seed, salt=self.salt)


class Role(Enum):
    """What a digest stands for."""

    MANIFEST = "manifest"
    CONFIG = "config"
    LAYER = "layer"


class Place(NamedTuple):
    """Where a digest belongs: an image, and what of it; `number` is the layer's, from 1."""

    spec: ImageSpec
    role: Role
    number: int = 0


class Ledger:
    """Made from the records in a store; keeping the store up to date is the caller's."""

    def __init__(self, stored: Iterable[tuple[str, str]]) -> None:
        self._sums: dict[LayerRecipe, LayerSums] = {}
        self._images: set[tuple[str, ImageSpec]] = set()
        self._places: dict[str, dict[str, Place]] = {}
        images = []
        for key, value in stored:
            if key.startswith(_LAYER):
                self._load_layer(key, value)
            elif key.startswith(_IMAGE):
                images.append((key, value))
        for key, value in images:  # once all layers are known
            self._load_image(key, value)

    def missing(self, spec: ImageSpec) -> list[LayerRecipe]:
        """The layers of that image which nobody has summed yet."""
        return [recipe for recipe in spec.recipes if recipe not in self._sums]

    def sums(self, spec: ImageSpec) -> list[LayerSums]:
        """The sums of its layers, lowest first. Raise `KeyError` if one is `missing`."""
        return [self._sums[recipe] for recipe in spec.recipes]

    def layer_sums(self, recipe: LayerRecipe) -> LayerSums:
        """Raise `KeyError` if there are none."""
        return self._sums[recipe]

    def has_image(self, repository: str, spec: ImageSpec) -> bool:
        return (repository, spec) in self._images

    @property
    def image_count(self) -> int:
        return len(self._images)

    def place(self, repository: str, digest: str) -> Place | None:
        """What the digest stands for in that repository, and in no other."""
        return self._places.get(repository, {}).get(digest)

    def places(self) -> Iterator[tuple[str, str, Place]]:
        """Everything that was made: repository, digest, and what it stands for there."""
        for repository, places in self._places.items():
            for digest, place in places.items():
                yield repository, digest, place

    def add_layer(self, record: LayerRecord) -> None:
        self._sums[record.recipe] = record.sums

    def add_image(self, record: ImageRecord) -> None:
        """All its layers must be known. Raise `KeyError` if not."""
        spec = record.spec
        digests = [(number, one.digest) for number, one in enumerate(self.sums(spec), start=1)]
        places = self._places.setdefault(record.repository, {})
        places.setdefault(record.manifest, Place(spec, Role.MANIFEST))
        places.setdefault(record.config, Place(spec, Role.CONFIG))
        for number, digest in digests:
            places.setdefault(digest, Place(spec, Role.LAYER, number))
        self._images.add((record.repository, spec))

    def _load_layer(self, key: str, value: str) -> None:
        try:
            record = LayerRecord.model_validate_json(value)
        except ValidationError:
            return
        if record.key == key:
            self.add_layer(record)

    def _load_image(self, key: str, value: str) -> None:
        try:
            record = ImageRecord.model_validate_json(value)
            if record.key == key:
                self.add_image(record)
        except (ValueError, KeyError):
            return
