"""A response in flight in words: how far it is, and what holds it."""

from __future__ import annotations

from brokenreg.oci.sizes import format_size
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.text import visible
from brokenreg.tui.traffic import cells

_SHORT = len("fabricating 100%")
_EIGHTHS = " ▏▎▍▌▋▊▉"


def held(exchange: Exchange, now: float) -> str:
    """`HELD 12s at 12MiB by rule "hold layers"`; empty if it is not."""
    if exchange.held_since is None:
        return ""
    place = "its headers" if exchange.status is None else format_size(exchange.response_bytes)
    age = max(0.0, now - exchange.held_since)
    return f"HELD {age:.0f}s at {place} by {visible(exchange.held_by or 'somebody')}"


def announced(exchange: Exchange) -> int | None:
    """Bytes of the body that the response's Content-Length promises; None if it does not say."""
    length = exchange.response_header("content-length")
    if exchange.method == "HEAD" or not (length.isascii() and length.isdigit()) or len(length) > 18:
        return None
    return int(length)


def bar(exchange: Exchange, width: int) -> str:
    """How much of the announced body has passed, in exactly `width` cells; dots if nobody knows."""
    total = announced(exchange)
    if not total:
        return "·" * width
    eighths = min(width * 8, exchange.response_bytes * width * 8 // total)
    whole, part = divmod(eighths, 8)
    return f"{'█' * whole}{_EIGHTHS[part] if part else ''}".ljust(width, "·")


def progress(exchange: Exchange) -> str:
    """Return `12MiB/98MiB`, `12MiB`, the progress of the work for it, or that no response has begun."""
    if exchange.status is None:
        return cells.progress(exchange.progress, _SHORT) if exchange.progress else "no answer yet"
    total = announced(exchange)
    size = format_size(exchange.response_bytes)
    return size if total is None else f"{size}/{format_size(total)}"
