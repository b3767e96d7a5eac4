"""What the exchange log must show of each case."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from tests.clients.behaviour.case import Seen

MEASURED = {"skopeo": "1.9.", "podman": "4.3.", "docker": "20.10.", "ctr": "1.6."}
"""The versions that `EXPECTED` is about, by how they begin. Others are asked for consistency alone."""

_SLACK = 6.0
"""Seconds that a busy machine may add to a wait."""


@dataclass(frozen=True)
class Expected:
    """What a client does: how it ends, what it is answered, what it asks for with Range, how long it waits.

    `statuses` are of the requests that the fault is about, in order; `ranges` of those of them that have the
    header; `waits` seconds between one and the next. What is None is not looked at.
    """

    verdict: str
    statuses: tuple[int | None, ...] | None = None
    ranges: tuple[str, ...] | None = ()
    waits: tuple[float, ...] | None = None
    says: str = ""


def _fails(*statuses: int | None, says: str, waits: tuple[float, ...] | None = None) -> Expected:
    return Expected("fails", statuses, waits=waits, says=says)


def _recovers(*statuses: int, waits: tuple[float, ...], ranges: tuple[str, ...] = ()) -> Expected:
    return Expected("recovers", statuses, ranges, waits)


_CUT = ("bytes=5242880-",)
_EOF = _fails(200, says="unexpected EOF")
_STALLS = Expected("hangs", (200,))
_STEP = 64 * 1024
_STEPS = 256

EXPECTED = {
    "fin": {
        "skopeo": _EOF,
        "podman": _EOF,
        "docker": _recovers(200, 206, waits=(5,), ranges=_CUT),
        "ctr": _recovers(200, 206, waits=(0,), ranges=_CUT),
    },
    "rst": {
        "skopeo": _fails(200, says="connection reset by peer"),
        "podman": _recovers(200, 200, waits=(1,)),
        "docker": _recovers(200, 206, waits=(5,), ranges=_CUT),
        "ctr": _fails(200, says="connection reset by peer"),
    },
    "always": {
        "skopeo": _EOF,
        "podman": _EOF,
        "docker": Expected(
            "fails",
            (200, *[206] * 5),
            tuple(f"bytes={number * _STEP}-" for number in range(1, 6)),
            (5, 10, 15, 20, 25),
            "unexpected EOF",
        ),
        "ctr": Expected(
            "recovers",
            (200, *[206] * _STEPS),
            tuple(f"bytes={number * _STEP}-" for number in range(1, _STEPS + 1)),
        ),
    },
    "range": {
        "skopeo": _EOF,
        "podman": _EOF,
        "docker": _recovers(200, 200, 200, waits=(5, 10), ranges=_CUT),
        "ctr": _recovers(200, 200, waits=(0,), ranges=_CUT),
    },
    "corrupt": {
        "skopeo": _fails(200, says="Digest did not match"),
        "podman": _fails(200, says="Digest did not match"),
        "docker": _fails(200, says="verification failed"),
        "ctr": _fails(200, says="unexpected commit digest"),
    },
    "stall": dict.fromkeys(MEASURED, _STALLS),
    "latency": {
        "skopeo": Expected("recovers", (200,) * 5),
        "podman": Expected("recovers", (200,) * 5),
        "docker": _fails(None, says="Client.Timeout exceeded while awaiting headers"),
        "ctr": Expected("recovers", (200,) * 5),
    },
    "429": {
        "skopeo": _recovers(429, 429, 200, waits=(2, 2)),
        "podman": _recovers(429, 429, 200, waits=(2, 2)),
        "docker": _fails(429, 429, says="Too many requests"),
        "ctr": _recovers(429, 429, 200, 200, waits=(0, 0, 0)),
    },
    "503-manifest": {
        "skopeo": _fails(503, says="503 Service Unavailable"),
        "podman": _fails(503, says="503 Service Unavailable"),
        "docker": _fails(503, 503, says="503 Service Unavailable"),
        "ctr": _fails(503, says="503 Service Unavailable"),
    },
    "503-layer": {
        "skopeo": _fails(503, says="503 .Service Unavailable."),
        "podman": _fails(503, says="503 .Service Unavailable."),
        "docker": _recovers(503, 503, 200, waits=(0, 5)),
        "ctr": _fails(503, says="Service unavailable"),
    },
    "redirect": {
        "skopeo": _fails(307, 403, says="403 .Forbidden."),
        "podman": _fails(307, 403, says="403 .Forbidden."),
        "docker": _recovers(307, 403, 200, waits=(0, 0)),
        "ctr": _fails(307, 403, says="403 Forbidden"),
    },
    "upload-lost": {
        "skopeo": Expected("fails", None, says="blob upload unknown"),
        "podman": Expected("recovers"),
        "docker": Expected("recovers"),
        "ctr": Expected("fails", None, says="404 Not Found"),
    },
}


def check(name: str, seen: Seen) -> None:
    """Raise `AssertionError` unless the case of that fault came out as it must."""
    _check_consistent(seen)
    if not seen.version.startswith(MEASURED[seen.client]):
        return
    expected = EXPECTED[name][seen.client]
    assert seen.verdict == expected.verdict, seen.said
    assert re.search(expected.says, seen.said), seen.said
    asked = seen.asked
    statuses = tuple(each.status for each in asked)
    assert expected.statuses in (None, statuses), f"answers {statuses}, not {expected.statuses}"
    ranges = tuple(each.range for each in asked if each.range)
    assert expected.ranges in (None, ranges), f"asks for {ranges}, not {expected.ranges}"
    waits = [after.at - before.at for before, after in pairwise(asked)]
    for wait, least in zip(waits, expected.waits or (), strict=False):
        assert least - 0.3 < wait < least + _SLACK, f"waits {waits}, not {expected.waits}"


def _check_consistent(seen: Seen) -> None:
    """What holds for any client of any version. Raise `AssertionError`."""
    applied = [each for each in seen.exchanges if each.faults]
    if seen.verdict == "recovers" and seen.fault.subject == "layer":
        assert applied, "the fault did not strike"
        assert any(each.status in (200, 206) and each.ended == "complete" for each in seen.asked)
    if seen.verdict == "fails":
        assert applied, "it failed without the fault"
        assert seen.said, "it failed without a word"
    if seen.verdict == "hangs":
        assert any(each.ended is None for each in applied), "it hangs on something else than the fault"
