"""Markdown that code hosts and the site show alike: tables, and text from the code in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_OPTION = re.compile(r"(?<![\w`/-])(--[a-z][a-z0-9-]*)")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield f"| {' | '.join(headings)} |"
    yield f"|{' --- |' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def code(text: str) -> str:
    """Return text as code."""
    return f"`{text}`"


def codes(texts: Iterable[str]) -> str:
    """Return a list of texts as code."""
    return ", ".join(map(code, texts))


def prose(text: str) -> str:
    """Return plain text of the code: nothing in it is markup, and options are code.

    Text in backticks stays as it is.
    """
    parts = " ".join(text.split()).split("`")
    plain = (_OPTION.sub(r"`\1`", each.replace("<", "&lt;").replace("*", r"\*")) for each in parts[::2])
    found = [next(plain) if place % 2 == 0 else f"`{each}`" for place, each in enumerate(parts)]
    return "".join(found)
