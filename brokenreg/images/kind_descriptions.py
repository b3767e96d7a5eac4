"""Describes all kinds of images for `brokenreg images`, `GET /v1/images` and docs/reference/images.md."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.parameter_descriptions import ParameterDescription, parameters_of

if TYPE_CHECKING:  # only a few requests need the catalogue, whose import takes 20 ms
    from brokenreg.images.catalogue import ImageKind


class ImageDescription(BaseModel):
    """The description of one kind of image."""

    model_config = ConfigDict(frozen=True)

    name: str
    family: str
    summary: str
    description: str
    clients: str = Field(description="what clients were seen to do with it")
    sources: str = Field(description="where it was reported, and what it breaks")
    parameters: list[ParameterDescription]
    example: str = Field(description="the image, as clients write it after the host")


def image_descriptions() -> list[ImageDescription]:
    """Return the descriptions of all kinds, in the order of their families."""
    from brokenreg.images.catalogue import CATALOGUE

    return [describe_image(kind) for kind in CATALOGUE.values()]


def describe_image(kind: type[ImageKind]) -> ImageDescription:
    """Return the description of one kind."""
    return ImageDescription(
        name=kind.name,
        family=kind.family(),
        summary=kind.summary(),
        description=inspect.getdoc(kind) or "",
        clients=kind.clients,
        sources=kind.sources,
        parameters=list(parameters_of(kind)),
        example="broken/image:" + "_".join(filter(None, (kind.name, kind.example))),
    )
