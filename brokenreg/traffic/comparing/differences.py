"""What differs between two exchanges, and between two pulls or pushes, by aspect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from brokenreg.oci.digests import is_digest
from brokenreg.oci.sizes import format_size
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.bodies import Body, Kept
from brokenreg.traffic.comparing.noise import ACCEPT, essence, is_noise, media_ranges, without_repository
from brokenreg.traffic.exchange import Exchange, Headers

NOTABLE_SECONDS = 0.1
NOTABLE_FACTOR = 2
"""Two durations differ if one is at least that much longer, and at least that many times as long."""

NONE = "none"
_DIGEST = "docker-content-digest"
_PAGED = (Endpoint.TAGS, Endpoint.CATALOG, Endpoint.REFERRERS)


class Aspect(StrEnum):
    """What can differ. The values are shown."""

    STATUS = "status"
    OUTCOME = "outcome"
    BYTES = "bytes"
    REQUEST_BYTES = "request bytes"
    DIGEST = "digest"
    FAULT = "fault"
    ATTEMPTS = "attempts"
    ORDER = "order"
    TIMING = "timing"
    METHOD = "method"
    REQUEST_HEADER = "request header"
    RESPONSE_HEADER = "response header"
    REQUEST_BODY = "request body"
    BODY = "body"
    QUERY = "query"
    CACHE = "cache"
    PROTOCOL = "protocol"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Difference:
    """The values of one aspect on both sides, as texts. `name` is the name of a header."""

    aspect: Aspect
    left: str
    right: str
    name: str = ""

    def mirrored(self) -> Difference:
        """Return the same difference with the sides exchanged."""
        return Difference(self.aspect, self.right, self.left, self.name)


def differences(left: Exchange, right: Exchange, kept: Callable[[Exchange], Kept]) -> Iterator[Difference]:
    """Yield what differs between two exchanges that are about the same, apart from noise."""
    for aspect, value_of in FACTS.items():
        values = value_of(left), value_of(right)
        if values[0] != values[1]:
            yield Difference(aspect, *values)
    yield from _of_sizes(left, right)
    digests = digest_of(left), digest_of(right)
    if all(digests) and digests[0] != digests[1]:
        yield Difference(Aspect.DIGEST, *digests)
    if is_notable(left.duration, right.duration):
        yield Difference(Aspect.TIMING, seconds_text(left.duration), seconds_text(right.duration))
    yield from _of_headers(Aspect.REQUEST_HEADER, left, right, left.request_headers, right.request_headers)
    if left.status is not None and right.status is not None:
        response_headers = left.response_headers, right.response_headers
        yield from _of_headers(Aspect.RESPONSE_HEADER, left, right, *response_headers)
    if left.ended is not None and right.ended is not None:
        yield from _of_bodies(left, right, kept(left), kept(right))
    events = events_of(left), events_of(right)
    if events[0] != events[1]:
        yield Difference(Aspect.EVENTS, _listed(events[0] - events[1]), _listed(events[1] - events[0]))


def outcome(exchange: Exchange) -> str:
    """Return how an exchange ended, or that it has not."""
    if exchange.ended is None:
        if exchange.held_since is not None:
            return "held"
        return "not ended" if exchange.end_is_unknown else "in flight"
    return str(exchange.ended)


FACTS: Mapping[Aspect, Callable[[Exchange], str]] = {
    Aspect.METHOD: lambda exchange: exchange.method or NONE,
    Aspect.STATUS: lambda exchange: NONE if exchange.status is None else str(exchange.status),
    Aspect.OUTCOME: outcome,
    Aspect.FAULT: lambda exchange: "+".join(exchange.faults) or NONE,
    Aspect.CACHE: lambda exchange: str(exchange.cache or NONE),
    Aspect.PROTOCOL: lambda exchange: exchange.protocol if exchange.http_version else NONE,
    Aspect.QUERY: lambda exchange: exchange.query if exchange.endpoint in _PAGED else "",
}
"""The text of each aspect that is one fact of an exchange."""


def _of_sizes(left: Exchange, right: Exchange) -> Iterator[Difference]:
    for aspect, sizes in (
        (Aspect.BYTES, (left.response_bytes, right.response_bytes)),
        (Aspect.REQUEST_BYTES, (left.request_bytes, right.request_bytes)),
    ):
        if sizes[0] != sizes[1]:
            yield Difference(aspect, *size_texts(*sizes))


def size_texts(left: int, right: int) -> tuple[str, str]:
    """Return two sizes in a form in which they look different if they differ."""
    texts = format_size(left), format_size(right)
    return texts if left == right or texts[0] != texts[1] else (f"{left:,} B", f"{right:,} B")


def digest_of(exchange: Exchange) -> str:
    """Return the digest of the content that was served or else requested, or an empty string."""
    served = exchange.response_header(_DIGEST)
    reference = exchange.target.reference
    return served if is_digest(served) else reference if is_digest(reference) else ""


def is_notable(left: float | None, right: float | None) -> bool:
    """Return whether two durations differ so much that it is worth a look."""
    if left is None or right is None:
        return False
    shorter, longer = sorted((left, right))
    return longer - shorter >= NOTABLE_SECONDS and longer >= NOTABLE_FACTOR * shorter


def seconds_text(seconds: float | None) -> str:
    """Return a duration in milliseconds, from 10 s on in seconds."""
    if seconds is None:
        return "in flight"
    return f"{seconds * 1000:,.0f} ms" if seconds < 10 else f"{seconds:,.1f} s"


def _of_headers(
    aspect: Aspect, left: Exchange, right: Exchange, ours: Headers, theirs: Headers
) -> Iterator[Difference]:
    if ours == theirs:
        return
    values = by_name(ours), by_name(theirs)
    for name in dict.fromkeys([*values[0], *values[1]]):
        if name != _DIGEST and header_differs(name, left, right, values[0].get(name), values[1].get(name)):
            shown, other = (header_text(each.get(name)) for each in values)
            yield Difference(aspect, shown, other, name)


def by_name(headers: Headers) -> dict[str, tuple[str, ...]]:
    """Return the values of headers by name."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        found[name] = (*found.get(name, ()), value)
    return found


def header_text(values: tuple[str, ...] | None) -> str:
    """Return the values of a header in one line."""
    return NONE if values is None else ", ".join(values)


def header_differs(
    name: str, left: Exchange, right: Exchange, ours: tuple[str, ...] | None, theirs: tuple[str, ...] | None
) -> bool:
    """Return whether the values of a header differ, and not only in noise."""
    if ours == theirs or is_noise(name):
        return False
    if ours is None or theirs is None:
        return True
    if name == ACCEPT:
        return media_ranges(ours) != media_ranges(theirs)
    return [essence(name, each, left) for each in ours] != [essence(name, each, right) for each in theirs]


def _of_bodies(left: Exchange, right: Exchange, ours: Kept, theirs: Kept) -> Iterator[Difference]:
    for aspect, bodies in (
        (Aspect.REQUEST_BODY, (ours.request, theirs.request)),
        (Aspect.BODY, (ours.response, theirs.response)),
    ):
        if bodies[0] is None or bodies[1] is None or bodies[0].data == bodies[1].data:
            continue
        texts = body_text(bodies[0], left), body_text(bodies[1], right)
        if texts[0] != texts[1]:
            yield Difference(aspect, *size_texts(bodies[0].size, bodies[1].size))


def body_text(body: Body, exchange: Exchange) -> str:
    """Return the recorded text of a body, without the name of the repository."""
    return without_repository(body.data.decode(errors="backslashreplace"), exchange)


def events_of(exchange: Exchange) -> Counter[str]:
    """Return how often each kind of event is in the timeline."""
    return Counter(event.kind for event, _ in exchange.timeline)


def _listed(events: Counter[str]) -> str:
    words = {kind.replace("-", " "): count for kind, count in events.items()}
    return ", ".join(f"{each} ×{count}" if count > 1 else each for each, count in words.items()) or NONE
