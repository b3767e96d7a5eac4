"""A dialogue that shows a document: what is known of it, and its text, JSON indented and highlighted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.highlight import highlight
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual
from textual.widgets import Static

from brokenreg.oci.sizes import format_size
from brokenreg.storage.errors import StorageError
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.footer import KeyLine
from brokenreg.tui.json_lines import indented, looks_like_json
from brokenreg.tui.scrolling import MOVES, Scrolling
from brokenreg.tui.text import visible

SHOWN = 100_000
"""Bytes of a document that are read, and characters of it that are shown."""

_LABEL = 12
_LINE = 2_000
"""Characters of one line; a longer one is several."""

Fact = tuple[str, str]
"""A label, and a value as clients sent it."""
Read = Callable[[], Awaitable[tuple[bytes, int] | None]]
"""Gives at most the first `SHOWN` bytes of a document and how many there are; None if it is not here."""


class DocumentScreen(ModalScreen[None], inherit_bindings=False):
    """Facts, and below them the text that `read` gives; without `read` the facts alone."""

    DEFAULT_CSS = """
    DocumentScreen > Vertical { height: 1fr; border: round $primary; background: $surface; padding: 0 1; }
    DocumentScreen Static { height: auto; margin-bottom: 1; text-wrap: nowrap; text-overflow: fold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("document")

    def __init__(self, title: str, facts: list[Fact], read: Read | None) -> None:
        super().__init__()
        self._title = title
        self._facts = facts
        self._read = read

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(visible(self._title))
            yield Static(id="facts", markup=False)
            yield _Text()
        yield KeyLine()

    def on_mount(self) -> None:
        self._say("reading …" if self._read else "")
        if self._read:
            self.run_worker(self._load(self._read))

    def action_close(self) -> None:
        """Back to where it was opened."""
        self.dismiss()

    async def _load(self, read: Read) -> None:
        try:
            found = await read()
        except (OSError, StorageError) as error:
            self._say(f"cannot be read: {error}")
            return
        if found is None:
            self._say("it is not here")
            return
        body, size = found
        lines, is_whole = await asyncio.to_thread(_lines, body, size)
        self._say("" if is_whole else f"the beginning of {format_size(size)}")
        self.query_one(_Text).show(lines)

    def _say(self, remark: str) -> None:
        facts = [*self._facts, ("Shown", remark)] if remark else self._facts
        parts: list[str | tuple[str, str]] = []
        for label, value in facts:
            end = "" if (label, value) == facts[-1] else "\n"
            parts += [(f"{label:<{_LABEL}}", "$secondary"), f"{visible(value)}{end}"]
        self.query_one("#facts", Static).update(Content.assemble(*parts))


class _Text(ScrollView, Scrolling, can_focus=True, inherit_bindings=False):
    """Lines, folded where they are too long; the rows in sight are painted, no others."""

    DEFAULT_CSS = """
    _Text { height: 1fr; background: $surface; overflow-x: hidden; overflow-y: auto;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = MOVES

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Content] = []
        self._rows: list[tuple[int, int, int]] = []
        self._width = 0

    def show(self, lines: list[Content]) -> None:
        """Show these lines from the first."""
        self._lines = lines
        self._width = 0
        self.on_resize()

    def on_resize(self) -> None:
        """Fold the lines anew if the width has changed."""
        width = max(1, self.scrollable_content_region.width)
        if width == self._width:
            return
        self._width = width
        self._rows = []
        for number, line in enumerate(self._lines):
            step = width if cell_len(line.plain) == len(line) else max(1, width // 2)
            for start in range(0, max(1, len(line)), step):
                self._rows.append((number, start, start + step))
        self.virtual_size = Size(width, len(self._rows))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Paint line `y` of what is in sight."""
        width = self.scrollable_content_region.width
        place = self.scroll_offset.y + y
        if place >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        number, start, end = self._rows[place]
        piece = self._lines[number][start:end]
        if not piece:
            return Strip.blank(width, self.rich_style)
        return Visual.to_strips(self, piece, width, 1, self.visual_style)[0]


def _lines(body: bytes, size: int) -> tuple[list[Content], bool]:
    """The document in lines, and whether that is all of it. Takes up to some tenths of a second."""
    text = body[:SHOWN].decode(errors="backslashreplace")
    is_json = looks_like_json(text)
    shown = indented(text, SHOWN) if is_json else text[:SHOWN]
    pieces = [
        line[start : start + _LINE]
        for line in map(visible, shown.split("\n"))
        for start in range(0, max(1, len(line)), _LINE)
    ]
    safe = "\n".join(pieces)
    content = highlight(safe, language="json") if is_json else Content(safe)
    return content.split("\n", allow_blank=True), len(shown) < SHOWN and size <= SHOWN
