"""Pages of names: `n`, `last` and Link (distribution-spec, "Listing Tags")."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from brokenreg.oci.errors import ErrorCode, OCIError


def page_of(
    parameter: Callable[[str], str | None], names: Sequence[str], path: str, kept: str = ""
) -> tuple[Sequence[str], dict[str, str]]:
    """The page of sorted `names` that the query asks for, and a Link header if there are more.

    `parameter` looks a query parameter up; `kept` is what of the query the link must repeat. Raise
    `OCIError` 400 PAGINATION_NUMBER_INVALID if `n` is not a whole number from 0.
    """
    begin = bisect_right(names, parameter("last") or "")
    limit = _limit(parameter("n"))
    if limit is None:
        return names[begin:], {}
    page = names[begin : begin + limit]
    if not page or begin + limit >= len(names):
        return page, {}
    query = urlencode({"n": limit, "last": page[-1]}, safe="/:")
    query = "&".join(filter(None, (query, kept)))
    return page, {"link": f'<{path}?{query}>; rel="next"'}


def _limit(text: str | None) -> int | None:
    if not text:  # an empty `n=` means no `n`
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise OCIError(
            400, ErrorCode.PAGINATION_NUMBER_INVALID, f"n={text[:50]!r}: a whole number from 0 is wanted"
        )
    return int(text)
