"""Entity tags in conditional requests (RFC 9110, section 8.8.3)."""

from __future__ import annotations

import re

_TAG = re.compile(r'[ \t]*(?:[Ww]/)?(?:"([^"]*)"|([^" \t,]+))[ \t]*(?:,|\Z)')
"""A tag and the comma after it. Some clients omit the quotes."""


def lists_tag(value: str, tag: str) -> bool:
    """Return whether an If-None-Match contains `tag`, weak or strong, or is `*` (RFC 9110, 13.1.2)."""
    if value == "*":
        return True
    position = 0
    while position < len(value):
        if match := _TAG.match(value, position):
            if tag in match.groups():
                return True
            position = match.end()
        elif not (position := value.find(",", position) + 1):  # skip what is not a tag
            return False
    return False
