"""Moving in what scrolls, by the same keys everywhere."""

from __future__ import annotations

from textual.binding import BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.widget import Widget

from brokenreg.tui.bindings import bindings_of

MOVES: list[BindingType] = bindings_of("move")


class Scrolling(Widget):
    """The actions of area `move`, for a widget that scrolls and has no cursor.

    Put it last among the bases: Textual takes styles from the first. And let the widget bind `MOVES` alone.
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
    """How large the content of a `ScrollView` is, in cells.

    Its own `virtual_size` lays the whole screen out anew: worth it only when a scrollbar comes or goes.
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
