"""Indexes that are odd, or that lead to odd manifests."""

from __future__ import annotations

from brokenreg.images.catalogue.indexes.children import (
    IndexChildSize,
    IndexChildUnknown,
    IndexMissingChild,
    IndexMixedTypes,
)
from brokenreg.images.catalogue.indexes.platforms import (
    IndexAttestation,
    IndexOtherPlatform,
    IndexPlatform,
    IndexVariants,
)
from brokenreg.images.catalogue.indexes.shapes import (
    IndexCyclic,
    IndexEmpty,
    IndexMany,
    IndexMediaType,
    IndexNested,
)

INDEXES = (
    IndexEmpty,
    IndexMany,
    IndexNested,
    IndexCyclic,
    IndexMediaType,
    IndexMissingChild,
    IndexChildSize,
    IndexChildUnknown,
    IndexMixedTypes,
    IndexPlatform,
    IndexOtherPlatform,
    IndexVariants,
    IndexAttestation,
)
"""The kinds of this family."""
