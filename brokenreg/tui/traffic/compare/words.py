"""The rows of a comparison in words that fit into columns. What clients sent is made safe to show."""

from __future__ import annotations

from itertools import groupby

from rich.cells import cell_len

from brokenreg.oci.digests import is_digest
from brokenreg.traffic.comparing.comparison import Request, Row, Sides
from brokenreg.traffic.comparing.comparison_text import attempt_words, values_text
from brokenreg.traffic.comparing.differences import Aspect, Difference
from brokenreg.tui.text import beginning, fit
from brokenreg.tui.traffic import cells

_STATUS, _SIZE, _MS = 4, 7, 7
_VALUE = 60
"""Characters of a value in the list of what differs."""

_ORDER = {aspect: place for place, aspect in enumerate(Aspect)}
_WRITES = ("POST", "PUT", "PATCH")
_UPLOAD = "upload of "
HEADINGS = "St", "Size", "ms"


def heading(width: int) -> str:
    """Return the names of the columns of one side."""
    status, size, elapsed = HEADINGS
    room = max(0, width - _STATUS - _SIZE - _MS)
    return f"{fit('Request', room)}{status:>{_STATUS}}{size:>{_SIZE}}{elapsed:>{_MS}}"


def column(request: Request | None, width: int, now: float) -> str:
    """Return a request in exactly `width` cells, or that this side does not have it."""
    if request is None:
        return fit("not requested", width)
    exchange = request.exchange
    room = max(0, width - _STATUS - _SIZE - _MS)
    numbers = (
        f"{cells.status_word(exchange):>{_STATUS}}{cells.size_word(exchange):>{_SIZE}}"
        f"{cells.milliseconds(exchange, now):>{_MS}}"
    )
    return fit(request_words(request, room), room) + numbers


def request_words(request: Request, width: int) -> str:
    """Return method and subject, and as much of the reference as fits: `GET layer 2 b1946a…`."""
    again = "↻ " if request.attempt > 1 else ""
    label = request.label.replace(_UPLOAD, "") if request.exchange.method in _WRITES else request.label
    words = f"{again}{beginning(label, width)}"
    reference = request.subject.reference
    if not reference or reference in label:
        return words
    text = reference.partition(":")[2] if is_digest(reference) else beginning(reference, width)
    room = width - cell_len(words) - 1
    return f"{words} {fit(text, room).rstrip()}" if room >= min(_REFERENCE, cell_len(text)) else words


_REFERENCE = 4
"""Least number of cells for a reference."""


def notes(row: Row) -> str:
    """Return what differs in a row, the most important first, in one line that can be folded."""
    only = [] if row.sides is Sides.BOTH else [str(row.sides)]
    attempt = [attempt_words(row)] if row.one.attempt > 1 else []
    differing = sorted(row.differences, key=lambda each: _ORDER[each.aspect])
    groups = groupby(differing, lambda each: (each.aspect, bool(each.name)))
    return " · ".join(only + attempt + [_words([*group]) for _, group in groups])


def _words(group: list[Difference]) -> str:
    """Return one aspect with both values, or the names of all headers that differ."""
    if group[0].name:
        names = ", ".join(beginning(each.name, _VALUE) for each in group)
        return f"{group[0].aspect} {names}"
    each = group[0]
    return f"{each.aspect} {values_text(_value(each.left), _value(each.right))}"


def _value(text: str) -> str:
    return cells.short(text) if is_digest(text) else beginning(text, _VALUE)
