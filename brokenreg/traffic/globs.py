"""Globs: their syntax, and which texts they match."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

OR = "|"
WILD = re.compile(r"[*?\[]")

Glob = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""A glob in the syntax of `fnmatch`: `*` crosses `/`, and case is significant."""


def _check_alternatives(globs: str) -> str:
    if not all(globs.split(OR)):
        raise ValueError("has an empty alternative; write `a|b` for a or b")
    return globs


Globs = Annotated[Glob, AfterValidator(_check_alternatives)]
"""A glob, or several of which one must match (`a|b`), for texts that never contain `|`."""


def any_of(globs: str) -> Callable[[str], object]:
    """Return a true value if one of the alternatives matches the text."""
    matchers = [matcher(glob) for glob in globs.split(OR)]
    return matchers[0] if len(matchers) == 1 else lambda text: any(match(text) for match in matchers)


def matcher(glob: str) -> Callable[[str], object]:
    """Return a true value if the glob matches the text."""
    if not WILD.search(glob):
        return glob.__eq__
    return re.compile(fnmatch.translate(glob)).match
