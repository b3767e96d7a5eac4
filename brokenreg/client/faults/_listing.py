"""Constructors of the faults of the family listing. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import Fault, with_parameters


@with_parameters
def tag_pages(
    *,
    link: Literal["honest", "absent", "malformed", "cyclic", "absolute", "foreign"] = "honest",
    page: int | None = None,
    cap: int | None = None,
    refusal: Literal["usual", "ecr"] = "usual",
    invented: int = 0,
) -> Fault:
    """Lists tags in pages that clients often handle incorrectly.

    `invented` adds that many fabricated tags. `page` is the page size, even if the client requests larger
    pages or none. `cap` refuses a larger `n` with 400 (code PAGINATION_NUMBER_INVALID), or, with `refusal`
    set to `ecr`, with 405 (code UNSUPPORTED) and a message about `maxResults`. `link` selects what is wrong
    with the Link to the next page:

    - `honest`: nothing
    - `absent`: it is missing although there is another page
    - `malformed`: it has a syntax error
    - `cyclic`: the last page links to the first, so the list never ends
    - `absolute`: it is a URL with a host, which is valid but rare
    - `foreign`: it leads to the second origin, which does not have the fabricated tags and records
      credentials that arrive there

    The default endpoint is `tags`.

    Parameters:

    - `link`: what is wrong with Link
    - `page`: maximum page size; by default as requested
    - `cap`: largest `n` that is accepted; by default any
    - `refusal`: form of the refusal
    - `invented`: number of additional, fabricated tags
    """
    return Fault(type="tag-pages")


@with_parameters
def referrers(
    *,
    form: Literal[
        "not-found", "bad-request", "html", "redirect", "cut-off", "empty", "none", "wrong-type", "paged"
    ] = "not-found",
) -> Fault:
    """Responds incorrectly to requests for the referrers of a manifest.

    `form` selects the response:

    - `not-found`, `bad-request`: 404 or 400, as from a registry without this API; clients must then look for
      the tag `sha256-<hex>`
    - `html`: 200 with an HTML page
    - `redirect`: 307 to an HTML page at the second origin
    - `cut-off`: 303 to the second origin with a URL that lacks the digest, and a 429 there
    - `empty`: 200 without a body
    - `none`: an empty index
    - `wrong-type`: a document that is not an index
    - `paged`: one referrer per page, with Link

    The default endpoint is `referrers`.

    Parameters:

    - `form`: the response
    """
    return Fault(type="referrers")
