"""A pull or push as a whole: client, image, times, progress, and missing blobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator

from brokenreg.http.dates import date_and_clock
from brokenreg.oci.digests import is_digest
from brokenreg.oci.sizes import format_size
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.tui.text import beginning, visible
from brokenreg.tui.traffic import cells, outcome
from brokenreg.tui.traffic.detail.headers import Part, duration_text
from brokenreg.tui.traffic.summary import Summary, summarise
from brokenreg.tui.traffic.transfer import Kind, Transfer, announced, body_bytes
from brokenreg.wording import counted

MOST = 40
"""Blobs that are listed as missing."""

_LABEL = 10
_TITLE = 4096
_PRODUCT_SHOWN = 200


def state(transfer: Transfer, now: float) -> Hashable:
    """Return a value that differs if `whole` would differ."""
    is_busy = any(each.ended is None for each in transfer.members)
    changes = sum(each.revision for each in transfer.members)
    return transfer.size, len(transfer.members), changes, len(transfer.blobs), now if is_busy else None


def whole(transfer: Transfer, now: float) -> Iterator[Part]:
    """Yield a head of two lines, facts, the missing blobs with reasons, and the requests."""
    yield f"{cells.transfer_line(transfer, _TITLE)}\n", "bold"
    if not transfer.members:
        yield "Its exchanges are no longer in the log\n", ""
        return
    summary = summarise(transfer)
    color = "$error" if summary.failed else "$warning" if summary.held else "$success"
    yield f"{_how(transfer, summary, now)}\n\n", f"bold {color}"
    for label, value in _facts(transfer, summary):
        yield f"{label:<{_LABEL}}", "$secondary"
        yield f"{value}\n", ""
    yield from _missing(transfer, now)
    yield from _requests(transfer)


def _how(transfer: Transfer, summary: Summary, now: float) -> str:
    held = f", {summary.held} held" if summary.held else ""
    failed = f", {summary.failed} failed" if summary.failed else ""
    if summary.seconds is not None:
        length = duration_text(summary.seconds)
        return f"{'✗' if failed else '✓'} ended after {length}{failed}"
    if any(each.end_is_unknown for each in transfer.members):
        return f"{'⏸' if held else '▸'} {summary.in_flight} {outcome.NOT_ENDED}{held}{failed}"
    length = duration_text(now - transfer.members[0].started, is_exact=False)
    return f"{'⏸' if held else '▸'} {summary.in_flight} in flight for {length}{held}{failed}"


def _facts(transfer: Transfer, summary: Summary) -> Iterator[tuple[str, str]]:
    first, target = transfer.first, transfer.first.target
    product = beginning(first.user_agent.partition(" ")[0], _PRODUCT_SHOWN)
    yield "Client", ", ".join(filter(None, (product, visible(first.client.rpartition(":")[0]))))
    if target.namespace:
        yield "Namespace", visible(target.namespace)
    if target.endpoint is Endpoint.MANIFEST and is_digest(target.reference):
        yield "Reference", target.reference
    yield "Started", date_and_clock(first.started)
    if summary.blobs:
        yield "Blobs", f"{summary.blobs_done} of {summary.blobs}"
    is_partly = summary.announced > summary.sent
    yield "Bytes", format_size(summary.sent) + (f" of {format_size(summary.announced)}" if is_partly else "")
    members = transfer.members
    for label, words in (
        ("Cache", (str(each.cache) for each in members if each.cache is not None)),
        ("Faults", ("+".join(each.faults) for each in members if each.faults)),
        ("Retries", _retries(transfer)),
    ):
        if by_word := _counted(words):
            yield label, visible(by_word)


def _requests(transfer: Transfer) -> Iterator[Part]:
    """Yield the number of requests, and their statuses by endpoint."""
    members = transfer.members
    gone = transfer.size - len(members)
    yield f"\n{counted(transfer.size, 'request')}", "bold"
    yield f"{f', {gone} of them no longer in the log' if gone else ''}\n", ""
    for endpoint in dict.fromkeys(each.endpoint for each in members):
        of_it = [each for each in members if each.endpoint is endpoint]
        answers = (f"{cells.method_word(each)} {cells.status_word(each)}" for each in of_it)
        yield f"  {endpoint:<{_LABEL}}", "$secondary"
        yield f"{_counted(answers)}\n", ""


def _retries(transfer: Transfer) -> Iterator[str]:
    """Yield the endpoint of each request that was repeated after a failure (`Transfer.retry`)."""
    failed = set()
    for each in transfer.members:
        key = (each.method, each.target.reference)
        if key in failed:
            yield str(each.endpoint)
        if transfer.is_failure(each) and each.target.reference:
            failed.add(key)


def _counted(words: Iterable[str]) -> str:
    """Return words with their counts: `GET 200 ×3, GET 503`."""
    return ", ".join(f"{word} ×{count}" if count > 1 else word for word, count in Counter(words).items())


def _missing(transfer: Transfer, now: float) -> Iterator[Part]:
    """Yield the blobs that are missing. Which blobs a push will send is unknown."""
    requested = {each.target.reference: each for each in transfer.last_bodies()}
    named = transfer.blobs if transfer.kind is Kind.PULL else set()
    missing = {reference: why for reference, each in requested.items() if (why := _why(each, now))}
    missing |= dict.fromkeys(sorted(named - requested.keys()), "not requested")
    if not missing:
        return
    yield "\nMissing blobs\n", "bold"
    for reference, why in [*missing.items()][:MOST]:
        yield f"  {visible(reference) or 'an upload'}\n", ""
        yield f"    {visible(why)}\n", "$error"
    if len(missing) > MOST:
        yield f"  and {len(missing) - MOST} more\n", "$secondary"
    if named - requested.keys():
        yield "  A client does not request a blob that it already has.\n", "$secondary"


def _why(exchange: Exchange, now: float) -> str:
    """Return why the blob of an exchange is missing, or an empty string."""
    if exchange.ended is not None:
        if not exchange.has_failed:
            return ""
        left = "" if exchange.ended is Ended.COMPLETE else outcome.ended_word(exchange)
        words = (f"failed: {cells.status_word(exchange)}", left, "+".join(exchange.faults))
        return ", ".join(filter(None, words))
    done, all_of_it = body_bytes(exchange), announced(exchange)
    size = format_size(done) + (f" of {format_size(all_of_it)}" if all_of_it else "")
    if exchange.held_since is not None:
        age = "" if exchange.end_is_unknown else f", for {max(0.0, now - exchange.held_since):.0f} s"
        return f"held at {size}{age}"
    return f"{outcome.ended_word(exchange)}, {size}"
