"""The catalogue of all kinds of odd images; each family has a module of its own."""

from __future__ import annotations

from brokenreg.images.catalogue.artifacts import ARTIFACTS
from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.config import CONFIG
from brokenreg.images.catalogue.content import CONTENT
from brokenreg.images.catalogue.indexes import INDEXES
from brokenreg.images.catalogue.layers import LAYERS
from brokenreg.images.catalogue.manifests import MANIFESTS

_FAMILIES = (CONFIG, LAYERS, CONTENT, MANIFESTS, INDEXES, ARTIFACTS)

CATALOGUE: dict[str, type[ImageKind]] = {kind.name: kind for family in _FAMILIES for kind in family}
"""All kinds by name, in the order of the families."""

__all__ = ["CATALOGUE", "ImageKind"]
