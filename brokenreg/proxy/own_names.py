"""Names without a host: a failure of the default upstream does not decide the response for them.

Clients send HEAD for a tag before they push it, and go on only after a 404. So a HEAD is answered with 404,
whatever has failed; lists also, unless the upstream responds with 429 or 5xx. A GET is answered with 404 if
the upstream refuses it, and with what failed otherwise: an outage must not look like a missing image. If the
name contains its upstream, the response always says what failed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn, TypeVar

from brokenreg.oci.errors import ErrorCode
from brokenreg.proxy.answers import unknown
from brokenreg.proxy.errors import (
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamSilentError,
    UpstreamStatusError,
    UpstreamUnreachableError,
)
from brokenreg.proxy.route import Route

Result = TypeVar("Result")

WAIT = 3.0
"""Seconds that whoever only looks waits for the default upstream."""

DOWN = 30.0
"""Seconds in which a default upstream that was down is not contacted for those who only look."""

_REFUSALS = (401, 403, 404, 410)


class Inquiry(Enum):
    """How a client asks: a HEAD or a LIST only looks, a GET wants an image."""

    HEAD = "HEAD of a manifest or a blob"
    LIST = "tags or referrers"
    GET = "GET of a manifest or a blob"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; `code` is what its absence is called."""

    inquiry: Inquiry
    code: ErrorCode
    reference: str


class OwnNames:
    """Applies the rule, and remembers for `DOWN` seconds that the default upstream was down."""

    def __init__(self) -> None:
        self._down_until = 0.0
        self._reason = ""

    async def answer(
        self,
        route: Route,
        wanted: Wanted,
        work: Callable[[], Awaitable[Result]],
        fall_back: Callable[[UpstreamError], Result],
    ) -> Result:
        """What `work` gets from the upstream, else what `fall_back` has in its place, or raises again.

        Raise `OCIError` 404 in place of an `UpstreamError` that does not decide the response.
        """
        try:
            try:
                return await (self._ask(route, wanted, work) if route.own else work())
            except UpstreamError as error:
                return fall_back(error)
        except UpstreamError as error:
            if not route.own or _decides(error, wanted.inquiry):
                raise
            message = f"{route.own} was never pushed to; {error.message}"
            raise unknown(wanted.code, wanted.reference, message) from None

    async def _ask(self, route: Route, wanted: Wanted, work: Callable[[], Awaitable[Result]]) -> Result:
        """Raise `UpstreamError`. The work goes on when the wait for it is over."""
        only_looks = wanted.inquiry is not Inquiry.GET
        if only_looks:
            self._check_down()
        try:
            async with asyncio.timeout(WAIT if only_looks else None):
                result = await work()
        except TimeoutError:
            silent = UpstreamSilentError(f"{route.upstream} did not respond within {WAIT:g} s")
            if wanted.inquiry is Inquiry.HEAD:  # a list may have many pages
                self._note_down(silent)
            raise silent from None
        except UpstreamError as error:
            if error.is_of_all:
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
        """Raise `UpstreamUnreachableError` while the upstream is given a rest."""
        left = self._down_until - time.monotonic()
        if left > 0:
            raise UpstreamUnreachableError(f"{self._reason}; it is contacted again in {left:.0f} s")


def no_other(error: UpstreamError) -> NoReturn:
    """Raise the error again: nothing is there to fall back on."""
    raise error


def _decides(error: UpstreamError, inquiry: Inquiry) -> bool:
    """Whether a failure of the default upstream is the response for a name without a host."""
    if inquiry is Inquiry.HEAD:
        return False
    if isinstance(error, UpstreamStatusError):
        return error.told not in _REFUSALS
    outages = (UpstreamUnreachableError, UpstreamSilentError, UpstreamForbiddenError)
    return inquiry is Inquiry.GET or not isinstance(error, outages)
