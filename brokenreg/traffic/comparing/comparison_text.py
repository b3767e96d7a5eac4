"""A comparison as plain text, to be saved or pasted into an issue."""

from __future__ import annotations

from collections.abc import Iterator

from brokenreg.oci.sizes import format_size
from brokenreg.traffic.comparing.comparison import Comparison, Row, Sides, Totals
from brokenreg.traffic.comparing.differences import Aspect, outcome, seconds_text
from brokenreg.traffic.comparing.pair import PairLine, Sign
from brokenreg.traffic.exchange import Exchange
from brokenreg.wording import counted, form_for, printable

SIGNS = {Sides.LEFT: Sign.LEFT, Sides.RIGHT: Sign.RIGHT}
_CLIENTS = 3
"""Number of clients of one side that are named."""

_LONGEST = 500
"""Maximum number of characters of one value."""


def sign_of(row: Row) -> Sign:
    """Return the sign before a row."""
    return SIGNS.get(row.sides) or (Sign.EQUAL if row.is_equal else Sign.DIFFERS)


def count_line(comparison: Comparison) -> str:
    """Return in one line how many rows differ, and in what."""
    rows = comparison.rows
    differing = sum(not row.is_equal for row in rows)
    if not differing:
        return f"no differences in {counted(len(rows), 'request')}"
    found = comparison.counts
    counts = (
        f"{what} ×{found[what]}" if found[what] > 1 else str(what)
        for what in (*Sides, *Aspect)
        if found[what]
    )
    verb = form_for(differing, "differs", "differ")
    return f"{differing} of {counted(len(rows), 'request')} {verb}: {', '.join(counts)}"


def comparison_text(comparison: Comparison, titles: tuple[str, str]) -> Iterator[str]:
    """Yield the text of a comparison in pieces. `titles` name the sides."""
    for name, title, totals in zip(
        ("left: ", "right:"), titles, (comparison.left, comparison.right), strict=True
    ):
        yield f"{name} {printable(title)}, {totals_line(totals)}\n"
    yield f"\n{count_line(comparison)}\n\n"
    for row in comparison.rows:
        yield f"{sign_of(row)} {_text(_heading(row))}\n"
        for name, request in (("left", row.left), ("right", row.right)):
            if request is not None:
                yield f"    {name + ':':<6} {_text(_summary(request.exchange))}\n"
        for each in row.differences:
            label = f"{each.aspect} {each.name}".strip()
            yield f"    {_text(label)}: {values_text(_text(each.left), _text(each.right))}\n"


def values_text(left: str, right: str) -> str:
    """Return both values of a difference. Those of bodies can look the same, because they are sizes."""
    return "differs" if left == right else f"{left} {Sign.DIFFERS} {right}"


def totals_line(totals: Totals) -> str:
    """Return one side in numbers, and its clients."""
    parts = [
        counted(totals.requests, "request"),
        f"{totals.failed} failed" if totals.failed else "",
        f"{format_size(totals.request_bytes)} sent" if totals.request_bytes else "",
        f"{format_size(totals.response_bytes)} received",
        seconds_text(totals.seconds),
        ", ".join(f"client {printable(each[:_LONGEST])}" for each in totals.clients[:_CLIENTS] if each),
        f"{totals.omitted} more left out" if totals.omitted else "",
    ]
    return ", ".join(filter(None, parts))


def pair_text(lines: list[PairLine], titles: tuple[str, str]) -> Iterator[str]:
    """Yield the text of two exchanges in full, in pieces. `titles` name the sides."""
    yield f"left:  {printable(titles[0])}\nright: {printable(titles[1])}\n"
    section = None
    for line in lines:
        if line.section is not section:
            section = line.section
            yield f"\n{section}\n"
        values = (line.left,) if line.left == line.right else (line.left, line.right)
        shown = f" {Sign.DIFFERS} ".join("none" if each is None else _text(each) for each in values)
        yield f"{line.sign} {_text(line.label)}: {shown}\n" if line.label else f"{line.sign} {shown}\n"


def attempt_words(row: Row) -> str:
    """Return which attempt the row has, and how long its client waited before it."""
    attempt = row.one.attempt
    if attempt == 1:
        return ""
    pauses = [each.pause for each in (row.left, row.right) if each is not None and each.pause is not None]
    waited = f" {Sign.DIFFERS} ".join(dict.fromkeys(seconds_text(pause) for pause in pauses))
    return f"attempt {attempt}, {waited} after the one before" if waited else f"attempt {attempt}"


def _heading(row: Row) -> str:
    only = "" if row.sides is Sides.BOTH else f", {row.sides}"
    attempt = attempt_words(row)
    return f"{row.one.label}{f', {attempt}' if attempt else ''}{only}"


def _summary(exchange: Exchange) -> str:
    reference = exchange.target.reference or exchange.path
    status = "no response" if exchange.status is None else str(exchange.status)
    size = format_size(exchange.request_bytes or exchange.response_bytes)
    return f"{reference[:_LONGEST]}, {status}, {size}, {outcome(exchange)}, {seconds_text(exchange.duration)}"


def _text(value: str) -> str:
    return printable(value[:_LONGEST]) + ("…" if len(value) > _LONGEST else "")
