"""The catalogue of all kinds of odd images; each family has a module of its own."""

from __future__ import annotations

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.config import HistoryTooLong
from brokenreg.images.catalogue.content import CONTENT
from brokenreg.images.catalogue.indexes import IndexEmpty, IndexMissingChild
from brokenreg.images.catalogue.layers import LAYERS

_CONFIG = (HistoryTooLong,)
_INDEXES = (IndexEmpty, IndexMissingChild)

CATALOGUE: dict[str, type[ImageKind]] = {kind.name: kind for kind in (*_CONFIG, *LAYERS, *CONTENT, *_INDEXES)}
"""All kinds by name, in the order of the families."""

__all__ = ["CATALOGUE", "ImageKind"]
