"""What becomes of an upstream's statuses: its honest answer to our client, in OCI form."""

from __future__ import annotations

import asyncio
import json

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.proxy.errors import UpstreamError, UpstreamLoopError, UpstreamStatusError
from brokenreg.proxy.http.client import UpstreamResponse
from brokenreg.proxy.routes import OFFLINE, Route, tells_of_loop
from brokenreg.redaction import redact_text
from brokenreg.wording import printable

_KINDS = {
    ErrorCode.BLOB_UNKNOWN: ("blob", "digest"),
    ErrorCode.MANIFEST_UNKNOWN: ("manifest", "reference"),
    ErrorCode.NAME_UNKNOWN: ("list", "path"),
}

_LONGEST = 64 * 1024
"""Bytes of an answer that are read for what it says of itself."""

_LIMIT = 2.0
"""Seconds that such an answer may take: it is told without its words then."""

_MOST_WORDS = 200
"""Characters."""


def unknown(code: ErrorCode, reference: str, message: str) -> OCIError:
    """404, in the form that the code has."""
    return OCIError(404, code, message, detail={_KINDS[code][1]: reference})


def not_here(route: Route, code: ErrorCode, reference: str) -> OCIError:
    """Return a 404 for missing content whose upstream is not contacted. It names only what was requested."""
    what = f"{_thing(code, reference)} of {route.requested}"
    return unknown(code, reference, f"{what} is not here, and {route.no_contact_reason or OFFLINE}")


def get_decides(response: UpstreamResponse) -> bool:
    """Return whether only GET can decide after a failed HEAD: the HEAD was refused or redirected.

    Some registries refuse every HEAD, and the URL of a redirect may be signed for GET only.
    """
    return response.is_redirected or (response.status != 429 and response.status < 500)


async def refusal(route: Route, code: ErrorCode, reference: str, response: UpstreamResponse) -> UpstreamError:
    """The error for a status that is no success; `code` is what a 404 means for what was asked.

    It ends with what the upstream says itself, if that is in OCI form. A 401 goes on without a challenge: the
    client has no credentials for the upstream, and must not send those to us.
    """
    told, who = response.status, response.source
    if tells_of_loop(response.header("proxy-status")):
        return UpstreamLoopError(
            f"a loop: what is asked of {response.place} comes back to a registry that has asked for it; "
            f"--upstream {route.upstream}=URL (or --default-upstream) must name one that has the image"
        )
    says = await _words(response)
    what = f"{_thing(code, reference)} of {route.repository}"
    if told in (404, 410):
        detail = {_KINDS[code][1]: reference}
        return UpstreamStatusError(told, 404, code, f"{who} has no {what}{says}", detail=detail)
    if told == 401:
        return UpstreamStatusError(told, 401, ErrorCode.UNAUTHORIZED, _wanted_login(route, response) + says)
    if told == 403:
        return UpstreamStatusError(told, 403, ErrorCode.DENIED, f"{who} denies access to {what}{says}")
    if told == 429:
        return UpstreamStatusError.too_many_requests(who, response.header("retry-after"), says)
    return UpstreamStatusError(
        told, 502, ErrorCode.UNAVAILABLE, f"{who} answered {told} when asked for {what}{says}"
    )


def _thing(code: ErrorCode, reference: str) -> str:
    if code is ErrorCode.NAME_UNKNOWN:
        return f"list of {reference.partition('/')[0]}"
    return f"{_KINDS[code][0]} {reference}"


async def _words(response: UpstreamResponse) -> str:
    """What an error response says of itself, after a colon; nothing if it is not in OCI form, or too slow."""
    try:
        async with asyncio.timeout(_LIMIT):
            body = await response.read(_LONGEST)
        words = json.loads(body)["errors"][0]["message"]
    except (UpstreamError, TimeoutError, ValueError, LookupError, TypeError, RecursionError):
        return ""
    if not isinstance(words, str) or not words.strip():
        return ""
    return f": {printable(redact_text(words.strip()))[:_MOST_WORDS]}"  # a cut secret is not recognised


def _wanted_login(route: Route, response: UpstreamResponse) -> str:
    who = response.source
    if who != route.upstream:
        return f"{who} wants credentials, which are shown to {route.upstream} alone"
    if response.lacks:
        return f"{who} wants credentials for {route.repository}; {response.lacks}"
    return (
        f"{who} wants other credentials for {route.repository} than it was shown; "
        f"log in where brokenreg runs (docker login {who}, podman login {who})"
    )
