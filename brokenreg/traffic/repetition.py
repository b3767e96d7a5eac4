"""What an exchange repeats: the earlier request for the same target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Repetition:
    """How a request relates to the one that it repeats.

    `attempt` is 1 for a request that repeats none. `since` is the pause in seconds between the end of the
    repeated exchange and this request. `honoured` says whether the request waited as long as Retry-After of
    the repeated exchange says, or None if that exchange has no Retry-After.
    """

    attempt: int
    since: float | None = None
    honoured: bool | None = None


FIRST = Repetition(1)
"""A request that repeats none."""
