"""The documents that the client returns, as types. docs/reference/control-api.md explains their keys."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Status(TypedDict):
    """The version, addresses and counters of a server."""

    version: str
    uptime: float
    registry: list[str]
    second_origin: str
    control: str | None
    replica: str | None
    database: str
    blob_storage: str
    offline: bool
    exchanges: int
    log_size: int
    in_flight: int
    held: int
    connections: int
    rules: int
    repositories: int
    manifests: int
    blobs: int
    leaked_credentials: dict[str, Any]
    replicas: NotRequired[dict[str, Any]]
    """The status of each replica of the fleet by its name. Absent unless `replica` is `*`."""


class Rule(TypedDict):
    """A rule with its counters. What has its default value is absent."""

    id: int
    source: str
    matched: int
    applied: int
    fault: dict[str, Any] | list[dict[str, Any]]
    name: NotRequired[str]
    match: NotRequired[dict[str, Any]]
    skip: NotRequired[int]
    times: NotRequired[int]
    probability: NotRequired[float]
    per: NotRequired[str]
    after: NotRequired[str]
    override: NotRequired[bool]
    enabled: NotRequired[bool]
    optional: NotRequired[bool]


class Exchange(TypedDict):
    """A request and its response."""

    id: int
    replica: NotRequired[str]
    """The replica of the fleet that has it. Absent without a fleet, and if it is the one that responds."""

    origin: str
    time: float
    client: str
    user_agent: str
    protocol: str
    method: str
    path: str
    query: str
    endpoint: str
    namespace: str
    repository: str
    reference: str
    status: int | None
    request_bytes: int
    response_bytes: int
    duration: float | None
    cache: str | None
    faults: list[str]
    rule: str | None
    replay_of: int | None
    held: bool
    held_by: str | None
    edited: str | None
    progress: str | None
    ended: str | None


class TimelinePoint(TypedDict):
    """An event in the timeline of an exchange."""

    kind: str
    at: float
    text: str
    data: dict[str, Any]


class RuleExplanation(TypedDict):
    """A rule, and why it was applied to an exchange or not."""

    id: int | None
    rule: str
    source: str
    outcome: str
    reason: str


class ExchangeDetail(Exchange):
    """A request and its response, with headers, evaluated rules and timeline."""

    request_headers: list[tuple[str, str]]
    response_headers: list[tuple[str, str]]
    layers: NotRequired[list[int]]
    """The positions of the requested layer in its manifests, from 1. Older servers do not have them."""

    rules: list[RuleExplanation]
    timeline: list[TimelinePoint]


class Verdict(TypedDict):
    """An expectation of the scenario, and whether it is met so far."""

    name: str | None
    kind: str
    filter: str
    wanted: str
    got: str
    seen: int
    met: bool
    is_suspected: bool
    nearest: list[int]
    evidence: NotRequired[dict[str, Any]]
    replicas: NotRequired[list[str]]
    """The replica of each exchange in `nearest`. Like `evidence`, absent without a fleet."""


class Breakpoint(TypedDict):
    """A filter expression; each response that it matches is held."""

    id: int
    expression: str


class Breakpoints(TypedDict):
    """All breakpoints, and whether they are enabled."""

    on: bool
    breakpoints: list[Breakpoint]


class Outcome(TypedDict):
    """The ids of the exchanges for which an order was carried out, and of those that were skipped."""

    exchanges: list[int]
    skipped: list[int]
    replicas: NotRequired[dict[str, Any]]
    """The ids by replica. Absent unless the request was for all replicas of a fleet."""


class Repository(TypedDict):
    """A repository, with the number of its tags, manifests and blobs."""

    namespace: str
    name: str
    tags: int
    manifests: int
    blobs: int


class Event(TypedDict):
    """An event of the stream: `opened`, `held`, `hold-ended` or `ended`, with its exchange.

    With `dropped`, `exchange` is None and `dropped` is the number of events that were not sent to a reader
    that was too slow. In a fleet, `lost` means that events of `replica` are missing until it has `joined`.
    """

    event: str
    exchange: Exchange | None
    dropped: int
    replica: NotRequired[str]
