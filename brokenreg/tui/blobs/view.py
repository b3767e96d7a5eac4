"""The content of one blob: lines of text, or the entries of a layer while they are read (Line API)."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from brokenreg.oci.sizes import format_size
from brokenreg.tui.blobs.contents import Inside, Line, entry_line
from brokenreg.tui.scrolling import MOVES, Scrolling
from brokenreg.tui.text import fit, fold, visible

_MARK = 8
_PLACES = 8


class BlobView(ScrollView, Scrolling, can_focus=True, inherit_bindings=False):
    """Lines, and below them the entries of a listing if there is one."""

    DEFAULT_CSS = """
    BlobView { background: $surface; padding: 0 1; overflow-x: hidden; overflow-y: auto;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    BlobView > .blob--quiet { color: $secondary; }
    BlobView > .blob--bold { text-style: bold; }
    BlobView > .blob--key { color: $primary; }
    BlobView > .blob--value { color: $foreground; }
    BlobView > .blob--note { color: $error; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "blob--quiet",
        "blob--bold",
        "blob--key",
        "blob--value",
        "blob--note",
    }
    BINDINGS: ClassVar[list[BindingType]] = MOVES

    class Narrowed(Message):
        """The width of a line has changed."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: Inside | None = None
        self._head: list[Line] = []
        self._room = 0
        self._shown: tuple[object, ...] = ()

    @property
    def room(self) -> int:
        """Return the width of a line, in cells."""
        return self.scrollable_content_region.width

    def show(self, inside: Inside) -> None:
        """Show another blob, from its first line."""
        if self.inside is None or self.inside.blob.digest != inside.blob.digest:
            self.scroll_home(animate=False, immediate=True)
        self.inside = inside
        self.tick()

    def tick(self) -> None:
        """Show what was read since the last tick."""
        inside = self.inside
        if inside is None:
            return
        entries = len(inside.listing.entries) if inside.listing else 0
        shown = (inside, inside.remark, len(inside.lines), entries, self.room)
        if shown == self._shown:
            return
        self._shown = shown
        self._head = _head(inside, max(1, self.room))
        self.virtual_size = Size(self.room, len(self._head) + len(inside.lines) + entries)
        self.refresh()

    def on_resize(self) -> None:
        """Fold the lines again."""
        if self.room != self._room:
            self._room = self.room
            self.tick()
            self.post_message(self.Narrowed())

    def render_line(self, y: int) -> Strip:
        """Paint the visible line `y`."""
        parts = self._line(self.scroll_offset.y + y)
        segments = [Segment(text, self._style(style)) for text, style in parts]
        return Strip(segments).adjust_cell_length(self.room, self.rich_style)

    def _line(self, number: int) -> Line:
        if number < len(self._head):
            return self._head[number]
        number -= len(self._head)
        if self.inside is None:
            return ()
        if number < len(self.inside.lines):
            return self.inside.lines[number]
        listing = self.inside.listing
        if listing is None or number >= len(listing.entries):
            return ()
        lead, mark, name = entry_line(listing.entries[number])
        room = max(0, self.room - len(lead) - _MARK - 2)
        return ((f"{lead} ", "quiet"), (f"{mark:<{_MARK}} ", "note"), (fit(name, room), ""))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"blob--{name}") if name else self.rich_style


def _head(inside: Inside, width: int) -> list[Line]:
    blob = inside.blob
    places = [visible(place) for place in blob.places[:_PLACES]]
    more = f" and {len(blob.places) - _PLACES} more" if len(blob.places) > _PLACES else ""
    texts = (
        (blob.digest, "bold"),
        (f"{blob.kind}, {format_size(blob.size)}, {visible(blob.origin)}", ""),
        (", ".join(places) + more, "quiet"),
        (inside.remark, "note"),
    )
    return [*(((row, style),) for text, style in texts for row in fold(text, width)), ()]
