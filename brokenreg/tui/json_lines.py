"""JSON, indented for people, without changing a character of it; also if it is cut off, or none."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_DEEPEST = 20
"""Levels that are indented."""


def looks_like_json(text: str) -> bool:
    """Whether it begins as an object or an array does."""
    return text.lstrip()[:1] in ("{", "[")


def indented(text: str, most: int, most_lines: int = sys.maxsize) -> str:
    """`text` on lines of its own making; about the first `most` characters, or `most_lines`, of that."""
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
