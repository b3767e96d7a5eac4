"""Hints at what was meant, for words that are not known."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def nearest(name: str, known: Collection[str], form: str = "%s") -> str:
    """What `name` may have been meant to be, or all that there is; `form` is how it is written."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {form % near[0]}?" if near else f"there are {', '.join(sorted(known))}"
