"""The events in the timeline of an exchange: one class for each kind. Its fields are the event's data.

`kind` is the name in JSON. To add a kind, write a class, add it to the union at the end of its section, and
add its text to timeline_text.py and a row to docs/reference/control-api.md. mypy and the tests report missing
parts. The timeline replaces secrets in fields of type `str`, and limits their length. The events of
connections are in listening/connection_events.py, and those of the proxy in upstream_events.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, get_args

from brokenreg.listening.connection_events import ConnectionEvent
from brokenreg.traffic.upstream_events import UpstreamEvent

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
    """The status and headers of the response were sent."""

    kind: ClassVar = "headers"


@dataclass(frozen=True, slots=True)
class ResponseCutShort:
    """An error occurred after the headers were sent, so the connection was closed without an error status."""

    kind: ClassVar = "response-cut-short"
    reason: str


@dataclass(frozen=True, slots=True)
class ForwardedToReplica:
    """The request was forwarded to the replica of the fleet that has the upload session."""

    kind: ClassVar = "forwarded"
    replica: str
    address: str


@dataclass(frozen=True, slots=True)
class CredentialReceived:
    """The second origin received a credential. `credential` is its kind, never the secret."""

    kind: ClassVar = "credential"
    credential: str


@dataclass(frozen=True, slots=True)
class FirstRequestReceived:
    """The connection's first request arrived. It has its own exchange."""

    kind: ClassVar = "first-request"


@dataclass(frozen=True, slots=True)
class ExchangeEnded:
    """The exchange ended."""

    kind: ClassVar = "end"


@dataclass(frozen=True, slots=True)
class PointsOmitted:
    """The timeline was too long. `count` events are missing here."""

    kind: ClassVar = "points-omitted"
    count: int


# All exchanges share these objects.
REQUEST_RECEIVED = RequestReceived()
HEADERS_SENT = HeadersSent()
EXCHANGE_ENDED = ExchangeEnded()

HTTPEvent = (
    RequestReceived
    | RequestBodyReceived
    | HeadersSent
    | ResponseCutShort
    | ForwardedToReplica
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
    """A rule matched, but one of its faults cannot be applied to this exchange."""

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
    """A fault reports what it did."""

    kind: ClassVar = "fault-note"
    fault: str
    note: str


@dataclass(frozen=True, slots=True)
class FaultDelay:
    """A fault delays the response by `seconds`, or until the client disconnects if that is null."""

    kind: ClassVar = "fault-delay"
    fault: str
    seconds: float | None


FaultEvent = FaultsApplied | FaultInapplicable | FaultHadNoEffect | FaultNote | FaultDelay

# The gate


@dataclass(frozen=True, slots=True)
class HoldRequested:
    """A user requested that the response be held. `by` is where the request came from."""

    kind: ClassVar = "hold-requested"
    by: str


@dataclass(frozen=True, slots=True)
class BreakpointMatched:
    """A breakpoint matched. `expression` is its filter."""

    kind: ClassVar = "breakpoint"
    expression: str


@dataclass(frozen=True, slots=True)
class ResponseHeld:
    """The response is held. `position` is a byte of the body, or null before the headers."""

    kind: ClassVar = "held"
    position: int | None


@dataclass(frozen=True, slots=True)
class ResponseEdited:
    """A user changed the status or headers of the held response."""

    kind: ClassVar = "edited"
    changes: str


@dataclass(frozen=True, slots=True)
class ResponseResumed:
    """The response was resumed."""

    kind: ClassVar = "resumed"


@dataclass(frozen=True, slots=True)
class ResponseStepped:
    """The response was stepped: the next `size` bytes of the body are sent."""

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

# Fabricated images


@dataclass(frozen=True, slots=True)
class FabricationQueued:
    """The image waits to be fabricated. `place` is its place in the queue, from 1."""

    kind: ClassVar = "fabrication-queued"
    place: int


@dataclass(frozen=True, slots=True)
class FabricationStarted:
    """Hashing of the layers has started. It takes about `seconds`."""

    kind: ClassVar = "fabrication-started"
    layers: int
    layer_size: int
    seconds: int


@dataclass(frozen=True, slots=True)
class FabricationProgress:
    """Layer `layer` is being hashed. `percent` is the percentage of all bytes hashed so far."""

    kind: ClassVar = "fabrication-progress"
    layer: int
    layers: int
    percent: int


FabricationEvent = FabricationQueued | FabricationStarted | FabricationProgress

WorkProgress = FabricationQueued | FabricationProgress
"""The progress of work that a response waits for."""

TimelineEvent = ConnectionEvent | HTTPEvent | FaultEvent | GateEvent | UpstreamEvent | FabricationEvent

AddEvent = Callable[[TimelineEvent], None]
"""Adds a point to the timeline of an exchange, unless the exchange has ended."""

KINDS: dict[str, type[TimelineEvent]] = {each.kind: each for each in get_args(TimelineEvent)}
"""All kinds by their names in JSON."""

Value = str | int | float | tuple[str, ...] | None


def data_of(event: TimelineEvent) -> dict[str, Value]:
    """Return the data of an event by name, for JSON."""
    return {field.name: getattr(event, field.name) for field in fields(event)}
