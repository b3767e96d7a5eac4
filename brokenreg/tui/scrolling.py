"""Widgets that scroll by the same keys everywhere, with and without a cursor (Line API)."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.widget import Widget

from brokenreg.tui.bindings import bindings_of

MOVES: list[BindingType] = bindings_of("move")


class Scrolling(Widget):
    """The actions of area `move`, for a widget that scrolls and has no cursor.

    Put it last among the bases, because Textual takes styles from the first. The widget binds only `MOVES`.
    """

    def action_move(self, by: int) -> None:
        """Scroll by some lines."""
        self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        """Scroll by some screens."""
        self.scroll_relative(y=by * max(1, self.size.height - 1), animate=False)

    def action_first(self) -> None:
        """Scroll to the top."""
        self.scroll_home(animate=False, immediate=True)

    def action_last(self) -> None:
        """Scroll to the end."""
        self.scroll_end(animate=False, immediate=True)


def set_lines(view: ScrollView, width: int, height: int) -> None:
    """Set the size of the content of a `ScrollView`, in cells.

    Setting `virtual_size` lays out the whole screen again. That is necessary only if a scrollbar appears
    or disappears.
    """
    size = Size(width, height)
    if size == view.virtual_size:
        return
    room = view.container_size.height
    if (height > room) != (view.virtual_size.height > room):
        view.virtual_size = size
        return
    view.set_reactive(Widget.virtual_size, size)
    if view.show_vertical_scrollbar:
        view.vertical_scrollbar.window_virtual_size = height


class CursorList(ScrollView, can_focus=True, inherit_bindings=False):
    """One row per line, and a cursor that is always visible.

    A subclass paints the rows, defines `_count`, `_line` and `_put`, and calls `_measure` when the number
    of rows has changed. It has the keys of area `move`, and may bind others.
    """

    DEFAULT_CSS = """
    CursorList { background: $background; overflow-x: hidden; overflow-y: auto;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = MOVES
    HEADING: ClassVar[int] = 0
    """Number of lines at the top that are not rows and do not scroll."""

    class Opened(Message):
        """A row was double-clicked."""

    @property
    def _count(self) -> int:
        """Return the number of rows."""
        raise NotImplementedError

    @property
    def _line(self) -> int:
        """Return the number of the row under the cursor."""
        raise NotImplementedError

    def _put(self, line: int) -> None:
        """Put the cursor on that row, or on the nearest that can have it; on 0 if there is none."""
        raise NotImplementedError

    def _further(self, by: int) -> int:
        """Return the number of the row some rows below the cursor."""
        return self._line + by

    def _above(self, line: int) -> int:
        """Return how many rows above that one must be visible with it."""
        return 0

    def action_move(self, by: int) -> None:
        """Move the cursor by some rows."""
        self._go(self._further(by))

    def action_page(self, by: int) -> None:
        """Move the cursor by some screens."""
        self._go(self._line + by * max(1, self._height - 1))

    def action_first(self) -> None:
        """Move the cursor to the first row."""
        self._go(0)

    def action_last(self) -> None:
        """Move the cursor to the last row."""
        self._go(self._count - 1)

    def on_resize(self) -> None:
        """Keep the cursor visible."""
        self._measure()
        self._go(self._line)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a double click opens the row."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y < self.HEADING:
            return
        line = self.scroll_offset.y + offset.y - self.HEADING
        if line < self._count:
            self._go(line)
            if event.chain == 2 and self._line == line:
                self.post_message(self.Opened())

    @property
    def _height(self) -> int:
        """Return the number of visible rows."""
        return max(1, self.scrollable_content_region.height - self.HEADING)

    def _measure(self) -> None:
        """Adapt the scrollable area to the number of rows."""
        set_lines(self, self.scrollable_content_region.width, self._count + self.HEADING)

    def _go(self, line: int) -> int:
        """Put the cursor on a row, or the nearest, scroll it into view, and return the first visible row."""
        line = max(0, min(line, self._count - 1))
        self._put(line)
        line = self._line
        top = max(min(self.scroll_offset.y, line - self._above(line)), line - self._height + 1, 0)
        # By force: the scrollbar is not there yet when the rows become more than fit.
        self.scroll_to(y=top, animate=False, force=True)
        self.refresh()
        return top
