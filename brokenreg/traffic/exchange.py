"""One HTTP request and its response (RFC 9110), with its timeline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from brokenreg.oci.target import Endpoint, Target
from brokenreg.traffic.explained_rule import Saved
from brokenreg.traffic.place import Place
from brokenreg.traffic.repetition import FIRST, Repetition
from brokenreg.traffic.rule_outcome import RuleOutcome
from brokenreg.traffic.timeline import Timeline
from brokenreg.traffic.timeline_events import TimelineEvent, WorkProgress
from brokenreg.traffic.timeline_text import text_of
from brokenreg.traffic.upstream_events import Cache, CacheUsed

Headers = tuple[tuple[str, str], ...]


class Ended(StrEnum):
    """How an exchange ended."""

    COMPLETE = "complete"
    DISCONNECTED = "disconnected"
    ABORTED = "aborted"


_COMPLETE = Ended.COMPLETE


class Origin(StrEnum):
    """The kind of listener that received the request."""

    REGISTRY = "registry"
    SECOND = "second"
    """The second origin, to which faults redirect."""


@dataclass(slots=True, eq=False)
class Exchange:
    """One request and its response, or a connection without a request (endpoint `connect`).

    Only code on the event loop changes it. `revision` increases with every change, so that readers know
    whether what they show is current.

    `started` is in seconds since the epoch. The times in `timeline` are in seconds since `started`. `faults`
    has the names of the applied faults, `rule` is the rule that applied them, and `rule_outcomes` has the
    outcomes of all evaluated rules. `replay_of` is the id of the exchange whose request this one repeats.
    While the response is held, `held_since` is the time, and `held_by` is who holds it. `edited` has the
    changes to its head. `progress` is the progress of work that the response waits for. `user` is the name in
    the request's credentials. Rules match it, but it is never shown, because some clients put a token there.
    `request_bytes` and `response_bytes` count bodies. Headers are in order of arrival, with names in lower
    case and secrets replaced.
    """

    id: int
    method: str
    path: str
    query: str
    http_version: str
    scheme: str
    client: str
    target: Target
    user: str = ""
    request_headers: Headers = ()
    started: float = 0.0
    status: int | None = None
    response_headers: Headers = ()
    request_bytes: int = 0
    response_bytes: int = 0
    origin: Origin = Origin.REGISTRY
    cache: Cache | None = None
    faults: tuple[str, ...] = ()
    rule: str | None = None
    rule_outcomes: tuple[RuleOutcome, ...] = ()
    replay_of: int | None = None
    held_since: float | None = None
    held_by: str | None = None
    edited: str | None = None
    ended: Ended | None = None
    progress: WorkProgress | None = None
    timeline: Timeline = field(default_factory=Timeline)
    revision: int = 0
    counted: int = 0
    """The memory that the log has counted for this exchange, in bytes."""

    has_wrong_bytes: bool = False
    """Whether a fault changed bytes of the body, in a response that looks like the requested content."""

    saved: Saved | None = None
    """What its file says in addition, if it was read from a file."""

    place: Place | None = None
    """Where it is, if it is shown among those of several replicas."""

    known_repetition: Repetition | None = None
    """What `repetition` returns, once a reader needed it."""

    find_repetitions: Callable[[], None] | None = field(default=None, repr=False)
    """Sets `known_repetition` of all exchanges in the log."""

    _clock: float = field(default_factory=time.perf_counter)

    @property
    def label(self) -> str:
        """Return its id, or its replica and its id there (`1f0a93c2/17`)."""
        return str(self.id if self.place is None else self.place)

    @property
    def endpoint(self) -> Endpoint:
        return self.target.endpoint

    @property
    def protocol(self) -> str:
        """Return `http/1.1` or `h2`, as in rules and filters."""
        return "h2" if self.http_version == "2" else "http/1.1"

    @property
    def user_agent(self) -> str:
        return self.request_header("user-agent")

    @property
    def has_failed(self) -> bool:
        """Return whether the response is an error, or ended early."""
        return (self.status or 0) >= 400 or self.ended in (Ended.DISCONNECTED, Ended.ABORTED)

    @property
    def end_is_unknown(self) -> bool:
        """Return whether it was read from a file, and had not ended when the file was saved."""
        return self.ended is None and self.saved is not None and self.place is None

    @property
    def repetition(self) -> Repetition:
        """Return how this request relates to an earlier one for the same target."""
        if self.known_repetition is None and self.find_repetitions is not None:
            self.find_repetitions()
        return self.known_repetition or FIRST

    @property
    def duration(self) -> float | None:
        """Return the seconds from the request to the end of the response, or None while it is in flight."""
        return self.timeline.last_at if self.ended is not None else None

    def request_header(self, name: str) -> str:
        """Return the first value of a request header (lower case), or an empty string."""
        for key, value in self.request_headers:
            if key == name:
                return value
        return ""

    def response_header(self, name: str) -> str:
        """Return the first value of a response header (lower case), or an empty string."""
        for key, value in self.response_headers:
            if key == name:
                return value
        return ""

    def add(self, event: TimelineEvent, when: float | None = None) -> None:
        """Add a point to the timeline, now or at `when` (seconds since the epoch)."""
        elapsed = time.perf_counter() - self._clock if when is None else when - self.started
        self.timeline.add(event, elapsed)
        self.revision += 1

    def answered(self, status: int, headers: Headers, size: int) -> None:
        """Record a response that was sent as a whole, with a body of `size` bytes."""
        self.status = status
        self.response_headers = headers
        self.response_bytes = size
        self.ended = _COMPLETE
        self.timeline.add_answer(time.perf_counter() - self._clock)
        self.revision += 1

    def summary(self) -> dict[str, object]:
        """Return a flat JSON object for the control API. exchange_json.py formats it as text."""
        return {
            "id": self.id,
            "origin": str(self.origin),
            "time": self.started,
            "client": self.client,
            "user_agent": self.user_agent,
            "protocol": self.http_version and f"HTTP/{self.http_version}",
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "endpoint": str(self.endpoint),
            "namespace": self.target.namespace,
            "repository": self.target.repository,
            "reference": self.target.reference,
            "status": self.status,
            "request_bytes": self.request_bytes,
            "response_bytes": self.response_bytes,
            "duration": None if self.duration is None else round(self.duration, 6),
            "cache": None if self.cache is None else str(self.cache),
            "faults": self.faults,
            "rule": self.rule,
            "replay_of": self.replay_of,
            "held": self.held_since is not None,
            "held_by": self.held_by,
            "edited": self.edited,
            "progress": None if self.progress is None else text_of(self.progress),
            "ended": None if self.ended is None else str(self.ended),
        }


class UpstreamTrace:
    """Reports work for an exchange to it. After the exchange has ended, reports are ignored."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def add(self, event: TimelineEvent) -> None:
        """Add a point to the timeline."""
        if self._exchange.ended is None:
            self._exchange.add(event)

    def progress(self, progress: WorkProgress | None) -> None:
        """Set the progress of the work, or None when it has ended."""
        if self._exchange.ended is None and self._exchange.progress != progress:
            self._exchange.progress = progress
            self._exchange.revision += 1

    def found(self, cache: Cache) -> None:
        """Record how the cache was used."""
        if self._exchange.ended is None:
            self._exchange.cache = cache
            self._exchange.add(CacheUsed(cache))
