"""Text from anywhere, made safe to show, and cut to the cells that there are for it."""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len, chop_cells, set_cell_size

ELLIPSIS = "…"


def visible(text: str) -> str:
    """`text` with everything escaped that would move a cursor, combine, hide or turn what is shown."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() and unicodedata.category(character)[0] != "M"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


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
    while cell_len(text) > width:
        row = chop_cells(text[: width + 1], width)[0]
        if not text[len(row)].isspace() and row.rfind(" ") > len(row) // 2:
            row = row[: row.rfind(" ")]
        rows.append(row)
        text = text[len(row) :].lstrip(" ")
    return [*rows, text]
