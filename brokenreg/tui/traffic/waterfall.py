"""Bars of blocks: when something happened, and how far it has come."""

from __future__ import annotations

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BEFORE = "·"


def span_bar(start: float, end: float, span: tuple[float, float], width: int) -> str:
    """From `start` to `end` within `span` (seconds), in `width` cells; dots before it, nothing after."""
    whole = max(span[1] - span[0], 1e-6)
    first = min(width - 1, max(0, int((start - span[0]) / whole * width)))
    eighths = round((min(end, span[1]) - max(start, span[0])) / whole * width * 8)
    eighths = min(max(1, eighths), (width - first) * 8)
    full, part = divmod(eighths, 8)
    return f"{_BEFORE * first}{'█' * full}{_EIGHTHS[part] if part else ''}".ljust(width)


def progress_bar(done: int, whole: int, width: int = 9) -> str:
    """`███▌··42%`: how much of `whole` is done, in `width` cells."""
    share = min(1.0, max(0.0, done / whole)) if whole > 0 else 1.0
    words = f"{int(share * 100)}%"
    room = width - len(words)
    full, part = divmod(int(share * room * 8), 8)
    return f"{'█' * full}{_EIGHTHS[part] if part else ''}".ljust(room, _BEFORE) + words
