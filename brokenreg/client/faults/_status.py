"""Constructors of the faults of the family status. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import Fault, with_parameters


@with_parameters
def error(
    *,
    status: int = 500,
    code: str | None = None,
    message: str | None = None,
    body: Literal["json", "html", "empty"] = "json",
    retry_after: str | None = None,
    processed: bool = False,
) -> Fault:
    """Responds with `status` and an OCI error instead of the content.

    Without `processed`, the registry does not see the request, so a push stores nothing. `body` selects the
    form of the body: an OCI error, an HTML page such as proxies send, or nothing.

    The default endpoint is `manifest`.

    Parameters:

    - `status`: HTTP status
    - `code`: error code; by default the usual one for the status
    - `message`: error message; by default the usual one for the status
    - `body`: form of the body
    - `retry_after`: value of the Retry-After header
    - `processed`: whether the registry carries out the request first; its response is dropped. Only POST,
      PUT, PATCH and DELETE are carried out
    """
    return Fault(type="error")


@with_parameters
def status(*, status: int = 200) -> Fault:
    """Lets the registry respond as usual, but with another success status.

    Some registries respond to PATCH with 204 and to PUT with 200, for example. The headers and the body stay
    the same, except that 204 has no body.

    The default endpoint is `upload`.

    Parameters:

    - `status`: HTTP status
    """
    return Fault(type="status")


@with_parameters
def rate_limit(
    *,
    quota: int = 0,
    used: int = 0,
    window: float | str = 60.0,
    by: Literal["client", "all"] = "client",
    retry_after: Literal["seconds", "date", "absent", "garbage", "huge"] = "seconds",
    headers: Literal["usual", "docker-hub", "none"] = "usual",
    count_head: bool = True,
    message: str = "You have reached your pull rate limit",
) -> Fault:
    """Allows `quota` requests per `window` and responds to all others with 429 (code TOOMANYREQUESTS).

    A window starts with its first request. `by` decides whether each client address has a window of its own
    or all clients share one. `message` is the message of a 429. `retry_after` selects its Retry-After header:

    - `seconds`: the number of seconds until the window ends
    - `date`: the time at which the window ends
    - `absent`: no header
    - `garbage`: neither a number nor a date
    - `huge`: ten years

    `headers` selects the headers that announce the limit:

    - `usual`: `ratelimit-limit` and `ratelimit-remaining` in every response, as in `100;w=21600`
    - `docker-hub`: the same and `docker-ratelimit-source` (the client's address, or the /64 network of IPv6),
      but not in a 429
    - `none`: no headers

    With `docker-hub`, the addresses of one /64 network of IPv6 are one client. If `count_head` is false, HEAD
    is neither counted nor refused, as at Docker Hub. `used` is how many requests the first window counts in
    advance: if it equals `quota`, none is left.

    The default endpoint is `manifest`.

    Parameters:

    - `quota`: number of requests allowed per window; 0 allows none
    - `used`: number of requests that the first window starts with
    - `window`: length of the window
    - `by`: whose requests are counted together
    - `retry_after`: form of the Retry-After header
    - `headers`: headers that announce the limit
    - `count_head`: whether HEAD is counted
    - `message`: message of a 429
    """
    return Fault(type="rate-limit")


@with_parameters
def not_found(*, attestations: bool = False, processed: bool = False) -> Fault:
    """Responds with 404 and the error code that fits the request, for example BLOB_UNKNOWN.

    With `attestations`, this applies only to the manifests of attestations, whose layers are in-toto
    statements; use it with endpoint `manifest`. An index of buildx has one for each platform.

    The default endpoint is `layer`.

    Parameters:

    - `attestations`: whether only manifests of attestations are missing
    - `processed`: whether the registry carries out the request first; its response is dropped. Only POST,
      PUT, PATCH and DELETE are carried out
    """
    return Fault(type="not-found")


@with_parameters
def head_differs(*, status: int = 404) -> Fault:
    """Responds to HEAD with `status` and without the usual headers; GET works as usual.

    The default endpoint is `manifest`.

    Parameters:

    - `status`: status of the response to HEAD
    """
    return Fault(type="head-differs")


@with_parameters
def read_after_write(*, reads: int = 0, dur: float | str = 0.0) -> Fault:
    """Responds with 404 after a push, to the first `reads` requests or for `dur`, whichever is longer.

    For a manifest, the rule must match the PUT of the push as well as the GET and HEAD requests after it. The
    fault applies to both the tag and the digest of the pushed manifest. With endpoint `blob`, `config` or
    `layer`, it applies to blobs that were pushed after the rule was added.

    The default endpoint is `manifest`.

    Parameters:

    - `reads`: number of requests after a push that get a 404
    - `dur`: how long after a push all requests get a 404
    """
    return Fault(type="read-after-write")
