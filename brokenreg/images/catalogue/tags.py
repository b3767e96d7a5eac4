"""Finds the kind and its parameters in a tag of `broken/image`."""

from __future__ import annotations

from functools import lru_cache

from pydantic import ValidationError

from brokenreg.images.catalogue import CATALOGUE, ImageKind
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.params import spell, split_params
from brokenreg.validation import describe_error, error_location
from brokenreg.wording import all_near, quoted

_CACHED = 1024


@lru_cache(_CACHED)
def kind_of(tag: str) -> ImageKind:
    """Return the kind with the parameters in a tag: `<kind>[_<key>-<value>...]`.

    Raise `OCIError`: 404 MANIFEST_UNKNOWN if there is no such kind, 400 MANIFEST_INVALID for a parameter that
    is unknown or wrong.
    """
    name, _, params = tag.partition("_")
    kind = CATALOGUE.get(name)
    if kind is None:
        hint = _hint(name)
        raise OCIError(404, ErrorCode.MANIFEST_UNKNOWN, f"no kind of image {quoted(name)}: {hint}")
    try:
        return kind.model_validate(split_params(params, list(kind.model_fields)))
    except ValidationError as error:
        names = [spell(part) for part in error_location(error) if isinstance(part, str)]
        problem = ": ".join((*names, describe_error(error, kind)))
    except ValueError as error:
        problem = str(error)
    raise OCIError(400, ErrorCode.MANIFEST_INVALID, f"broken/image:{tag}: {problem}")


def _hint(name: str) -> str:
    every = 'run "brokenreg images" for the list'
    if name == "latest":  # what clients request without a tag
        return f"the tag is the kind: {every}"
    return all_near(name, CATALOGUE, "broken/image:%s", every)
