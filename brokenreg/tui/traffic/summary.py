"""A pull or push in numbers. Free of Textual."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.traffic.transfer import (
    Kind,
    Transfer,
    announced,
    body_bytes,
    is_whole_blob,
    kind_of,
    request_key,
)

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-", re.ASCII)


@dataclass(frozen=True, slots=True)
class Summary:
    """A transfer in numbers. `sent` and `announced` are bytes of blobs; `seconds` is None until it ends."""

    held: int
    in_flight: int
    failed: int
    sent: int
    announced: int
    blobs_done: int
    blobs: int
    seconds: float | None


def summarise(transfer: Transfer) -> Summary:
    """Return the summary of a transfer. Bytes that several attempts sent count once."""
    bodies = transfer.last_bodies()
    done = {request_key(each)[1] for each in bodies if is_whole_blob(each)}
    seen = done | {each.target.reference for each in bodies if each.target.reference}
    busy = sum(each.ended is None for each in transfer.members)
    end = max((each.started + (each.duration or 0.0) for each in transfer.members), default=0.0)
    return Summary(
        held=sum(each.held_since is not None for each in transfer.members),
        in_flight=busy,
        failed=sum(transfer.is_failure(each) for each in transfer.last_attempts() if each.method != "HEAD"),
        sent=sum(_covered(attempts, body_bytes) for attempts in transfer.bodies()),
        announced=sum(_covered(attempts, _promised) for attempts in transfer.bodies()),
        blobs_done=len(done),
        blobs=max(len(seen), len(transfer.blobs)),
        seconds=None if busy else end - transfer.members[0].started,
    )


def _promised(exchange: Exchange) -> int:
    return max(announced(exchange) or 0, body_bytes(exchange))


def _covered(attempts: Sequence[Exchange], length: Callable[[Exchange], int]) -> int:
    """Return how many bytes of a blob its responses cover. A 206 continues what an earlier response began.

    Of responses without content, and of an upload, only the last one counts.
    """
    content = [each for each in attempts if each.status in (200, 206) and kind_of(each) is not Kind.PUSH]
    covered = end = 0
    for start, each in sorted(((_start(each), each) for each in content), key=itemgetter(0)):
        until = start + length(each)
        covered += max(0, until - max(start, end))
        end = max(end, until)
    return covered if content else length(attempts[-1])


def _start(exchange: Exchange) -> int:
    """Return where in the blob the body begins."""
    match = _CONTENT_RANGE.match(exchange.response_header("content-range") or "")
    return int(match[1]) if match and exchange.status == 206 else 0
