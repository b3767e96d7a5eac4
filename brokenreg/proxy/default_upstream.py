"""Decides the response to a short name (one without a host) when the default upstream fails.

Clients send HEAD for a tag before they push it, and continue only after a 404. Therefore every failure of a
HEAD becomes a 404. Lists also become a 404, except if the upstream responds with 429 or 5xx. A GET becomes a
404 only if the upstream refuses it: an outage must not look like a missing image. If the name contains its
upstream, the response always reports the failure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn, TypeVar

from brokenreg.oci.errors import ErrorCode
from brokenreg.proxy.errors import (
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamSilentError,
    UpstreamStatusError,
    UpstreamUnreachableError,
)
from brokenreg.proxy.http.statuses import not_found
from brokenreg.proxy.routes import Route

Result = TypeVar("Result")

WAIT = 3.0
"""Seconds that a HEAD or a list waits for the default upstream."""

DOWN = 30.0
"""Seconds for which a default upstream that was down is not contacted for a HEAD or a list."""

_REFUSALS = (401, 403, 404, 410)


class RequestKind(Enum):
    """The kind of a request: HEAD and LIST look something up, GET needs the content."""

    HEAD = "HEAD of a manifest or a blob"
    LIST = "tags or referrers"
    GET = "GET of a manifest or a blob"


@dataclass(frozen=True, slots=True)
class ContentRequest:
    """The requested content; `code` is the error code if it is missing."""

    kind: RequestKind
    code: ErrorCode
    reference: str


class DefaultUpstreamPolicy:
    """Decides what clients get if the default upstream fails; remembers for `DOWN` seconds that it did."""

    def __init__(self) -> None:
        self._down_until = 0.0
        self._reason = ""

    async def run(
        self,
        route: Route,
        request: ContentRequest,
        work: Callable[[], Awaitable[Result]],
        fall_back: Callable[[UpstreamError], Result],
    ) -> Result:
        """Return the result of `work`. If the upstream fails, return the result of `fall_back` instead.

        `fall_back` may raise the error again. For a short name, raise `OCIError` 404 in place of an
        `UpstreamError` that clients must not see.
        """
        try:
            try:
                return await (self._run_limited(route, request, work) if route.short_name else work())
            except UpstreamError as error:
                return fall_back(error)
        except UpstreamError as error:
            if not route.short_name or _is_reported(error, request.kind):
                raise
            message = f"nothing was pushed to {route.short_name}; {error.message}"
            raise not_found(request.code, request.reference, message) from None

    async def _run_limited(
        self, route: Route, request: ContentRequest, work: Callable[[], Awaitable[Result]]
    ) -> Result:
        """Wait for `work` for a limited time. The work itself continues. Raise `UpstreamError`."""
        is_lookup = request.kind is not RequestKind.GET
        if is_lookup:
            self._check_down()
        try:
            async with asyncio.timeout(WAIT if is_lookup else None):
                result = await work()
        except TimeoutError:
            silent = UpstreamSilentError(f"{route.upstream} did not respond within {WAIT:g} s")
            if request.kind is RequestKind.HEAD:  # a list may have many pages
                self._note_down(silent)
            raise silent from None
        except UpstreamError as error:
            if error.is_outage:
                self._note_down(error)
            elif isinstance(error, UpstreamStatusError):
                self._down_until = 0.0
            raise
        self._down_until = 0.0
        return result

    def _note_down(self, error: UpstreamError) -> None:
        self._down_until = time.monotonic() + DOWN
        self._reason = error.message

    def _check_down(self) -> None:
        """Raise `UpstreamUnreachableError` if the upstream was recently down."""
        left = self._down_until - time.monotonic()
        if left > 0:
            raise UpstreamUnreachableError(f"{self._reason}; brokenreg tries again in {left:.0f} s")


def reraise(error: UpstreamError) -> NoReturn:
    """Raise the error again. This is the fallback of requests that have no other."""
    raise error


def _is_reported(error: UpstreamError, kind: RequestKind) -> bool:
    """Return whether the response for a short name reports this failure of the default upstream."""
    if kind is RequestKind.HEAD:
        return False
    if isinstance(error, UpstreamStatusError):
        return error.upstream_status not in _REFUSALS
    outages = (UpstreamUnreachableError, UpstreamSilentError, UpstreamForbiddenError)
    return kind is RequestKind.GET or not isinstance(error, outages)
