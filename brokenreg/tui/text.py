"""Text from anywhere, made safe to show, and cut to the cells that there are for it."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from brokenreg.wording import printable

ELLIPSIS = "…"


def visible(text: str) -> str:
    """`text` with everything escaped that would move a cursor, combine, hide or turn what is shown."""
    return printable(text)


def beginning(text: str, most: int) -> str:
    """The first `most` characters of `text`, `visible`; with an ellipsis, if there are more.

    For what is shown in a few cells and can be 64 KiB long: no more of it is looked at.
    """
    return visible(text[:most]) + (ELLIPSIS if len(text) > most else "")


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` cells: cut at its end, with an ellipsis, or filled with spaces."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + ELLIPSIS if width > 0 else ""


def fit_end(text: str, width: int) -> str:
    """The end of `text` in at most `width` cells, with an ellipsis before it where something is missing."""
    if cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    text = text[-width:]
    while cell_len(text) > width - 1:
        text = text[1:]
    return ELLIPSIS + text


def fold(text: str, width: int) -> list[str]:
    """`text`, which is `visible`, in rows of at most `width` cells, broken at spaces where that can be."""
    rows = []
    start, end = 0, _room(text, 0, width)
    while end < len(text):
        row = text[start:end]
        if text[end] != " " and row.rfind(" ") > len(row) // 2:
            row = row[: row.rfind(" ")]
        rows.append(row)
        start += len(row)
        while text.startswith(" ", start):
            start += 1
        end = _room(text, start, width)
    return [*rows, text[start:]]


def _room(text: str, start: int, width: int) -> int:
    """Where what begins at `start` has filled `width` cells; it is one character at least."""
    end = start + max(1, width)
    while end - start > 1 and cell_len(text[start:end]) > width:
        end -= max(1, (cell_len(text[start:end]) - width) // 2)
    return min(end, len(text))
