"""Indexes that are odd."""

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, platform
from brokenreg.images.odd_image import Descriptor


class IndexEmpty(ImageKind):
    """The image is an index without any manifest."""

    name = "index-empty"
    clients = "No client pulls it."
    sources = 'image-spec, "image-index.md" allows it'

    def make(self, draft: Draft) -> Descriptor:
        return draft.index([], annotations={"brokenreg.image": draft.name})


class IndexMissingChild(ImageKind):
    """The index names a manifest that the registry does not have."""

    name = "index-missing-child"
    clients = "No client pulls it."
    sources = 'distribution-spec, "Deleting Manifests": a manifest that an index names can be deleted'

    def make(self, draft: Draft) -> Descriptor:
        missing = draft.absent_manifest()
        return draft.index([{**missing, "platform": platform()}])
