"""Summarizes a pull or push in numbers. Does not use Textual."""

from __future__ import annotations

from dataclasses import dataclass

from brokenreg.tui.traffic.transfers import Transfer, announced, asked, body_bytes, has_come


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
    """Return the summary of a transfer; retries count once."""
    bodies = transfer.last_bodies()
    done = {asked(each)[1] for each in bodies if has_come(each)}
    seen = done | {each.target.reference for each in bodies if each.target.reference}
    busy = sum(each.ended is None for each in transfer.members)
    end = max((each.started + (each.duration or 0.0) for each in transfer.members), default=0.0)
    return Summary(
        held=sum(each.held_since is not None for each in transfer.members),
        in_flight=busy,
        failed=sum(transfer.is_failure(each) for each in transfer.last_attempts() if each.method != "HEAD"),
        sent=sum(body_bytes(each) for each in bodies),
        announced=sum(max(announced(each) or 0, body_bytes(each)) for each in bodies),
        blobs_done=len(done),
        blobs=max(len(seen), len(transfer.blobs)),
        seconds=None if busy else end - transfer.members[0].started,
    )
