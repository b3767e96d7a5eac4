"""The tree of repositories. It paints only the visible rows (Line API)."""

from __future__ import annotations

import re
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.strip import Strip

from brokenreg.oci.sizes import format_size
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.disabled_reasons import HasDisabledReasons
from brokenreg.tui.scrolling import CursorList
from brokenreg.tui.tags.rows import DIGEST, INDEXES, MANIFESTS, Kind, Place, Row, Tree
from brokenreg.tui.text import ELLIPSIS, fit, visible
from brokenreg.tui.theme import cursor_style

_SIZE = 10
_TEXT_AT_LEAST = 20
_DIGEST_AT_LEAST = len("sha256:") + 5
_FIRST_WORD = re.compile(r"^[^./]*[./]?")
_WORD = len("manifest  ")
_BESIDE_DIGEST = 4
"""Cells at the right of the middle that digests, which begin in the same column, do not get."""


class TagTree(CursorList, HasDisabledReasons):
    """The rows of a `Tree`, one per line. The cursor stays on its row, and the row stays where it is."""

    DEFAULT_CSS = """
    TagTree > .tags--quiet { color: $secondary; }
    TagTree > .tags--name { color: $success; text-style: bold; }
    TagTree > .tags--gone { color: $error; text-style: bold; }
    TagTree > .tags--cursor { background: $panel; text-style: bold; }
    TagTree > .tags--cursor-focus { background: $primary 30%; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "tags--quiet",
        "tags--name",
        "tags--gone",
        "tags--cursor",
        "tags--cursor-focus",
    }
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("tree")

    def __init__(self, tree: Tree, hint: str) -> None:
        super().__init__()
        self._tree = tree
        self._hint = hint
        self._at = 0

    @property
    def selected(self) -> Row | None:
        """Return the row under the cursor, or None."""
        return self._tree.rows[self._at] if self._at < len(self._tree.rows) else None

    def tick(self) -> None:
        """Show what has changed since the last tick."""
        selected, above = self.selected, self._at - self.scroll_offset.y
        if not self._tree.update():
            return
        self._measure()
        if selected is not None:
            at = self._find(selected.place)
            self.scroll_to(y=max(0, at - above), animate=False)
            self._go(at)
        self.refresh()

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        row = self.selected
        match action:
            case "expand" | "right" if row is None or row.is_open is None:
                return "nothing to expand"
            case "left" if row is None or not (row.is_open or row.depth):
                return "nothing to collapse"
        return super().disabled_reason(action)

    def render_line(self, y: int) -> Strip:
        """Paint the visible line `y`."""
        width = self.scrollable_content_region.width
        rows = self._tree.rows
        if not rows:
            text = f"   {self._hint}" if y == 1 and not self._tree.search else ""
            if y == 1 and self._tree.search:
                text = "   No matching names or tags."
            return Strip([Segment(fit(text, width), self._style("quiet"))], width)
        place = self.scroll_offset.y + y
        if place >= len(rows):
            return Strip.blank(width, self.rich_style)
        strip = self._paint(rows[place], place == self._at, width)
        if place != self._at:
            return strip
        name = "tags--cursor-focus" if self.has_focus else "tags--cursor"
        return Strip(Segment.apply_style(strip, post_style=cursor_style(self, name)), width)

    def action_expand(self) -> None:
        """Open the row, or close it."""
        row = self.selected
        if row is not None and row.is_open is not None:
            self._set_open(row, not row.is_open)

    def action_right(self) -> None:
        """Open the row. If it is open, go to the first row below it."""
        row = self.selected
        if row is not None and row.is_open is False:
            self._set_open(row, True)
        elif row is not None and row.is_open:
            self._go(self._at + 1)

    def action_left(self) -> None:
        """Close the row. If it is closed, go to the row that contains it."""
        row = self.selected
        if row is not None and row.is_open:
            self._set_open(row, False)
        elif row is not None and row.depth:
            self._go(self._find(row.place[:-1]))

    def _set_open(self, row: Row, is_open: bool) -> None:
        self._tree.set_open(row.place, is_open)
        self.tick()

    @property
    def _count(self) -> int:
        return len(self._tree.rows)

    @property
    def _line(self) -> int:
        return self._at

    def _put(self, line: int) -> None:
        self._at = line

    def _find(self, place: Place) -> int:
        """Return the number of the row at a place; if there is none, that of the cursor."""
        for at, row in enumerate(self._tree.rows):
            if row.place == place:
                return at
        return self._at

    def _paint(self, row: Row, at_cursor: bool, width: int) -> Strip:
        quiet = self._style("quiet")
        if row.is_here:
            mark, mark_style = {None: " ", True: "▾", False: "▸"}[row.is_open], quiet
        else:
            mark, mark_style = "✗", self._style("gone")
        start = f"{'▌' if at_cursor else ' '}{'  ' * row.depth}"
        word = "" if row.kind in (Kind.REPOSITORY, Kind.REMARK) else f"{row.kind} "
        room = max(0, width - cell_len(start) - 2 - len(word))
        size = "" if row.size is None else f"{format_size(row.size):>{_SIZE}}"
        room -= len(size) + 2 + bool(size)
        text = visible(row.text)
        most = room - min(cell_len(text), _TEXT_AT_LEAST)
        beside = min(width // 2 - _BESIDE_DIGEST, room - cell_len(text))  # names before digests
        about = _about(row, min(max(beside, _WORD + DIGEST), most) if row.kind in MANIFESTS else most)
        room -= cell_len(about)
        if row.text == row.digest and room < len(text):
            text = row.text[: max(DIGEST, room)]
        style = self._style("name") if row.kind in (Kind.REPOSITORY, Kind.TAG) else self.rich_style
        segments = [
            Segment(start, quiet),
            Segment(f"{mark} ", mark_style),
            Segment(word, quiet),
            Segment(fit(text, max(0, room)), style),
            Segment(f" {about}{size and ' '}{size} ", quiet),
        ]
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"tags--{name}")


def _about(row: Row, room: int) -> str:
    """Return the text at the right, in at most `room` cells: what the row is."""
    word = "" if row.is_here else "missing"
    if row.kind not in MANIFESTS or not row.digest:
        about = _ending(visible(row.media_type[:200]), room - len(word) - 2 * bool(word))
        return "  ".join(filter(None, (word, about)))
    word = word or ("index" if row.media_type in INDEXES else "manifest")
    if row.text == row.digest or room < _WORD + _DIGEST_AT_LEAST:
        return word
    return f"{word:<{_WORD}}{fit(row.digest, min(len(row.digest), room - _WORD))}"


def _ending(media_type: str, room: int) -> str:
    """Return a media type; if there is no room, its last words (`…tar+gzip`)."""
    text, is_cut = media_type, False
    while text and cell_len(text) + is_cut > room:
        text, is_cut = _FIRST_WORD.sub("", text), True
    return ELLIPSIS + text if is_cut and text else text
