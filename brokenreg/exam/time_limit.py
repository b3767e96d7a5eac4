"""What a client was doing when its time was up: it hung on a request, or it waited between two requests."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from brokenreg.client.documents import Exchange
from brokenreg.exam.report import EXCHANGES, RunReport
from brokenreg.wording import counted

_IN_FLIGHT = 1.0
"""Seconds after which a request in flight is what the client waits for."""

_CLOCKS = 0.02
"""Seconds by which the clocks of two processes can differ. The end of the client ends its requests."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a client was doing at the limit. If it did not hang, it waited between its own requests."""

    has_hung: bool
    words: str


def at_the_limit(report: RunReport) -> Unfinished:
    """Return what the client of a run was doing when its time was up.

    It hung if a request was in flight, unless the client itself has ended an earlier one like it after a
    longer time. It also hung if it sent no request although it had none to repeat. A client that ended a loop
    of redirects can repeat the first of these requests.
    """
    limit = report.started + report.duration - _CLOCKS
    requests = [each for each in report.exchanges if _is_request(each) and each["time"] <= limit]
    in_flight = [each for each in requests if _end(each) >= limit]
    ended = [each for each in requests if _end(each) < limit]
    waiting = [each for each in in_flight if limit - each["time"] >= _longest_wait(each, ended)]
    if waiting:
        oldest = min(waiting, key=lambda each: each["time"])
        return Unfinished(True, f"{_what(oldest)} in flight for {_seconds(limit - oldest['time'])}")
    count = counted(len(requests), "request")
    count = f"at least {count}" if len(report.exchanges) >= EXCHANGES else count
    if in_flight:
        last = max(in_flight, key=lambda each: each["time"])
        return Unfinished(False, f"{count}, the last in flight for {_seconds(limit - last['time'])}")
    if not ended:
        return Unfinished(True, "no request")
    last = max(ended, key=_end)
    ago = f"ended {_seconds(limit - _end(last))} before the limit"
    newest = {_target(each): each for each in sorted(ended, key=_end)}
    if any(map(_is_retriable, newest.values())) or _is_redirect(last):
        return Unfinished(False, f"{count}, the last {ago}")
    return Unfinished(True, f"no request in flight, and none to repeat; {_what(last)} {ago}")


def _is_request(exchange: Exchange) -> bool:
    """Return whether this is a request. A connection without one counts only if a rule was applied to it."""
    return exchange["endpoint"] != "connect" or bool(exchange["faults"])


def _end(exchange: Exchange) -> float:
    duration = exchange["duration"]
    return float("inf") if duration is None else exchange["time"] + duration


def _longest_wait(exchange: Exchange, ended: list[Exchange]) -> float:
    """Return how long a client waits for a response like this one, as far as it has shown it."""
    ended_by_client = (
        each["duration"] or 0.0
        for each in ended
        if each["ended"] == "disconnected" and _target(each) == _target(exchange)
    )
    return max(_IN_FLIGHT, *ended_by_client, 0.0)


def _is_retriable(exchange: Exchange) -> bool:
    """Return whether a client may send a request again: a fault was applied to it, or it failed."""
    status = exchange["status"] or 0
    is_usual = (exchange["endpoint"], status) == ("ping", HTTPStatus.UNAUTHORIZED) or (
        (exchange["method"], status) == ("HEAD", HTTPStatus.NOT_FOUND)
    )
    has_failed = bool(exchange["faults"]) or status >= HTTPStatus.BAD_REQUEST
    return exchange["ended"] != "complete" or (has_failed and not is_usual)


def _is_redirect(exchange: Exchange) -> bool:
    return HTTPStatus.MULTIPLE_CHOICES <= (exchange["status"] or 0) < HTTPStatus.BAD_REQUEST


def _target(exchange: Exchange) -> tuple[str, str]:
    return exchange["method"], exchange["path"]


def _what(exchange: Exchange) -> str:
    if exchange["endpoint"] == "connect":
        return "a connection without a request"
    return f"{exchange['method']} {exchange['endpoint']}"


def _seconds(seconds: float) -> str:
    return f"{max(seconds, 0.0):.1f} s"
