"""The blobs of fabricated images: configurations and layers, whose bytes are made as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from brokenreg.images.hashing import LayerSums
from brokenreg.images.image import Document, build_image
from brokenreg.images.layer import Layer
from brokenreg.images.ledger import Place, Role
from brokenreg.oci.digests import Digest


class FabricatedBlob(Protocol):
    """A configuration or a layer, readable at any offset."""

    @property
    def size(self) -> int:
        """In bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes at `offset`, fewer only at the end. Raise `ValueError` if one is negative."""


@dataclass(frozen=True, slots=True)
class MadeBlob:
    """A manifest, configuration or layer of an image that was made in a repository."""

    repository: str
    digest: Digest
    role: Role
    _place: Place
    _sums: list[LayerSums]

    @property
    def content(self) -> FabricatedBlob:
        """A reader, made anew; of a document that takes as long as to make all of the image's documents."""
        if self.role is Role.LAYER:
            return layer_at(self._place, self._sums)
        image = build_image(self._place.spec, self._sums[: self._place.spec.layers])
        return Document(image.config if self.role is Role.CONFIG else image.manifest)


def layer_at(place: Place, sums: Sequence[LayerSums]) -> Layer:
    """A reader of the layer at that place, made anew; `sums` are those of its image's layers."""
    return Layer(place.spec.recipe(place.number), sums[place.number - 1].crc32)
