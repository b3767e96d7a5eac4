"""The table of panes in the detail of an exchange, and the panes Body and Timeline."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from brokenreg.oci.sizes import format_size
from brokenreg.oci.target import Endpoint
from brokenreg.rules.explanations import rules_in_namespace
from brokenreg.runtime.traffic_source import TrafficSource
from brokenreg.traffic.bodies import MOST, TOTAL, Body, Kept
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.timeline_text import text_of
from brokenreg.tui.lines import Line, document_lines
from brokenreg.tui.text import visible
from brokenreg.tui.traffic.detail.headers import Part, headers, only_a_line
from brokenreg.tui.traffic.detail.why import MOST_RULES, why


def timeline(exchange: Exchange) -> Iterator[Part]:
    """Yield one line for each point."""
    for event, seconds in exchange.timeline:
        yield f"{seconds * 1000:>10.1f} ms  ", "$secondary"
        yield f"{visible(text_of(event))}\n", ""
    if not _has_messages(exchange):
        yield f"\n{only_a_line(exchange)}\n", "$secondary"


def _has_messages(exchange: Exchange) -> bool:
    return exchange.saved is None or exchange.saved.has_messages


SHOWN = 128 * 1024
"""Characters of one body, indented: all of what is kept, unless it is made of little else than brackets."""

LINES = 2_000
"""Lines of one body: what can be made within some milliseconds, wherever it is cut."""


def body(exchange: Exchange, kept: Kept) -> Iterator[Part | Line]:
    """Yield the bodies of the request and of the response, or why they were not kept."""
    if exchange.request_bytes:
        yield from _titled("Request body", exchange.request_bytes, kept.request, _why_no_request(exchange))
        yield "\n", ""
    yield from _titled("Response body", exchange.response_bytes, kept.response, _why_none(exchange))


def _titled(title: str, size: int, kept: Body | None, why: str) -> Iterator[Part | Line]:
    yield title, "bold"
    if kept is None:
        yield f"  {format_size(size)}\n  {why}\n", "$secondary"
        return
    lines, is_all = document_lines(kept.data.decode(errors="backslashreplace"), SHOWN, LINES)
    is_cut = not is_all or not (kept.is_whole or (kept.is_redacted and kept.size <= MOST))
    remark = f"; {kept.remark}" if kept.is_redacted else ""
    remark += "; only the beginning is shown" if is_cut else ""
    yield f"  {format_size(size)}{remark}\n", "$secondary"
    yield from lines


def _why_no_request(exchange: Exchange) -> str:
    if exchange.ended is None:
        return "shown after the exchange ends"
    if reason := _why_not_in_file(exchange):
        return reason
    if exchange.endpoint is Endpoint.MANIFEST:
        return _made_way()
    return "not recorded: only the request bodies of manifests are recorded"


def _why_none(exchange: Exchange) -> str:
    if exchange.ended is None:
        return "shown after the exchange ends"
    if not exchange.response_bytes:
        return "none"
    if reason := _why_not_in_file(exchange):
        return reason
    if exchange.endpoint is Endpoint.TOKEN:
        return "not recorded: it may contain a token"
    if exchange.endpoint in (Endpoint.CONFIG, Endpoint.LAYER, Endpoint.UPLOAD, Endpoint.OTHER):
        return "not recorded: only manifests, lists and errors are recorded"
    return _made_way()


def _why_not_in_file(exchange: Exchange) -> str:
    """Return why a body is missing if its file decides that, and not what brokenreg records."""
    if not _has_messages(exchange):
        return only_a_line(exchange)
    is_foreign = exchange.saved is not None and not exchange.saved.is_own
    return "not in the file, or not a manifest, list or error" if is_foreign else ""


def _made_way() -> str:
    return f"not kept: the limit is {format_size(MOST)} per body and {format_size(TOTAL)} in total"


def _unchanging(exchange: Exchange, traffic: TrafficSource) -> Hashable:
    del exchange, traffic
    return None


@dataclass(frozen=True, slots=True)
class Pane:
    """The parts of a pane, and a value that differs if they change while the exchange does not."""

    parts: Callable[[Exchange, TrafficSource], Iterable[Part | Line]]
    state: Callable[[Exchange, TrafficSource], Hashable] = _unchanging


def _counts(exchange: Exchange, traffic: TrafficSource) -> Hashable:
    rules = rules_in_namespace(exchange, traffic.rules)
    return len(rules), tuple(
        (active.id, active.matched, active.applied) for active in rules[: MOST_RULES + 1]
    )


PANES: Mapping[str, Pane] = {
    "Headers": Pane(lambda exchange, _: headers(exchange)),
    "Body": Pane(lambda exchange, traffic: body(exchange, traffic.log.bodies.of(exchange))),
    "Timeline": Pane(lambda exchange, _: timeline(exchange)),
    "Why": Pane(lambda exchange, traffic: why(exchange, traffic.rules), _counts),
}
