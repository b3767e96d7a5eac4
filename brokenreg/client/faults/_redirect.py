"""Constructors of the faults of the family redirect. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import Fault, with_parameters


@with_parameters
def redirect(
    *,
    form: Literal["works", "expired", "head-only", "html", "loop", "dead"] = "works",
    status: Literal[301, 302, 303, 307, 308] = 307,
    lifetime: float | str = 3600.0,
    hops: int = 1,
) -> Fault:
    """Redirects to a signed URL at the second origin, as registries with an object store do.

    `form` selects what happens at that URL:

    - `works`: the content is served
    - `expired`: 403 with an XML body
    - `head-only`: the URL is valid only for HEAD, and GET gets a 403
    - `html`: 200 with an HTML page
    - `loop`: a redirect to itself
    - `dead`: the URL has a port that refuses connections

    The URL responds with 403 when its `lifetime` is over. With `hops`, the content follows after that many
    redirects. Rules are not evaluated at the second origin. `brokenreg status --json` lists the credentials
    that arrive there. The fault has no effect on a client that must log in first.

    The default endpoint is `blob`.

    Parameters:

    - `form`: what happens at the URL
    - `status`: status of the redirect: 301, 302, 303, 307 or 308
    - `lifetime`: how long the URL works
    - `hops`: number of redirects before the content, including this one
    """
    return Fault(type="redirect")
