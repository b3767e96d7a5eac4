"""A list and its detail, side by side or below each other, with a border that can be moved."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.disabled_reasons import HasDisabledReasons

WIDE = 120
"""Columns from which both are side by side."""

_AT_LEAST = {True: (40, 30), False: (4, 4)}
"""Cells (side by side) or lines that the list and the detail keep."""
_STEP = 0.05
"""Share of the room by which one key moves the border."""


class Split(Container, HasDisabledReasons, inherit_bindings=False):
    """Shows a list and its detail. On a wide screen, the detail is at the right. Otherwise, it is below.

    The tab's area decides by its classes whether the detail is shown: `-reading`, or on a wide screen
    (`-wide`) `-filled`. `beside` and `below` are the shares of the room that the detail has at first. Keys
    and the mouse change them, for this tab and as long as the panel runs.
    """

    DEFAULT_CSS = """
    Split { layout: vertical; height: 1fr; }
    Split > .-detail { display: none; }
    TabArea.-wide Split { layout: horizontal; }
    TabArea.-wide.-filled Split > .-detail, TabArea.-reading Split > .-detail { display: block; }
    TabArea Split > .-detail { border-top: solid $secondary 50%; }
    TabArea Split > .-detail:focus-within, TabArea Split > .-detail:focus { border-top: solid $primary; }
    TabArea.-wide Split > .-detail { border-top: none; border-left: solid $secondary 50%; }
    TabArea.-wide Split > .-detail:focus-within, TabArea.-wide Split > .-detail:focus {
        border-top: none; border-left: solid $primary; }
    """
    SCOPED_CSS: ClassVar[bool] = False
    """The rules depend on classes of what is around it."""
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("split")

    def __init__(self, shown: Widget, detail: Widget, *, beside: float = 0.5, below: float = 0.65) -> None:
        super().__init__()
        self._list, self._detail = shown, detail
        self._shares = {True: beside, False: below}
        self._is_dragging = False
        detail.add_class("-detail")

    def compose(self) -> ComposeResult:
        yield self._list
        yield self._detail

    def on_mount(self) -> None:
        self._list.styles.width = self._list.styles.height = "1fr"

    def on_resize(self) -> None:
        self._place(self._shares[self._is_wide])

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        if action == "resize" and not self._detail.display:
            return "no details are open"
        return super().disabled_reason(action)

    def action_resize(self, by: int) -> None:
        """Move the border to the right or down, or with a negative number to the left or up."""
        self._place(self._shares[self._is_wide] - by * _STEP)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to move the border."""
        region = self._detail.region
        at, edge = (event.screen_x, region.x) if self._is_wide else (event.screen_y, region.y)
        if self._detail.display and at == edge and region.contains(event.screen_x, event.screen_y):
            self._is_dragging = True
            self.capture_mouse()
            event.stop()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Move the border with the mouse."""
        if self._is_dragging:
            end, at = (self.region.right, event.screen_x)
            if not self._is_wide:
                end, at = self.region.bottom, event.screen_y
            self._place((end - at) / max(1, self._room))

    def on_mouse_up(self) -> None:
        """Leave the border where it is."""
        self._is_dragging = False
        self.release_mouse()

    @property
    def _is_wide(self) -> bool:
        return self.size.width >= WIDE

    @property
    def _room(self) -> int:
        """Return the number of cells or lines that list and detail have together."""
        return self.size.width if self._is_wide else self.size.height

    def _place(self, share: float) -> None:
        """Give the detail its share of the room, so that both can be used."""
        room, (of_list, of_detail) = self._room, _AT_LEAST[self._is_wide]
        if not room:
            return
        cells = max(of_detail, min(round(share * room), room - of_list))
        if share != self._shares[self._is_wide]:
            self._shares[self._is_wide] = cells / room
        styles = self._detail.styles
        styles.width, styles.height = (cells, "100%") if self._is_wide else ("100%", cells)
