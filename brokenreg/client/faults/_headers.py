"""Constructors of the faults of the family headers. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import Fault, with_parameters


@with_parameters
def header(*, header: str = "docker-content-digest", value: str | None = None, add: bool = False) -> Fault:
    """Sets, adds or removes a response header.

    Without `value`, the header is removed. Framing headers (Content-Length, Transfer-Encoding, Connection)
    cannot be changed: use `wrong-length` or `malformed` instead. Use `match.method` to treat HEAD and GET
    differently.

    The default endpoint is `manifest`.

    Parameters:

    - `header`: name of the header
    - `value`: value of the header; without it, the header is removed
    - `add`: whether existing headers of the same name are kept
    """
    return Fault(type="header")


@with_parameters
def content_type(*, value: str = "text/html") -> Fault:
    """Responds with a different Content-Type, or with none.

    The default endpoint is `manifest`.

    Parameters:

    - `value`: the media type, or `none` to send no header
    """
    return Fault(type="content-type")


@with_parameters
def no_digest(*, form: Literal["absent", "wrong", "malformed"] = "absent") -> Fault:
    """Removes Docker-Content-Digest and ETag, or sends a wrong digest.

    `form` is `absent`, `wrong` (the digest of something else) or `malformed` (not a digest). ETag is removed
    in all forms.

    The default endpoint is `manifest`.

    Parameters:

    - `form`: what is wrong with the header
    """
    return Fault(type="no-digest")


@with_parameters
def range(
    *, form: Literal["ignore", "shift", "header", "refuse", "refuse-several"] = "ignore", by: int | str = 1
) -> Fault:
    """Responds incorrectly to a Range request.

    The fault has no effect on a request without Range. `form` selects what is wrong:

    - `ignore`: 200 with the whole content
    - `shift`: 206, but the bytes start `by` bytes later than Content-Range says (416 if that is past the end)
    - `header`: 206 with the correct bytes, but Content-Range is `by` bytes too high
    - `refuse`: 416
    - `refuse-several`: 416 if the request has several ranges; without this fault, it gets the whole content

    The default endpoint is `layer`.

    Parameters:

    - `form`: what is wrong
    - `by`: number of bytes, for `shift` and `header`
    """
    return Fault(type="range")
