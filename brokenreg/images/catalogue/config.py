"""Configurations that are odd."""

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor


class HistoryTooLong(ImageKind):
    """The configuration has more steps in its history than the image has layers.

    The `steps` further ones do not say that they have no layer.
    """

    name = "history-too-long"
    clients = "skopeo and ctr pull it. docker and podman do not."
    sources = 'image-spec, "config.md": a step without a layer says so with `empty_layer`'

    steps: int = Field(3, ge=1, le=1000, description="number of further steps")

    def make(self, draft: Draft) -> Descriptor:
        layers = [draft.layer()]
        more = [{"created_by": "a step without a layer"}] * self.steps
        history = [*draft.config_document(layers)["history"], *more]
        return draft.image(layers, draft.config(layers, history=history))
