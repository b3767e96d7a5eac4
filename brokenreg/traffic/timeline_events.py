"""The events in the timeline of an exchange: a class for each kind, whose fields are its data.

`kind` is the name in JSON. To add a kind, write a class, add it to a union at the end of its section, and
write its words in timeline_text.py; mypy reports where something is missing. The timeline replaces secrets in
fields of type `str` and limits their length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar, get_args

from brokenreg.wire.connection_events import ConnectionEvent

# Requests and responses


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """The head of the request arrived."""

    kind: ClassVar = "request"


@dataclass(frozen=True, slots=True)
class RequestBodyReceived:
    """The last byte of the request's body arrived."""

    kind: ClassVar = "request-body"


@dataclass(frozen=True, slots=True)
class HeadersSent:
    """Status and headers of the response were sent."""

    kind: ClassVar = "headers"


@dataclass(frozen=True, slots=True)
class ResponseCutShort:
    """An error after the headers: the connection ends, because no error status can be sent any more."""

    kind: ClassVar = "response-cut-short"
    reason: str


@dataclass(frozen=True, slots=True)
class CredentialReceived:
    """The second origin received a credential; `credential` is its kind, never the secret."""

    kind: ClassVar = "credential"
    credential: str


@dataclass(frozen=True, slots=True)
class FirstRequestReceived:
    """The connection's first request arrived; it has its own exchange."""

    kind: ClassVar = "first-request"


@dataclass(frozen=True, slots=True)
class ExchangeEnded:
    """The exchange ended."""

    kind: ClassVar = "end"


@dataclass(frozen=True, slots=True)
class PointsOmitted:
    """The timeline was too long: `count` points are missing here."""

    kind: ClassVar = "points-omitted"
    count: int


HTTPEvent = (
    RequestReceived
    | RequestBodyReceived
    | HeadersSent
    | ResponseCutShort
    | CredentialReceived
    | FirstRequestReceived
    | ExchangeEnded
    | PointsOmitted
)

# Rules and faults


@dataclass(frozen=True, slots=True)
class FaultsApplied:
    """A rule matched, and its faults are applied."""

    kind: ClassVar = "faults-applied"
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FaultInapplicable:
    """A rule matched, but a fault of it cannot be applied to such an exchange."""

    kind: ClassVar = "fault-inapplicable"
    fault: str
    reason: str


@dataclass(frozen=True, slots=True)
class FaultHadNoEffect:
    """A fault was applied, but changed nothing."""

    kind: ClassVar = "fault-no-effect"
    fault: str
    reason: str


@dataclass(frozen=True, slots=True)
class FaultNote:
    """A fault says what it did."""

    kind: ClassVar = "fault-note"
    fault: str
    note: str


FaultEvent = FaultsApplied | FaultInapplicable | FaultHadNoEffect | FaultNote

# The gate


@dataclass(frozen=True, slots=True)
class HoldRequested:
    """Somebody ordered that the response be held."""

    kind: ClassVar = "hold-requested"
    by: str


@dataclass(frozen=True, slots=True)
class BreakpointMatched:
    """A breakpoint matched."""

    kind: ClassVar = "breakpoint"
    expression: str


@dataclass(frozen=True, slots=True)
class ResponseHeld:
    """The response is held; `position` is a byte of the body, or null before the headers."""

    kind: ClassVar = "held"
    position: int | None


@dataclass(frozen=True, slots=True)
class ResponseEdited:
    """Somebody changed status or headers of the held response."""

    kind: ClassVar = "edited"
    changes: str


@dataclass(frozen=True, slots=True)
class ResponseResumed:
    """The rest of the response is sent."""

    kind: ClassVar = "resumed"


@dataclass(frozen=True, slots=True)
class ResponseStepped:
    """The next `size` bytes of the body are sent."""

    kind: ClassVar = "stepped"
    size: int


@dataclass(frozen=True, slots=True)
class ResponseAborted:
    """The response was aborted while it was held."""

    kind: ClassVar = "aborted"


GateEvent = (
    HoldRequested
    | BreakpointMatched
    | ResponseHeld
    | ResponseEdited
    | ResponseResumed
    | ResponseStepped
    | ResponseAborted
)

# The proxy


class Cache(StrEnum):
    """What part the proxy's cache had in a response."""

    HIT = "hit"
    """The content was cached, and the upstream was not contacted."""

    MISS = "miss"
    """The content was fetched for this exchange."""

    JOINED = "joined"
    """The content was already being fetched for another exchange."""

    REVALIDATED = "revalidated"
    """The content was cached, and the upstream confirmed it."""

    STALE = "stale"
    """The content was cached, and the upstream failed to confirm it."""


class ListLimit(StrEnum):
    """What limits the length of a list from an upstream."""

    PAGES = "pages"
    ENTRIES = "entries"
    VALUES = "values"
    """JSON values in all pages; `count` is the number of pages before the limit."""


@dataclass(frozen=True, slots=True)
class CacheUsed:
    """What part the cache had in the response."""

    kind: ClassVar = "cache"
    result: Cache


@dataclass(frozen=True, slots=True)
class UpstreamResponded:
    """A request upstream got a response; `location` is its URL without scheme and query."""

    kind: ClassVar = "upstream-response"
    method: str
    location: str
    status: int
    web_proxy: str | None = None


@dataclass(frozen=True, slots=True)
class UpstreamFailed:
    """A request upstream got no response that could be used."""

    kind: ClassVar = "upstream-failure"
    reason: str


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The server responded with 429; the request is repeated after `seconds`."""

    kind: ClassVar = "rate-limited"
    server: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CredentialHelperFailed:
    """A credential helper gave no credentials."""

    kind: ClassVar = "credential-helper-failed"
    reason: str


@dataclass(frozen=True, slots=True)
class CredentialsWithheld:
    """A token service gets no credentials, because it may belong to somebody else."""

    kind: ClassVar = "credentials-withheld"
    reason: str


@dataclass(frozen=True, slots=True)
class HeadInconclusive:
    """The response to HEAD does not decide; GET follows."""

    kind: ClassVar = "head-inconclusive"


@dataclass(frozen=True, slots=True)
class ServedStale:
    """The upstream failed, so cached content is served that it did not confirm."""

    kind: ClassVar = "stale"
    reason: str


@dataclass(frozen=True, slots=True)
class NotCached:
    """The content is passed on, but not cached."""

    kind: ClassVar = "not-cached"
    reason: str


@dataclass(frozen=True, slots=True)
class ListTruncated:
    """The list from the upstream is longer than the limit; the rest is missing."""

    kind: ClassVar = "list-truncated"
    limit: ListLimit
    count: int


@dataclass(frozen=True, slots=True)
class DownloadResumed:
    """The download of a blob failed and continues at byte `offset`."""

    kind: ClassVar = "download-resumed"
    offset: int
    reason: str


UpstreamEvent = (
    CacheUsed
    | UpstreamResponded
    | UpstreamFailed
    | RateLimited
    | CredentialHelperFailed
    | CredentialsWithheld
    | HeadInconclusive
    | ServedStale
    | NotCached
    | ListTruncated
    | DownloadResumed
)

# Fabricated images


@dataclass(frozen=True, slots=True)
class FabricationQueued:
    """The image waits for its turn; `place` is its place in the queue, from 1."""

    kind: ClassVar = "fabrication-queued"
    place: int


@dataclass(frozen=True, slots=True)
class FabricationStarted:
    """The layers are being hashed, for about `seconds`."""

    kind: ClassVar = "fabrication-started"
    layers: int
    layer_size: int
    seconds: int


@dataclass(frozen=True, slots=True)
class FabricationProgress:
    """Layer `layer` is being hashed; `percent` of all bytes are done."""

    kind: ClassVar = "fabrication-progress"
    layer: int
    layers: int
    percent: int


FabricationEvent = FabricationQueued | FabricationStarted | FabricationProgress

WorkProgress = FabricationQueued | FabricationProgress
"""How far the work is that a response waits for."""

TimelineEvent = ConnectionEvent | HTTPEvent | FaultEvent | GateEvent | UpstreamEvent | FabricationEvent

AddEvent = Callable[[TimelineEvent], None]
"""Adds a point to the timeline of an exchange, if that has not ended."""

KINDS: dict[str, type[TimelineEvent]] = {each.kind: each for each in get_args(TimelineEvent)}
"""All kinds by their names in JSON."""

Value = str | int | float | tuple[str, ...] | None


def data_of(event: TimelineEvent) -> dict[str, Value]:
    """Return the data of an event by name, for JSON."""
    return {field.name: getattr(event, field.name) for field in fields(event)}
