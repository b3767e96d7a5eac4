"""Constructors of the faults of the family redirect. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import Fault, with_parameters


@with_parameters
def redirect(
    *,
    form: Literal[
        "works",
        "expired",
        "expired-r2",
        "head-only",
        "not-found",
        "rejects-authorization",
        "artifactory",
        "html",
        "landing-page",
        "captcha",
        "loop",
        "dead",
    ] = "works",
    status: int = 307,
    get_only: bool = False,
    lifetime: float | str = 3600.0,
    hops: int = 1,
    processed: bool = False,
) -> Fault:
    """Redirects to a signed URL at the second origin, as registries with an object store do.

    `form` selects what happens at that URL:

    - `works`: the content is served
    - `expired`: 403 with an XML body (AccessDenied), as at S3
    - `expired-r2`: 403 with an XML body (ExpiredRequest), as at R2
    - `head-only`: the URL is valid only for HEAD, and GET gets a 403
    - `not-found`: 404 with an XML body
    - `rejects-authorization`: 400 with an XML body if the client sends Authorization, as at Azure
    - `artifactory`: 401 with another challenge, without a scope, unless the client sends Authorization. The
      path of the URL begins with /artifactory/api/docker
    - `html`: 200 with an HTML page
    - `landing-page`: 200 with an HTML page of 11,500 bytes, as from Artifactory
    - `captcha`: 200 with an HTML page that requires proof that the client is a person
    - `loop`: a redirect to itself
    - `dead`: the URL has a port that refuses connections

    The URL responds with 403 when its `lifetime` is over. With `hops`, the content follows after that many
    redirects. Rules are not evaluated at the second origin. `brokenreg status --json` lists the credentials
    that arrive there. The fault has no effect on a client that must log in first.

    The default endpoint is `blob`.

    Parameters:

    - `form`: what happens at the URL
    - `status`: status of the redirect
    - `get_only`: whether only GET is redirected, not HEAD
    - `lifetime`: how long the URL works
    - `hops`: number of redirects before the content, including this one
    - `processed`: whether the registry carries out the request first; its response is dropped. Only POST,
      PUT, PATCH and DELETE are carried out
    """
    return Fault(type="redirect")
