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
) -> Fault:
    """Responds with `status` and an OCI error instead of the content.

    The registry does not process the request, so a push stores nothing. `body` selects the form of the
    body: an OCI error, an HTML page such as proxies send, or nothing.

    The default endpoint is `manifest`.

    Parameters:

    - `status`: HTTP status, 400 to 599
    - `code`: error code; by default the usual one for the status
    - `message`: error message; by default the usual one for the status
    - `body`: form of the body
    - `retry_after`: value of the Retry-After header
    """
    return Fault(type="error")


@with_parameters
def rate_limit(
    *,
    quota: int = 0,
    window: float | str = 60.0,
    by: Literal["client", "all"] = "client",
    retry_after: Literal["seconds", "date", "absent", "garbage", "huge"] = "seconds",
) -> Fault:
    """Allows `quota` requests per `window` and responds to all others with 429 (code TOOMANYREQUESTS).

    A window starts with its first request. `by` decides whether each client address has a window of its own
    or all clients share one. Every response has the headers `ratelimit-limit` and `ratelimit-remaining` in
    the form that Docker Hub uses (`100;w=21600`). `retry_after` selects the Retry-After header of a 429:

    - `seconds`: the number of seconds until the window ends
    - `date`: the time at which the window ends
    - `absent`: no header
    - `garbage`: neither a number nor a date
    - `huge`: ten years

    The default endpoint is `manifest`.

    Parameters:

    - `quota`: number of requests allowed per window; 0 allows none
    - `window`: length of the window
    - `by`: whose requests are counted together
    - `retry_after`: form of the Retry-After header
    """
    return Fault(type="rate-limit")


@with_parameters
def not_found() -> Fault:
    """Responds with 404 and the error code that fits the request, for example BLOB_UNKNOWN.

    The default endpoint is `layer`.
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

    The rule must match the PUT of the push as well as the GET and HEAD requests after it. The fault applies
    to both the tag and the digest of the pushed manifest.

    The default endpoint is `manifest`.

    Parameters:

    - `reads`: number of requests after a push that get a 404
    - `dur`: how long after a push all requests get a 404
    """
    return Fault(type="read-after-write")
