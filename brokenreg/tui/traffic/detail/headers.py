"""The head above every pane of an exchange, and the pane Headers."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from brokenreg.http.dates import date_and_clock
from brokenreg.oci.sizes import format_size
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange, Headers
from brokenreg.traffic.timeline_text import text_of
from brokenreg.tui.holding.in_flight import response_length
from brokenreg.tui.text import beginning, visible
from brokenreg.tui.traffic import cells, outcome
from brokenreg.tui.traffic.transfer import Kind

Part = tuple[str, str]
"""Text and its style."""

SHOWN = 4096
"""Characters of one thing that a client sent."""


_COLORS = {"held": "$warning", "quiet": "$secondary", "bad": "$error", "good": "$success"}


def head(exchange: Exchange, now: float, kind: Kind | None) -> Iterator[Part]:
    """Yield the parts of two lines; `kind` is the kind of transfer that it belongs to."""
    if exchange.endpoint is Endpoint.CONNECT:
        yield "A connection without a request\n", "bold"
    else:
        query = f"?{beginning(exchange.query, SHOWN)}" if exchange.query else ""
        path = beginning(exchange.path, SHOWN)
        yield f"{beginning(exchange.method, SHOWN)} {path}{query}\n", "bold"
    color = f"bold {_COLORS[cells.state(exchange, kind)]}"
    answer = "no response" if exchange.status is None else f"{exchange.status} {phrase(exchange.status)}"
    if exchange.status is None and exchange.ended is None:
        answer = text_of(exchange.progress) if exchange.progress else "no response yet"
    yield f"{cells.glyph(exchange, kind)} {answer.rstrip()}, {outcome.ended_word(exchange)}", color
    yield f"{_length(exchange, now)}\n", color


def _length(exchange: Exchange, now: float) -> str:
    """Return how long it took, or takes so far; nothing if its end is unknown."""
    if exchange.end_is_unknown:
        return ""
    if exchange.duration is not None:
        return f" after {duration_text(exchange.duration)}"
    return f" for {duration_text(now - exchange.started, is_exact=False)}"


def duration_text(seconds: float, *, is_exact: bool = True) -> str:
    """Return a duration with its unit: milliseconds, from 10 s on seconds, with tenths if it is exact."""
    if seconds < 10:
        tenths = 1 if is_exact and seconds < 0.00995 else 0
        return f"{max(0.0, seconds) * 1000:,.{tenths}f} ms"
    return f"{seconds:,.{1 if is_exact else 0}f} s"


def phrase(status: int) -> str:
    """Return the reason phrase of a status (RFC 9110), or an empty string."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


_LABEL = 10


def only_a_line(exchange: Exchange) -> str:
    """Return why an exchange has neither headers nor bodies."""
    if exchange.place is not None:
        return f"requested from replica {visible(exchange.place.replica)}"
    return "the log has only a line for this exchange: save a HAR file to see more"


def headers(exchange: Exchange) -> Iterator[Part]:
    """Yield facts, request headers and response headers."""
    for label, value in _facts(exchange):
        yield f"{label:<{_LABEL}}", "$secondary"
        yield f"{value}\n", ""
    if exchange.saved is not None and not exchange.saved.has_messages:
        yield f"\n{only_a_line(exchange)}\n", "$secondary"
        return
    yield from _list("Request headers", exchange.request_headers)
    if exchange.status is not None:
        yield from _list("Response headers", exchange.response_headers)


def _facts(exchange: Exchange) -> Iterator[tuple[str, str]]:
    target = exchange.target
    if exchange.place is not None:
        yield "Replica", visible(exchange.place.replica)
    if exchange.faults:
        yield "Fault", outcome.faults_word(exchange)
    yield "Exchange", str(exchange.id if exchange.place is None else exchange.place.number)
    if exchange.replay_of is not None:
        yield "Replay", f"of exchange {exchange.replay_of}, without its credentials"
    yield "Endpoint", str(target.endpoint)
    if target.namespace:
        yield "Namespace", visible(target.namespace)
    if target.repository:
        yield "Image", beginning(target.name, SHOWN)
    if exchange.cache is not None:
        yield "Cache", str(exchange.cache)
    if target.error is not None:
        yield "Refused", visible(str(target.error))
    yield "Client", visible(exchange.client)
    if exchange.http_version:
        yield "Protocol", visible(f"HTTP/{exchange.http_version} ({exchange.scheme})")
    whole, part = divmod(exchange.started, 1)
    yield "Started", f"{date_and_clock(whole)}.{int(part * 1000):03d}"
    if exchange.request_bytes:
        yield "Request", format_size(exchange.request_bytes)
    yield "Response", _answered(exchange)


def _answered(exchange: Exchange) -> str:
    size = format_size(exchange.response_bytes)
    total = response_length(exchange)
    return size if total is None or total == exchange.response_bytes else f"{size} of {format_size(total)}"


def _list(title: str, headers: Headers) -> Iterator[Part]:
    yield f"\n{title}\n", "bold"
    if not headers:
        yield "  none\n", "$secondary"
    for name, value in headers:
        yield f"  {beginning(name, SHOWN)}: ", "$secondary"
        yield f"{beginning(value, SHOWN)}\n", ""
