"""The live table of exchanges: it paints the rows in sight, however many there are (Line API)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.scrolling import MOVES
from brokenreg.tui.text import fit
from brokenreg.tui.theme import cursor_style
from brokenreg.tui.traffic import cells

_TIME, _CLIENT, _STATUS, _SIZE, _MS = 8, 10, 3, 6, 6
_REQUEST_AT_LEAST = 20
_HEADING = 1
_STRIPS_KEPT = 1024

_Key = tuple[int, int, str, bool, bool, int]


class TrafficTable(ScrollView, can_focus=True, inherit_bindings=False):
    """The exchanges of a `TrafficLog`, one a line, newest last.

    The cursor is a position in the log, which survives trimming. While `follow` is on and the cursor stands
    on the newest exchange, it goes along with what comes; otherwise it stays with its exchange, and the rows
    in sight stay where they are. `is_pinned` keeps it where it is although it stands on the newest, or its
    exchange is trimmed.
    """

    DEFAULT_CSS = """
    TrafficTable { background: $background; overflow-x: hidden; overflow-y: auto;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    TrafficTable > .traffic--heading { color: $secondary; background: $panel; text-style: bold; }
    TrafficTable > .traffic--quiet { color: $secondary; }
    TrafficTable > .traffic--good { color: $success; }
    TrafficTable > .traffic--bad { color: $error; text-style: bold; }
    TrafficTable > .traffic--note { color: $warning; text-style: bold; }
    TrafficTable > .traffic--cursor { background: $panel; text-style: bold; }
    TrafficTable > .traffic--cursor-focus { background: $primary 30%; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "traffic--heading",
        "traffic--quiet",
        "traffic--good",
        "traffic--bad",
        "traffic--note",
        "traffic--cursor",
        "traffic--cursor-focus",
    }
    BINDINGS: ClassVar[list[BindingType]] = MOVES

    cursor: reactive[int] = reactive(-1, repaint=False)
    follow: reactive[bool] = reactive(True, repaint=False)

    class Opened(Message):
        """Somebody wants to see the exchange under the cursor: it was clicked twice."""

    def __init__(
        self,
        log: TrafficLog,
        *,
        hint: tuple[str, ...] = (),
        clock: Callable[[], float] = time.time,
        id: str | None = None,  # noqa: A002 - Textual's own name
    ) -> None:
        super().__init__(id=id)
        self.is_pinned = False
        self._traffic = log
        self._hint = hint
        self._clock = clock
        self._first = 0
        self._end = 0
        self._version = -1
        self._tail_at = 0
        self._strips: LRUCache[_Key, Strip] = LRUCache(_STRIPS_KEPT)

    @property
    def selected(self) -> Exchange | None:
        """The exchange under the cursor; None while there is none, or no longer."""
        return self._traffic[self.cursor] if self._traffic.first <= self.cursor < self._traffic.end else None

    @property
    def is_tailing(self) -> bool:
        """Whether the table goes along with what comes. Who has scrolled away from the end does not."""
        return (
            self.follow
            and not self.is_pinned
            and self.cursor == self._end - 1
            and self.scroll_offset.y >= self._tail_at
        )

    @property
    def newer(self) -> int:
        """How many exchanges there are below the cursor."""
        return self._end - 1 - self.cursor

    def tick(self) -> None:
        """Take in what has happened to the log since the last tick; ten times a second is enough."""
        if self._version == self._traffic.version:
            if self._traffic.in_flight:
                self.refresh()
            return
        self._version = self._traffic.version
        tailing = self.is_tailing
        top = self._first + self.scroll_offset.y
        self._first, self._end = self._traffic.first, self._traffic.end
        self._measure()
        if tailing:
            self._go(self._end - 1)
        else:
            self.scroll_to(y=max(0, top - self._first), animate=False)
            if not self.is_pinned:
                self.cursor = min(max(self.cursor, self._first), self._end - 1)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Paint line `y` of what is in sight."""
        width = self.scrollable_content_region.width
        if y < _HEADING:
            return self._paint_heading(width)
        if self._first == self._end:
            return self._paint_hint(y, width)
        position = self._first + self.scroll_offset.y + y - _HEADING
        if not self._traffic.first <= position < self._end:
            return Strip.blank(width, self.rich_style)
        exchange = self._traffic[position]
        time_word = "" if exchange.ended else cells.milliseconds(exchange, self._clock())
        at_cursor = position == self.cursor
        key = (exchange.id, exchange.revision, time_word, at_cursor, at_cursor and self.has_focus, width)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._paint(exchange, at_cursor, width)
        return strip

    def action_move(self, by: int) -> None:
        """Move the cursor by some exchanges."""
        self._go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by some screens."""
        self._go(self.cursor + by * max(1, self._height - 1))

    def action_first(self) -> None:
        """Move the cursor to the oldest exchange."""
        self._go(self._first)

    def action_last(self) -> None:
        """Move the cursor to the newest exchange."""
        self._go(self._end - 1)

    def toggle_follow(self) -> None:
        """Follow what comes, beginning at the newest; or do not."""
        self.follow = not self.follow
        if self.follow:
            self.action_last()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._measure()
        self._go(self.cursor)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a second click opens."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y < _HEADING:
            return
        position = self._first + self.scroll_offset.y + offset.y - _HEADING
        if position < self._end:
            self._go(position)
            if event.chain == 2:
                self.post_message(self.Opened())

    @property
    def _height(self) -> int:
        """Rows in sight."""
        return max(1, self.scrollable_content_region.height - _HEADING)

    def _measure(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, self._end - self._first + _HEADING)

    def _go(self, position: int) -> None:
        """Put the cursor on `position`, or as near as there is, and bring it in sight."""
        self.cursor = min(max(position, self._first), self._end - 1)
        row, top = self.cursor - self._first, self.scroll_offset.y
        top = max(min(top, row), row - self._height + 1, 0)
        self.scroll_to(y=top, animate=False)
        if self.cursor == self._end - 1:
            self._tail_at = top
        self.refresh()

    def _paint_heading(self, width: int) -> Strip:
        style = self.get_component_rich_style("traffic--heading")
        request = max(_REQUEST_AT_LEAST, width - _fixed())
        text = (
            f"   {'TIME':<{_TIME}} {'CLIENT':<{_CLIENT}} {'REQUEST':<{request}} {'ST':>{_STATUS}} "
            f"{'SIZE':>{_SIZE}} {'MS':>{_MS}} "
        )
        return Strip([Segment(text, style)], len(text)).adjust_cell_length(width, style)

    def _paint_hint(self, y: int, width: int) -> Strip:
        line = y - _HEADING - 1
        text = f"   {self._hint[line]}" if 0 <= line < len(self._hint) else ""
        style = self._style("good" if text.startswith("     ") else "quiet")
        return Strip([Segment(fit(text, width), style)], width)

    def _paint(self, exchange: Exchange, at_cursor: bool, width: int) -> Strip:
        quiet = self._style("quiet")
        state = self._style("bad" if exchange.has_failed else "good")
        room = max(_REQUEST_AT_LEAST, width - _fixed())
        remark = cells.note(exchange, room - _REQUEST_AT_LEAST - 1)
        room -= cell_len(remark) + 1 if remark else 0
        request = fit(cells.request_line(exchange, room), room)
        client = cells.client_name(exchange, _CLIENT)
        elapsed = cells.milliseconds(exchange, self._clock())
        segments = [
            Segment("▌" if at_cursor else " ", state),
            Segment(f"{cells.glyph(exchange)} ", state),
            Segment(f"{cells.local_time(exchange)} {fit(client, _CLIENT)} ", quiet),
            Segment(request, self.rich_style),
            Segment(f" {remark}" if remark else "", self._style("note")),
            Segment(f" {cells.status_word(exchange):>{_STATUS}}", state),
            Segment(f" {cells.size_word(exchange):>{_SIZE}} {elapsed:>{_MS}} ", quiet),
        ]
        strip = Strip(segments).adjust_cell_length(width, self.rich_style)
        if not at_cursor:
            return strip
        name = "traffic--cursor-focus" if self.has_focus else "traffic--cursor"
        return Strip(Segment.apply_style(strip, post_style=cursor_style(self, name)), width)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"traffic--{name}")


def _fixed() -> int:
    """Cells of a row that the request does not get: gutter, glyph, spaces and the other columns."""
    return 3 + _TIME + 1 + _CLIENT + 1 + 1 + _STATUS + 1 + _SIZE + 1 + _MS + 1
