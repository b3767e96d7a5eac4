"""Pages of names: `n`, `last` and Link (distribution-spec, "Listing Tags")."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import groupby, islice
from urllib.parse import urlencode

from brokenreg.oci.errors import ErrorCode, OCIError


def page_of(
    parameter: Callable[[str], str | None], lists: Sequence[Sequence[str]], path: str, kept: str = ""
) -> tuple[Sequence[str], dict[str, str]]:
    """Return the requested page of names from sorted `lists`, and a Link header if more follow.

    `parameter` returns a query parameter; `kept` is the part of the query that the link must repeat. The cost
    depends on the page, not on the lists. Raise `OCIError` 400 PAGINATION_NUMBER_INVALID if `n` is not a
    whole number from 0.
    """
    last = parameter("last") or ""
    limit = _limit(parameter("n"))
    starts = [(names, bisect_right(names, last)) for names in lists]
    starts = [(names, begin) for names, begin in starts if begin < len(names)]
    if limit is None:
        tails = [names[begin:] for names, begin in starts]
        return tails[0] if len(tails) == 1 else sorted(set().union(*tails)), {}
    following = _distinct(merge(*(_from(names, begin) for names, begin in starts)))
    page = list(islice(following, limit))
    if not page or next(following, None) is None:
        return page, {}
    query = urlencode({"n": limit, "last": page[-1]}, safe="/:")
    query = "&".join(filter(None, (query, kept)))
    return page, {"link": f'<{path}?{query}>; rel="next"'}


def _from(names: Sequence[str], begin: int) -> Iterator[str]:
    return (names[place] for place in range(begin, len(names)))


def _distinct(names: Iterator[str]) -> Iterator[str]:
    return (name for name, _ in groupby(names))


def _limit(text: str | None) -> int | None:
    if not text:  # an empty `n=` means no `n`
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise OCIError(
            400, ErrorCode.PAGINATION_NUMBER_INVALID, f"n={text[:50]!r}: a whole number from 0 is wanted"
        )
    return int(text)
