"""Manifests that are odd."""

from __future__ import annotations

from brokenreg.images.catalogue.manifests.documents import (
    ManifestDeep,
    ManifestDuplicateKeys,
    ManifestEncoding,
    ManifestLarge,
    ManifestNotJSON,
)
from brokenreg.images.catalogue.manifests.members import (
    ManifestAnnotations,
    ManifestDigest,
    ManifestMissingBlob,
    ManifestSizeFormat,
)
from brokenreg.images.catalogue.manifests.schema1 import ManifestSchema1
from brokenreg.images.catalogue.manifests.types import (
    ManifestContentType,
    ManifestMediaType,
    ManifestSchemaVersion,
)

MANIFESTS = (
    ManifestMediaType,
    ManifestContentType,
    ManifestSchemaVersion,
    ManifestSchema1,
    ManifestLarge,
    ManifestDeep,
    ManifestNotJSON,
    ManifestEncoding,
    ManifestDuplicateKeys,
    ManifestAnnotations,
    ManifestSizeFormat,
    ManifestDigest,
    ManifestMissingBlob,
)
"""The kinds of this family."""
