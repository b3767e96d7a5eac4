"""What stands above every pane: what was asked, and how it went."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.text import beginning
from brokenreg.tui.traffic import cells
from brokenreg.tui.traffic.transfers import Kind

Part = tuple[str, str]
"""Text and its style."""

SHOWN = 4096
"""Characters of one thing that a client sent."""


_COLORS = {"note": "$warning", "quiet": "$secondary", "bad": "$error", "good": "$success"}


def head(exchange: Exchange, now: float, kind: Kind | None) -> Iterator[Part]:
    """Yield the parts of two lines; `kind` is the kind of transfer that it belongs to."""
    if exchange.endpoint is Endpoint.CONNECT:
        yield "A connection that asked nothing\n", "bold"
    else:
        query = f"?{beginning(exchange.query, SHOWN)}" if exchange.query else ""
        path = beginning(exchange.path, SHOWN)
        yield f"{beginning(exchange.method, SHOWN)} {path}{query}\n", "bold"
    color = f"bold {_COLORS[cells.state(exchange, kind)]}"
    length = with_unit(cells.milliseconds(exchange, now))
    answer = "no answer" if exchange.status is None else f"{exchange.status} {phrase(exchange.status)}"
    if exchange.status is None and exchange.ended is None:
        answer = exchange.progress or "no answer yet"
    after = "for" if exchange.ended is None else "after"
    yield (
        f"{cells.glyph(exchange, kind)} {answer.rstrip()}, {cells.ended_word(exchange)} {after} {length}\n",
        color,
    )


def with_unit(duration: str) -> str:
    """A duration of `cells`, whose unit is left out in columns of milliseconds."""
    return duration if duration.endswith("s") else f"{duration} ms"


def phrase(status: int) -> str:
    """What the status is called (RFC 9110); empty if it has no name."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
