"""Artifacts: what is stored in registries besides images, and what refers to an image."""

from __future__ import annotations

from brokenreg.images.catalogue.artifacts.generic import (
    ArtifactEmptyConfig,
    ArtifactLayerUnknown,
    ArtifactManifest,
    ArtifactUnknown,
)
from brokenreg.images.catalogue.artifacts.packages import ArtifactHelm, ArtifactModel, ArtifactWasm
from brokenreg.images.catalogue.artifacts.referrers import (
    ArtifactCosign,
    ArtifactReferrers,
    ArtifactSubjectMissing,
)

ARTIFACTS = (
    ArtifactEmptyConfig,
    ArtifactUnknown,
    ArtifactLayerUnknown,
    ArtifactManifest,
    ArtifactHelm,
    ArtifactWasm,
    ArtifactModel,
    ArtifactCosign,
    ArtifactReferrers,
    ArtifactSubjectMissing,
)
"""The kinds of this family."""
