"""Converts error statuses of an upstream into the errors that clients get, in OCI form."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.proxy.errors import UpstreamError, UpstreamLoopError, UpstreamStatusError
from brokenreg.proxy.routes import OFFLINE, Route, reports_loop
from brokenreg.redaction import redact_text
from brokenreg.wording import printable

if TYPE_CHECKING:
    from brokenreg.proxy.http.client import UpstreamResponse

_KINDS = {
    ErrorCode.BLOB_UNKNOWN: ("blob", "digest"),
    ErrorCode.MANIFEST_UNKNOWN: ("manifest", "reference"),
    ErrorCode.NAME_UNKNOWN: ("list", "path"),
}

_MAX_BODY = 64 * 1024
"""Maximum size of an error response that is read for its message, in bytes."""

_READ_TIMEOUT = 2.0
"""Seconds to read an error response. After that, its message is left out."""

_MAX_MESSAGE = 200
"""Maximum length of the upstream's message, in characters."""


def not_found(code: ErrorCode, reference: str, message: str) -> OCIError:
    """Return a 404 with the detail that the code requires."""
    return OCIError(404, code, message, detail={_KINDS[code][1]: reference})


def not_cached(route: Route, code: ErrorCode, reference: str) -> OCIError:
    """Return a 404 for content that is not cached and whose upstream is not contacted.

    The message contains only names that the request contains.
    """
    what = f"{_content(code, reference)} of {route.requested}"
    return not_found(code, reference, f"{what} is not cached, and {route.no_contact_reason or OFFLINE}")


def needs_get(response: UpstreamResponse) -> bool:
    """Return whether a GET is necessary after a failed HEAD, because the HEAD was refused or redirected.

    Some registries refuse every HEAD, and the URL of a redirect may be signed for GET only.
    """
    return response.is_redirected or (response.status != 429 and response.status < 500)


async def status_error(
    route: Route, code: ErrorCode, reference: str, response: UpstreamResponse
) -> UpstreamError:
    """Return the error for an error status; `code` is the error code of a 404.

    Its message ends with the upstream's own message, if that is in OCI form. A 401 is passed on without a
    challenge, because clients must not send credentials for the upstream to us.
    """
    status, server = response.status, response.source
    if reports_loop(response.header("proxy-status")):
        return UpstreamLoopError(
            f"request loop: a request to {response.source_with_host} came back to a registry "
            "that sent it; "
            f"use --upstream {route.upstream}=URL or --default-upstream to name one that has the image"
        )
    suffix = await _message(response)
    what = f"{_content(code, reference)} of {route.repository}"
    if status in (404, 410):
        detail = {_KINDS[code][1]: reference}
        return UpstreamStatusError(status, 404, code, f"{server} has no {what}{suffix}", detail=detail)
    if status == 401:
        return UpstreamStatusError(status, 401, ErrorCode.UNAUTHORIZED, _login_hint(route, response) + suffix)
    if status == 403:
        return UpstreamStatusError(status, 403, ErrorCode.DENIED, f"{server} denies access to {what}{suffix}")
    if status == 429:
        return UpstreamStatusError.too_many_requests(server, response.header("retry-after"), suffix)
    return UpstreamStatusError(
        status,
        502,
        ErrorCode.UNAVAILABLE,
        f"{server} responded with {status} to a request for {what}{suffix}",
    )


def _content(code: ErrorCode, reference: str) -> str:
    if code is ErrorCode.NAME_UNKNOWN:
        return f"list of {reference.partition('/')[0]}"
    return f"{_KINDS[code][0]} {reference}"


async def _message(response: UpstreamResponse) -> str:
    """Return the message of an error response after a colon, or "" if it is not in OCI form or too slow."""
    try:
        async with asyncio.timeout(_READ_TIMEOUT):
            body = await response.read(_MAX_BODY)
        message = json.loads(body)["errors"][0]["message"]
    except (UpstreamError, TimeoutError, ValueError, LookupError, TypeError, RecursionError):
        return ""
    if not isinstance(message, str) or not message.strip():
        return ""
    return f": {printable(redact_text(message.strip()))[:_MAX_MESSAGE]}"  # a cut secret is not recognised


def _login_hint(route: Route, response: UpstreamResponse) -> str:
    server = response.source
    if server != route.upstream:
        return f"{server} requires credentials; brokenreg sends them only to {route.upstream}"
    if response.no_credentials_reason:
        return f"{server} requires credentials for {route.repository}; {response.no_credentials_reason}"
    return (
        f"{server} does not accept the credentials that it was sent for {route.repository}; "
        f"log in on the machine where brokenreg runs (docker login {server}, podman login {server})"
    )
