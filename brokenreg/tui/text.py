"""Makes text safe to show, cuts and folds it to a number of cells, and indents JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size

from brokenreg.wording import printable

ELLIPSIS = "…"


def visible(text: str) -> str:
    """Escape everything in `text` that would move a cursor, combine, hide or reverse what is shown."""
    return printable(text)


def beginning(text: str, most: int) -> str:
    """Return the first `most` characters of `text`, `visible`, with an ellipsis if there are more.

    The rest is not read: texts of clients can be 64 KiB long.
    """
    return visible(text[:most]) + (ELLIPSIS if len(text) > most else "")


def fit(text: str, width: int) -> str:
    """Return `text` in exactly `width` cells: cut at its end, with an ellipsis, or filled with spaces."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + ELLIPSIS if width > 0 else ""


def fit_end(text: str, width: int) -> str:
    """Return the end of `text` in at most `width` cells, after an ellipsis if something is missing."""
    if cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    text = text[-width:]
    while cell_len(text) > width - 1:
        text = text[1:]
    return ELLIPSIS + text


def fold(text: str, width: int) -> list[str]:
    """Return `text`, which is `visible`, in rows of at most `width` cells, broken as `rows_of` says."""
    return [text[start:end] for start, end in rows_of(text, width)]


_BREAKABLE = "/,"


def rows_of(text: str, width: int, indent: int = 0) -> Iterator[tuple[int, int]]:
    """Yield where each row of a folded text starts and ends. Rows after the first are narrower by `indent`.

    A row ends at a space. A word that is longer than a row is broken after a slash or comma, or, if it has
    none near the edge (a digest), at the edge.
    """
    start, end = 0, _room(text, 0, width)
    while end < len(text):
        end = _break_before(text, start, end, width - indent)
        yield start, end
        start = end
        while text.startswith(" ", start):
            start += 1
        end = _room(text, start, width - indent)
    yield start, len(text)


def _break_before(text: str, start: int, end: int, width: int) -> int:
    """Return where a row ends that has room until `end`: at a space, or within a word that is too long."""
    space = text.rfind(" ", start, end + 1)
    if space >= 0 and text[start:space].strip():
        word = text[space + 1 : space + 2 + max(0, width)].partition(" ")[0]
        if cell_len(word) <= width:
            return space
    after = 1 + max(text.rfind(sign, start, end) for sign in _BREAKABLE)
    return after if after > start + (end - start) // 3 else end


def _room(text: str, start: int, width: int) -> int:
    """Return where a row ends that begins at `start`: after `width` cells, but at least one character."""
    end = start + max(1, width)
    while end - start > 1 and cell_len(text[start:end]) > width:
        end -= max(1, (cell_len(text[start:end]) - width) // 2)
    return min(end, len(text))


_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_DEEPEST = 20
"""Levels that are indented."""


def looks_like_json(text: str) -> bool:
    """Return whether a text begins like a JSON object or array."""
    return text.lstrip()[:1] in ("{", "[")


def indented(text: str, most: int, most_lines: int = sys.maxsize) -> str:
    """Return JSON, valid or not, indented: about the first `most` characters, or `most_lines` lines."""
    parts: list[str] = []
    length, lines = 0, 1
    for part in _parts(text):
        lines += part[0] == "\n"
        if lines > most_lines:
            break
        parts.append(part[: most - length])
        length += len(part)
        if length >= most:
            break
    return "".join(parts)


def _parts(text: str) -> Iterator[str]:
    depth = 0
    opened = ""
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece in ("}", "]"):
            depth = max(0, depth - 1)
            yield piece if opened else _line(depth) + piece
            opened = ""
            continue
        if opened:
            yield _line(depth)
            opened = ""
        yield piece
        if piece in ("{", "["):
            depth += 1
            opened = piece
        elif piece == ",":
            yield _line(depth)
        elif piece == ":":
            yield " "


def _line(depth: int) -> str:
    return "\n" + "  " * min(depth, _DEEPEST)
