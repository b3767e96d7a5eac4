"""What happened to an exchange, in a word or two: held, the applied fault, how it ended, its progress."""

from __future__ import annotations

from rich.cells import cell_len

from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.timeline_events import (
    FabricationProgress,
    FabricationQueued,
    ResponseAborted,
    ResponseCutShort,
    WorkProgress,
)
from brokenreg.traffic.timeline_text import text_of
from brokenreg.tui.text import fit, visible

NOT_ENDED = "not ended when the file was saved"
_ENDED_WORDS = {Ended.COMPLETE: "", Ended.DISCONNECTED: "disconnected", Ended.ABORTED: "aborted"}
_ENDED_SHORT = {**_ENDED_WORDS, Ended.DISCONNECTED: "closed"}


def note(exchange: Exchange, width: int, retry: int = 0) -> str:
    """Return held, the applied fault and how it ended if not well, or the retry, in `width` cells.

    How it ended is more important than the fault, unless the fault has ended it.
    """
    again = f"retry {retry}" if retry else ""
    word = _outcome(exchange, width)
    if word and again and cell_len(word) + 3 + len(again) <= width:
        return f"{word} · {again}"
    return word or (again if len(again) <= width else "")


def progress(work: WorkProgress, width: int) -> str:
    """Return the progress of the work for a response, in `width` cells, if necessary `fabricating 12%`."""
    texts: tuple[str, ...]
    match work:
        case FabricationProgress(percent=percent):
            texts = (text_of(work), f"fabricating {percent}%", "fabricating")
        case FabricationQueued():
            texts = (text_of(work), "waiting")
    return next((text for text in texts if cell_len(text) <= width), fit(texts[-1], width))


def _outcome(exchange: Exchange, width: int) -> str:
    if exchange.held_since is not None:
        return fit("HELD", min(4, width))
    if not exchange.faults:
        words = [each[exchange.ended] for each in (_ENDED_WORDS, _ENDED_SHORT) if exchange.ended]
        return next((word for word in words if len(word) <= width), "")
    name = faults_word(exchange)
    all_words = [each[exchange.ended] for each in (_ENDED_WORDS, _ENDED_SHORT) if exchange.ended]
    ends = [word for word in all_words if word]
    texts = (*(f"{name} · {end}" for end in ends), *(() if _is_cut_by_fault(exchange) else ends), name)
    return next((text for text in texts if cell_len(text) <= width), fit(texts[-1], width))


def _is_cut_by_fault(exchange: Exchange) -> bool:
    """Return whether the response was cut, but neither by a user nor by an error."""
    by_others = ResponseAborted, ResponseCutShort
    is_by_others = any(isinstance(point.event, by_others) for point in exchange.timeline)
    return exchange.ended is Ended.ABORTED and not is_by_others


def faults_word(exchange: Exchange) -> str:
    """Return the names of the applied faults: `truncate+latency`."""
    return visible("+".join(exchange.faults))


def ended_word(exchange: Exchange) -> str:
    """Return how it ended, in words."""
    if exchange.end_is_unknown:
        return NOT_ENDED
    if exchange.ended is None:
        return "in flight"
    return _ENDED_WORDS[exchange.ended] or "complete"
