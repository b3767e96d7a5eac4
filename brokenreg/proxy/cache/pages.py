"""Where the next page of a list is (RFC 8288; distribution-spec, "Listing Tags")."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

_LINK = re.compile(r'<([^<>]*)>([^,<"]*(?:"[^"]*"[^,<"]*)*)')
_RELATION = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)

LONGEST = 8 * 1024
"""Maximum length of a link's target, in characters: parsing a longer one would block the loop too long."""


def next_page(path: str, link: str | None) -> str | None:
    """Return the page after `path` from a Link header, or None.

    Only the query of the link is used, with the path of the request, because the link could lead to any host.
    Raise `ValueError` for a link that is too long.
    """
    for target, parameters in _LINK.findall(link or ""):
        relation = _RELATION.search(parameters)
        if relation is None or "next" not in (relation[1] or relation[2] or "").lower().split():
            continue
        if len(target) > LONGEST:
            raise ValueError
        query = parse_qsl(target.partition("?")[2].partition("#")[0], keep_blank_values=True)
        if query:
            return f"{path.partition('?')[0]}?{urlencode(query, safe='/:')}"
    return None
