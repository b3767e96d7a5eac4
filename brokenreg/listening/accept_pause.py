"""Pauses accepting connections while file descriptors are scarce, and logs that once.

Connected clients need descriptors for blobs, uploads and upstreams. Therefore a part of the process's
descriptors is reserved for them. When the others are used up, new clients wait in the kernel's queue.
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
"""The errors of accept(2) after which asyncio pauses a listener for 1 s."""

_RESERVED_SHARE = 4
"""Divisor for the share of the process's descriptors that is reserved for connected clients: a quarter."""

_MAX_RESERVED = 1024
"""Maximum number of reserved descriptors."""

_PATIENCE = 0.05
"""Seconds of scarcity before a pause. In this time, closed connections free their descriptors."""

_CALM = 3.0
"""Seconds without a pause after which the shortage is over."""


class AcceptPausedError(OSError):
    """Makes asyncio pause a listener, because its error number is one of `OUT_OF_RESOURCES`."""

    def __init__(self) -> None:
        super().__init__(errno.EMFILE, os.strerror(errno.EMFILE))


class DescriptorBudget:
    """Decides for all listeners of the process whether another connection may be accepted.

    The kernel gives each new descriptor the lowest free number. Therefore the number of the newest connection
    shows how many descriptors are in use, without counting them.
    """

    def __init__(self) -> None:
        self._scarce_since: float | None = None
        self._paused = 0.0
        self._is_reported = False

    def check(self, listening: int, *, uses_reserve: bool) -> None:
        """Return if the listener with the descriptor `listening` may accept a connection.

        Otherwise, raise `BlockingIOError`, or `AcceptPausedError` after `_PATIENCE`. A listener that
        `uses_reserve` may use half of the reserved descriptors.
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
            f"{_for_connections():.0f} of {limit} file descriptors are in use, and the others are reserved "
            f"for connected clients; raise the limit, for example with `ulimit -n {4 * limit}`"
        )
        raise AcceptPausedError

    def note_accepted(self, number: int) -> None:
        """Note the descriptor of a new connection."""
        now = time.monotonic()
        if number >= _for_connections():
            self._scarce_since = self._scarce_since or now
        elif self._is_reported and now - self._paused > _CALM:
            self._is_reported = False
            logger.warning("new connections are accepted again: file descriptors are free")

    def note_failure(self, error: OSError) -> None:
        """Note that accept(2) failed with one of `OUT_OF_RESOURCES`, so that asyncio pauses too."""
        if self._scarce_since is None:
            self._scarce_since = time.monotonic()
        self._pause(error.strerror or str(error))

    def _pause(self, reason: str) -> None:
        self._paused = time.monotonic()
        if not self._is_reported:
            self._is_reported = True
            logger.warning("new connections wait until other clients disconnect: %s", reason)


def is_due_to_pause(context: Mapping[str, Any]) -> bool:
    """Return whether asyncio reports an error that a pause causes, which can be ignored.

    The error is the beginning of the pause. Or it is a `ValueError` at its end, when asyncio listens again on
    a socket that was closed in the meantime.
    """
    error = context.get("exception")
    has_closed = isinstance(error, ValueError) and "_start_serving" in str(context.get("message"))
    return has_closed or isinstance(error, AcceptPausedError)


def _limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _for_connections(*, uses_reserve: bool = False) -> float:
    """Return the number of descriptors that may be used before the reserve begins."""
    limit = _limit()
    if limit == resource.RLIM_INFINITY:
        return float("inf")
    reserved = min(limit // _RESERVED_SHARE, _MAX_RESERVED)
    return limit - (reserved // 2 if uses_reserve else reserved)


def _lowest_free(any_open: int) -> float:
    """Return the number that the next descriptor would get, or infinity if none is free."""
    try:
        number = os.dup(any_open)
    except OSError:
        return float("inf")
    os.close(number)
    return number
