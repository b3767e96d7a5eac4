"""What a client was doing at the time limit: it hung, or it waited between two requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from brokenreg.client.documents import Exchange
from brokenreg.exam.time_limit import at_the_limit
from tests.exam.reports import exchange, report

LIMIT = 1020.0
FAULTS = ["error"]


def at(number: int, start: float, duration: float | None, **changed: Any) -> Exchange:
    return exchange(number, time=1000.0 + start, duration=duration, path="/v2/a/manifests/v1", **changed)


@pytest.mark.parametrize(
    ("exchanges", "has_hung", "words"),
    [
        ([], True, "no request"),
        ([at(1, 1, None)], True, "GET manifest in flight for 19.0 s"),
        # The end of the client ends its request.
        ([at(1, 1, 19.1, ended="disconnected")], True, "GET manifest in flight for 19.0 s"),
        # On another clock, it ended before the limit.
        ([at(1, 1, 18.99, ended="disconnected")], True, "GET manifest in flight for 19.0 s"),
        (
            [at(1, 0, 0.1), at(2, 1, 0.5, status=503, faults=FAULTS)],
            False,
            "2 requests, the last ended 18.5 s before the limit",
        ),
        # It has sent the request again, and got what it wanted: it waits for nothing.
        (
            [at(1, 0, 0.1, status=503, faults=FAULTS), at(2, 1, 0.5)],
            True,
            "no request in flight, and none to repeat; GET manifest ended 18.5 s before the limit",
        ),
        # A client that repeats without a pause has always a request in flight.
        (
            [at(1, 19, 0.1, status=503, faults=FAULTS), at(2, 19.8, 0.3, status=503)],
            False,
            "2 requests, the last in flight for 0.2 s",
        ),
        # It has a time limit of 8 s for each request, so this one would have ended, too.
        (
            [at(1, 0, 8.0, status=None, ended="disconnected", faults=FAULTS), at(2, 15, None, status=None)],
            False,
            "2 requests, the last in flight for 5.0 s",
        ),
        ([at(1, 1, 0.1, status=401, endpoint="ping")], True, None),
        ([at(1, 1, 0.1, status=404, method="HEAD")], True, None),
        ([at(1, 1, 0.1, status=500)], False, None),
        # It has ended a loop of redirects, and can begin it again.
        (
            [at(1, 1, 0.1), at(2, 2, 0.1, status=307)],
            False,
            "2 requests, the last ended 17.9 s before the limit",
        ),
        # An idle connection is none of the client's requests, unless the case has stopped it.
        ([at(1, 1, 0.1, status=500), at(2, 1, None, endpoint="connect")], False, None),
        (
            [at(1, 1, None, endpoint="connect", faults=["stall"])],
            True,
            "a connection without a request in flight for 19.0 s",
        ),
        ([at(1, 1, 0.1, status=500), at(2, 20.5, None)], False, None),
    ],
)
def test_a_client_at_the_limit(exchanges: list[Exchange], has_hung: bool, words: str | None) -> None:
    run = replace(report("a case", exchanges=exchanges, status=None), duration=LIMIT - 1000.0)
    found = at_the_limit(run)
    assert found.has_hung is has_hung, found.words
    assert words is None or found.words == words
