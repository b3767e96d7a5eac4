"""The blobs of fabricated images: configurations and layers, whose bytes are computed when read."""

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
        """Return `length` bytes at `offset`, fewer at the end. Raise `ValueError` for a negative number."""


@dataclass(frozen=True, slots=True)
class MadeBlob:
    """A manifest, configuration or layer of a fabricated image, with its repository."""

    repository: str
    digest: Digest
    role: Role
    _place: Place
    _sums: list[LayerSums]

    @property
    def content(self) -> FabricatedBlob:
        """Return a new reader. For a document, this computes all documents of the image."""
        if self.role is Role.LAYER:
            return layer_at(self._place, self._sums)
        image = build_image(self._place.spec, self._sums[: self._place.spec.layers])
        return Document(image.config if self.role is Role.CONFIG else image.manifest)


def layer_at(place: Place, sums: Sequence[LayerSums]) -> Layer:
    """Return a new reader of the layer at that place; `sums` are those of the layers of its image."""
    return Layer(place.spec.recipe(place.number), sums[place.number - 1].crc32)
