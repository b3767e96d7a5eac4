"""Checks the image that `client.image` of a scenario names, if brokenreg itself makes it."""

from __future__ import annotations

from brokenreg.images.catalogue.tags import kind_of
from brokenreg.images.fabricator import KINDS
from brokenreg.images.odd_images import REPOSITORY
from brokenreg.oci.digests import is_digest
from brokenreg.oci.target import parse_target
from brokenreg.rules.path_rules import check_path


def check_image(image: str) -> None:
    """Raise `OCIError` if a registry without any content refuses the path or the tag of that image.

    Only images of brokenreg itself, and the faults and profiles in a path, are checked.
    """
    repository, at, reference = image.partition("@")
    if not at:
        repository, _, reference = image.rpartition(":")
    target = parse_target(f"/v2/{repository}/manifests/{reference}")
    if target.error is not None:
        raise target.error
    check_path(target)
    if is_digest(target.reference):
        return
    if target.repository == REPOSITORY:
        kind_of(target.reference)
    elif target.repository in KINDS:
        KINDS[target.repository](target.reference)
