"""Pauses accepting while file descriptors are scarce, and reports that once.

A connected client needs descriptors too: for the blob that it pulls, the upload that it pushes, an upstream.
So a part of what the process may open is kept for those who are connected, and new clients wait in the
kernel's queue meanwhile.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import time
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)

OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""The errors of accept(2) for which asyncio pauses a listener: for 1 s."""

_RESERVED_SHARE = 4
_MOST_RESERVED = 1024
"""A quarter of the descriptors that the process may open is kept for connected clients, up to this number."""

_PATIENCE = 0.05
"""Seconds of scarcity before a pause: connections that are already closed are gone by then."""

_CALM = 3.0
"""Seconds without a pause after which the shortage is over."""


class AcceptPausedError(OSError):
    """Makes asyncio pause a listener: it has the number of an error for which asyncio does so."""

    def __init__(self) -> None:
        super().__init__(errno.EMFILE, os.strerror(errno.EMFILE))


class DescriptorBudget:
    """Decides for all listeners of the process whether another connection may be accepted.

    The kernel gives each new descriptor the lowest free number. So the number of the newest connection says
    how many descriptors are in use, without counting them.
    """

    def __init__(self) -> None:
        self._scarce_since: float | None = None
        self._paused = 0.0
        self._is_reported = False

    def check(self, listening: int, *, uses_reserve: bool) -> None:
        """Return if a listener may accept; `listening` is its descriptor.

        Otherwise, raise `BlockingIOError`, or `AcceptPausedError` after `_PATIENCE`. A listener that
        `uses_reserve` may have half of what is kept for connected clients.
        """
        if self._scarce_since is None:
            return
        used = _lowest_free(listening)
        if used < _for_connections(uses_reserve=uses_reserve):
            if used < _for_connections():
                self._scarce_since = None
            return
        if time.monotonic() - self._scarce_since < _PATIENCE:
            raise BlockingIOError
        limit = _limit()
        self._pause(
            f"{_for_connections():.0f} of {limit} file descriptors are in use, and the rest is kept for "
            f"connected clients; raise the limit, e.g. with `ulimit -n {4 * limit}`"
        )
        raise AcceptPausedError

    def note_accepted(self, number: int) -> None:
        """Note the descriptor of a new connection."""
        now = time.monotonic()
        if number >= _for_connections():
            self._scarce_since = self._scarce_since or now
        elif self._is_reported and now - self._paused > _CALM:
            self._is_reported = False
            logger.warning("new clients are served again: file descriptors are free")

    def note_failure(self, error: OSError) -> None:
        """Note that the kernel refused a connection with one of `OUT_OF_RESOURCES`: that is a pause, too."""
        if self._scarce_since is None:
            self._scarce_since = time.monotonic()
        self._pause(error.strerror or str(error))

    def _pause(self, reason: str) -> None:
        self._paused = time.monotonic()
        if not self._is_reported:
            self._is_reported = True
            logger.warning("new clients wait until others disconnect: %s", reason)


def is_due_to_pause(context: Mapping[str, Any]) -> bool:
    """Return whether asyncio only reports a pause: that it begins, or that the listener closed during it.

    asyncio listens again after the pause, which is a `ValueError` if the socket was closed meanwhile.
    """
    error = context.get("exception")
    has_closed = isinstance(error, ValueError) and "_start_serving" in str(context.get("message"))
    return has_closed or isinstance(error, AcceptPausedError)


def _limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _for_connections(*, uses_reserve: bool = False) -> float:
    """Return the number from which on descriptors are kept for connected clients."""
    limit = _limit()
    if limit == resource.RLIM_INFINITY:
        return float("inf")
    reserved = min(limit // _RESERVED_SHARE, _MOST_RESERVED)
    return limit - (reserved // 2 if uses_reserve else reserved)


def _lowest_free(any_open: int) -> float:
    """Return the number that the next descriptor would get; infinity if no descriptor is free."""
    try:
        number = os.dup(any_open)
    except OSError:
        return float("inf")
    os.close(number)
    return number
