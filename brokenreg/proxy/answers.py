"""What becomes of an upstream's statuses: its honest answer to our client, in OCI form."""

from __future__ import annotations

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.proxy.client import UpstreamResponse
from brokenreg.proxy.errors import UpstreamStatusError
from brokenreg.proxy.route import Route

_KINDS = {
    ErrorCode.BLOB_UNKNOWN: ("blob", "digest"),
    ErrorCode.MANIFEST_UNKNOWN: ("manifest", "reference"),
    ErrorCode.NAME_UNKNOWN: ("list", "path"),
}


def unknown(code: ErrorCode, reference: str, message: str) -> OCIError:
    """404, in the form that the code has."""
    return OCIError(404, code, message, detail={_KINDS[code][1]: reference})


def refusal(route: Route, code: ErrorCode, reference: str, response: UpstreamResponse) -> UpstreamStatusError:
    """The error for a status that is no success; `code` is what a 404 means for what was asked.

    A 401 goes on without a challenge: the client has no credentials for the upstream, and must not send
    those to us.
    """
    told, who = response.status, response.source
    what = f"{_KINDS[code][0]} {reference} of {route.repository}"
    if told in (404, 410):
        detail = {_KINDS[code][1]: reference}
        return UpstreamStatusError(told, 404, code, f"{who} has no {what}", detail=detail)
    if told == 401:
        return UpstreamStatusError(told, 401, ErrorCode.UNAUTHORIZED, _wanted_login(route, who))
    if told == 403:
        return UpstreamStatusError(told, 403, ErrorCode.DENIED, f"{who} denies access to {what}")
    if told == 429:
        return UpstreamStatusError.too_many_requests(who, response.header("retry-after"))
    return UpstreamStatusError(
        told, 502, ErrorCode.UNAVAILABLE, f"{who} answered {told} when asked for {what}"
    )


def _wanted_login(route: Route, who: str) -> str:
    if who != route.upstream:
        return f"{who} wants credentials, which are shown to {route.upstream} alone"
    return (
        f"{who} wants other credentials for {route.repository} than it was shown; "
        f"log in where brokenreg runs (docker login {who}, podman login {who})"
    )
