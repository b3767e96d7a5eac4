"""Lists as code hosts read them (CommonMark), for Python-Markdown, with four spaces per level."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_ITEM = re.compile(r" *(?:[-*+]|([0-9]{1,9})[.)]) +(?=\S)")
_FENCE = re.compile(r" *(```+|~~~+)")


def with_four_spaces(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a page with what belongs to a list item four spaces further than its mark.

    In CommonMark, that is where the text of the item begins, and no empty line is needed before a list.
    """
    columns: list[int] = []  # where the text of each open item begins
    fence = before = ""
    follows_text = has_paragraphs = False
    for line in lines:
        found = _FENCE.match(line)
        closed = 0
        if line.strip() and not fence:
            while columns and _indent(line) < columns[-1]:
                closed = columns.pop()
        item = None if fence else _ITEM.match(line)
        if item and item[1] and not closed and before.strip() and item[1] != "1":
            line = f"{line[: item.end(1)]}\\{line[item.end(1) :]}"  # no item, but a number in a text
            item = None
        if item and follows_text and (has_paragraphs or not columns):
            yield ""
        yield f"{4 * len(columns) * ' '}{line[columns[-1] :] if columns else line}".rstrip()
        is_text = not (item or found or fence or line.lstrip().startswith(("#", "|", "<!--")))
        follows_text = bool(line.strip()) and is_text
        has_paragraphs = (has_paragraphs or not line.strip()) and not item
        before = line
        if item:
            columns.append(len(item[0]))
        if found:
            fence = "" if fence and line.strip().startswith(fence) else fence or found[1]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
