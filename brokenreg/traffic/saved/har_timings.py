"""Turns the times and the outcome of an exchange that another tool recorded into a timeline."""

from __future__ import annotations

from typing import Any

from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.saved.members import number_in, object_in, text_in
from brokenreg.traffic.timeline_events import (
    EXCHANGE_ENDED,
    HEADERS_SENT,
    REQUEST_RECEIVED,
    ResponseCutShort,
)

_BEFORE = ("blocked", "dns", "connect", "send")
"""Phases before the request has been sent. `ssl` is a part of `connect`."""

_CANCELLED = frozenset({"net::ERR_ABORTED", "NS_BINDING_ABORTED"})
"""Errors of Chromium and Firefox for requests that they cancelled themselves."""


def add_timings(exchange: Exchange, entry: dict[str, Any]) -> None:
    """Add the timeline of an exchange, and how it ended. Unknown phases take no time."""
    timings = object_in(entry, "timings")
    sent = sum(_seconds(timings, name) for name in _BEFORE)
    answered = sent + _seconds(timings, "wait")
    ended = max(answered + _seconds(timings, "receive"), _seconds(entry, "time"))
    exchange.timeline.add(REQUEST_RECEIVED, sent)
    if exchange.status is not None:
        exchange.timeline.add(HEADERS_SENT, answered)
    error = _error(entry)
    if error:
        exchange.timeline.add(ResponseCutShort(error), ended)
    exchange.timeline.add(EXCHANGE_ENDED, ended)
    exchange.ended = Ended.COMPLETE
    if error or exchange.status is None:
        exchange.ended = Ended.DISCONNECTED if error in _CANCELLED else Ended.ABORTED


def _error(entry: dict[str, Any]) -> str:
    """Return the error that the tool reports for the exchange: Chromium has it in `_error`."""
    return text_in(object_in(entry, "response"), "_error", 200) or text_in(entry, "_error", 200)


def _seconds(document: dict[str, Any], name: str) -> float:
    return max(0.0, number_in(document, name) or 0.0) / 1000
