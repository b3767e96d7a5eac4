"""Reads a screen back from its SVG: the characters and their styles, whatever else the SVG consists of.

So pictures are compared by what is on the screen, and a version of Textual or Rich that writes the same
screen otherwise (other fonts, rectangles in other pieces) breaks no test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from itertools import groupby
from typing import NamedTuple
from xml.etree import ElementTree

from rich.cells import cell_len

_SVG = "{http://www.w3.org/2000/svg}"
_RULE = re.compile(r"\.([\w-]+)\s*\{([^}]*)\}")
_LINE = re.compile(r"line-(\d+)\)?$")
_NOTHING = "-"


class Cell(NamedTuple):
    """A character, empty behind a wide one; its declarations as in CSS, sorted; its background."""

    text: str
    style: str
    background: str


def screen_of(svg: str) -> list[list[Cell]]:
    """Return the cells of the screen, line by line."""
    root = ElementTree.fromstring(svg)
    width = _width_of_a_column(root)
    lines = {}
    columns = 0
    for path in root.iter(f"{_SVG}clipPath"):
        if found := _LINE.search(path.attrib["id"]):
            (frame,) = path
            lines[float(frame.attrib["y"])] = int(found[1])
            columns = round(float(frame.attrib["width"]) / width)
    # Rich makes no path for the last line: the rectangles and texts there follow the distance of the others.
    tops = sorted(lines)
    lines[tops[-1] + (tops[1] - tops[0])] = len(tops)
    characters = [[" "] * columns for _ in lines]
    styles = [[_NOTHING] * columns for _ in lines]
    backgrounds = [[_NOTHING] * columns for _ in lines]
    rules = _rules(root)
    for rectangle in root.iter(f"{_SVG}rect"):
        row = _nearest(lines, float(rectangle.attrib["y"])) if "fill" in rectangle.attrib else None
        if row is not None and "clip-path" not in rectangle.attrib and "rx" not in rectangle.attrib:
            first = round(float(rectangle.attrib["x"]) / width)
            last = first + round(float(rectangle.attrib["width"]) / width)
            backgrounds[row][first:last] = [rectangle.attrib["fill"]] * (last - first)
    for piece in root.iter(f"{_SVG}text"):
        if found := _LINE.search(piece.attrib.get("clip-path", "")):
            row, column = int(found[1]), round(float(piece.attrib["x"]) / width)
            style = rules[piece.attrib["class"]]
            for character in (piece.text or "").rstrip("\n").replace("\xa0", " "):
                size = cell_len(character)
                if size == 0:
                    characters[row][column - 1] += character
                    continue
                characters[row][column : column + size] = [character, *[""] * (size - 1)]
                styles[row][column : column + size] = [style] * size
                column += size
    return [list(map(Cell, *line)) for line in zip(characters, styles, backgrounds, strict=True)]


def _width_of_a_column(root: ElementTree.Element) -> float:
    """The widest text tells it most exactly."""
    texts = [
        (float(text.attrib["textLength"]), text.text or "")
        for text in root.iter(f"{_SVG}text")
        if "textLength" in text.attrib
    ]
    length, text = max(texts)
    return length / cell_len(text)


def _rules(root: ElementTree.Element) -> Mapping[str, str]:
    """The declarations of each class."""
    css = "".join(style.text or "" for style in root.iter(f"{_SVG}style"))
    return {
        name: "; ".join(sorted(" ".join(part.split()) for part in declarations.split(";") if part.strip()))
        for name, declarations in _RULE.findall(css)
    }


def _nearest(lines: Mapping[float, int], top: float) -> int | None:
    return next((row for y, row in lines.items() if abs(y - top) < 1), None)


def described(screen: list[list[Cell]]) -> list[str]:
    """The screen as lines of text: each line of it, then its styles, from column to column."""
    return [text for number, line in enumerate(screen, 1) for text in _described(number, line)]


def _described(number: int, line: list[Cell]) -> Iterator[str]:
    yield f"{number:3}│{''.join(cell.text for cell in line).rstrip()}"
    column = 0
    for (style, background), cells in groupby(line, _look):
        run = list(cells)
        text = "".join(cell.text for cell in run)
        yield f"{number:3}│ columns {column}-{column + len(run) - 1} {text!r}: {style} on {background}"
        column += len(run)


def _look(cell: Cell) -> tuple[str, str]:
    """What can be seen of the style: of a space without a line through or under it, its background."""
    is_blank = cell.text in (" ", "") and "text-decoration" not in cell.style
    return _NOTHING if is_blank else cell.style, cell.background


def difference(kept: str, drawn: str) -> str:
    """What differs on the screens of two SVGs, as a diff of their lines and styles; empty if nothing does."""
    before, after = (described(screen_of(svg)) for svg in (kept, drawn))
    return "\n".join(unified_diff(before, after, "kept", "drawn", lineterm="", n=0))
