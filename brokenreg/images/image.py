"""The documents of a fabricated image: its configuration and its Docker schema 2 manifest.

This is part of recipe 1 (`spec`) and must never change: JSON in ASCII with sorted keys and without blanks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from brokenreg.images.hashing import LayerSums
from brokenreg.images.layer import Layer, clip, layer_size
from brokenreg.images.spec import ImageSpec, LayerRecipe
from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST

_CREATED = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class FabricatedLayer:
    """A layer with its descriptor. `size` is the number of bytes that clients download."""

    recipe: LayerRecipe
    sums: LayerSums
    size: int
    media_type: str = DOCKER_LAYER

    @property
    def digest(self) -> Digest:
        return Digest(self.sums.digest)

    @property
    def layer(self) -> Layer:
        """Return a new reader of the layer."""
        return Layer(self.recipe, self.sums.crc32)


@dataclass(frozen=True, slots=True)
class FabricatedImage:
    """An image that can be served."""

    spec: ImageSpec
    manifest: bytes
    digest: Digest
    config: bytes
    config_digest: Digest
    layers: tuple[FabricatedLayer, ...]
    media_type: str = DOCKER_MANIFEST


@dataclass(frozen=True, slots=True)
class Document:
    """A blob in memory."""

    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`, fewer only at the end. Raise `ValueError` if one is negative."""
        return self.content[offset : clip(offset, length, len(self.content))]


def build_image(spec: ImageSpec, sums: Sequence[LayerSums]) -> FabricatedImage:
    """Return the image; `sums` are those of its layers, lowest first."""
    layers = tuple(
        FabricatedLayer(recipe, one, layer_size(recipe))
        for recipe, one in zip(spec.recipes, sums, strict=True)
    )
    config = _config(spec, layers)
    config_digest = Digest.of(config)
    manifest = _dump(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": _descriptor(DOCKER_CONFIG, len(config), config_digest),
            "layers": [_descriptor(layer.media_type, layer.size, layer.digest) for layer in layers],
        }
    )
    return FabricatedImage(spec, manifest, Digest.of(manifest), config, config_digest, layers)


def _config(spec: ImageSpec, layers: Sequence[FabricatedLayer]) -> bytes:
    history: list[dict[str, Any]] = [
        {"created": _CREATED, "created_by": f"brokenreg {layer.recipe.canonical}"} for layer in layers
    ]
    if not layers:  # a step without a layer makes the digest unique to this image
        history = [{"created": _CREATED, "created_by": f"brokenreg {spec.canonical}", "empty_layer": True}]
    return _dump(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": _CREATED,
            "config": {},
            "history": history,
            "rootfs": {"type": "layers", "diff_ids": [layer.sums.diff_id for layer in layers]},
        }
    )


def _descriptor(media_type: str, size: int, digest: str) -> dict[str, Any]:
    return {"mediaType": media_type, "size": size, "digest": digest}


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
