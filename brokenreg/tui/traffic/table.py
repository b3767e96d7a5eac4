"""The live table of exchanges. It paints only the visible rows (Line API)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual.reactive import reactive
from textual.strip import Strip

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filter_keys import Filter
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.tempo import TEMPO
from brokenreg.tui.traffic.marked_rows import MarkedRows
from brokenreg.tui.traffic.marks import Marks
from brokenreg.tui.traffic.painter import Hint, Painter
from brokenreg.tui.traffic.rows import Row, Rows
from brokenreg.tui.traffic.transfer import Transfer
from brokenreg.tui.traffic.view import View

_MOST_OUTDATED = 2_000
"""Number of exchanges that may be kept although the log has dropped them, while nobody sees the rows."""

_SLICE = 0.008
"""Maximum time, in seconds, for which an update keeps the loop busy, without painting."""
_PAUSE = 0.002
_NONE_PASSES = (("No matching exchanges.", "quiet"),)
_ONLY_ROUTINE = (("All exchanges are routine and hidden.", "quiet"),)


class TrafficTable(MarkedRows):
    """The exchanges of a `TrafficLog` that pass a filter, one per line, newest last, perhaps under headings.

    While `follow` is on and the cursor is on the last row, it moves to new rows. Otherwise it stays on its
    exchange, and the visible rows stay where they are. `is_pinned` keeps it there even if it is on the last
    row, or its exchange leaves the log. A new filter is applied in slices; until it is done, the old rows
    stay.
    """

    DEFAULT_CSS = """
    TrafficTable > .traffic--heading { color: $secondary; background: $panel; text-style: bold; }
    TrafficTable > .traffic--quiet { color: $secondary; }
    TrafficTable > .traffic--good { color: $success; }
    TrafficTable > .traffic--bad { color: $error; text-style: bold; }
    TrafficTable > .traffic--note { text-style: bold; }
    TrafficTable > .traffic--held { color: $warning; text-style: bold; }
    TrafficTable > .traffic--mark { color: $primary; text-style: bold; }
    TrafficTable > .traffic--cursor { background: $panel; text-style: bold; }
    TrafficTable > .traffic--cursor-focus { background: $primary 30%; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "traffic--heading",
        "traffic--quiet",
        "traffic--good",
        "traffic--bad",
        "traffic--note",
        "traffic--held",
        "traffic--mark",
        "traffic--cursor",
        "traffic--cursor-focus",
    }
    HEADING = 1

    cursor: reactive[Row | None] = reactive(None, repaint=False)
    follow: reactive[bool] = reactive(True, repaint=False)

    def __init__(
        self,
        log: TrafficLog,
        *,
        hint: Hint = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.is_pinned = False
        self._traffic = log
        self._hint = hint
        self.marks = Marks()
        self._view = View(marks=self.marks)
        self._rows = Rows(log, self._view)
        self._coming: Rows | None = None
        self._is_scheduled = False
        self._place: tuple[bool, Row | None] | None = None
        self._version = -1
        self._tail_at = 0
        self._painter = Painter(self, clock)

    @property
    def selected(self) -> Exchange | None:
        """Return the exchange under the cursor, or None on a heading or in an empty list."""
        row = self.row
        return row if isinstance(row, Exchange) else None

    @property
    def row(self) -> Row | None:
        """Return the row under the cursor, or None."""
        return self.cursor if self.cursor is not None and self._rows.has(self.cursor) else None

    @property
    def is_tailing(self) -> bool:
        """Return whether the cursor moves to new rows; not after the user has scrolled away from the end."""
        return (
            self.follow
            and not self.is_pinned
            and (self.cursor is None or self._line == len(self._rows) - 1)
            and self.scroll_offset.y >= min(self._tail_at, self.max_scroll_y)  # a layout may scroll less far
        )

    @property
    def newer(self) -> int:
        """Return how many exchanges are below the cursor."""
        return 0 if self.cursor is None else self._rows.below(self.cursor)

    @property
    def progress(self) -> float | None:
        """Return the progress of a new filter, from 0 to 1; None after it was applied."""
        return None if self._coming is None else self._coming.progress

    @property
    def routine(self) -> int | None:
        """Return how many exchanges are hidden as routine; None if routine is shown."""
        return self._rows.routine if self._view.hides_routine else None

    @property
    def shows(self) -> Filter:
        """Return the filter that decides whether an exchange is shown."""
        return self._view.shows

    def show_only(self, passes: Filter) -> None:
        """Apply another filter."""
        self._apply(replace(self._view, passes=passes))

    def toggle_groups(self) -> None:
        """Show pulls and pushes under headings, or every exchange by itself."""
        self._apply(replace(self._view, is_grouped=not self._view.is_grouped))

    def toggle_routine(self) -> None:
        """Hide routine exchanges, or show them."""
        self._apply(replace(self._view, hides_routine=not self._view.hides_routine))

    def learn(self) -> None:
        """Read the manifests of the transfer under the cursor."""
        if isinstance(self.cursor, Transfer):
            self._rows.learn(self.cursor)

    def toggle_waterfall(self) -> None:
        """Show or hide the bars that show when each exchange took place within its transfer."""
        self._painter.wants_waterfall = not self._painter.has_waterfall
        self.refresh()

    @property
    def transfer(self) -> Transfer | None:
        """Return the pull or push under whose heading the cursor is, or None."""
        row = self.cursor
        return self._rows.transfer_of(row) if isinstance(row, Exchange) else row

    def toggle_transfer(self) -> None:
        """Collapse or expand the transfer at the cursor."""
        transfer = self.transfer
        if transfer is not None:
            self._rows.toggle(transfer)
            self._measure()
            self._go(self._rows.line_of(transfer))

    def _apply(self, view: View) -> None:
        self._view = view
        self._painter.measure_again()
        self._coming = Rows(self._traffic, view)
        self._update_rows()

    def tick(self) -> None:
        """Show what has happened to the log since the last tick; ten times a second is enough."""
        if self._version == self._traffic.version:
            if self._traffic.in_flight:
                self.refresh()
            return
        self._version = self._traffic.version
        self.marks.tick(self._traffic)
        if not self._rows.is_of_this_log or (self._coming and not self._coming.is_of_this_log):
            self._coming = Rows(self._traffic, self._view)
        self._update_rows()

    def forget(self) -> None:
        """Forget old exchanges: nobody sees the rows now, and the next tick reads the log again."""
        if self._rows.outdated > _MOST_OUTDATED:
            self._place = self._place or (self.is_tailing, None)
            self._rows.clear()
            self._rows, self._coming, self._version = Rows(self._traffic, self._view), None, -1

    def _update_rows(self, *, shows_part: bool = True) -> None:
        """Update the rows for one slice, and schedule the rest.

        The rows so far are shown with each tick: painting after each slice would cost more than the updates.
        """
        tailing, top = self._place or (self.is_tailing, self._row_at(self.scroll_offset.y))
        if self._coming is not None:
            done = self._coming.update(_SLICE)
            if done:
                self._rows, self._coming, top = self._coming, None, None
                self.cursor = self._rows.same(self.cursor)
        else:
            done = self._rows.update(_SLICE)
        if not done and not self._is_scheduled:
            self._is_scheduled = True
            # Not `set_timer`: a timer of Textual that is late from its start never calls back.
            pause = _PAUSE if self._coming is not None else TEMPO.pause(_PAUSE, _SLICE)
            asyncio.get_running_loop().call_later(pause, self.call_next, self._go_on)
        if done or shows_part:
            self._settle(tailing, top)
        else:
            self._place = tailing, top

    def _go_on(self) -> None:
        self._is_scheduled = False
        self._update_rows(shows_part=False)

    def _settle(self, tailing: bool, top: Row | None) -> None:
        """Show the current rows: the end if it was visible (`tailing`), else from `top` on, or the cursor."""
        self._place = None
        self._measure()
        if tailing and self.follow and not self.is_pinned:
            self.action_last()
            return
        if top is not None:
            self.scroll_to(y=self._rows.line_of(top), animate=False)
        is_lost = self.cursor is None or not self._rows.has(self.cursor)
        if not self.is_pinned and (top is None or is_lost):
            self._go(self._line)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value < self.max_scroll_y:
            self._place = None  # the user has scrolled since; a change of size leads to the end at most

    def on_resize(self) -> None:
        if self._place is not None:
            self._settle(*self._place)
        super().on_resize()

    def render_line(self, y: int) -> Strip:
        """Paint the visible line `y`."""
        width = self.scrollable_content_region.width
        if y < self.HEADING:
            return self._painter.heading(width)
        if not len(self._rows):
            hint = self._hint if not len(self._traffic) else _ONLY_ROUTINE if self.routine else _NONE_PASSES
            return self._painter.hint(hint, y - 2, width)
        row = self._row_at(self.scroll_offset.y + y - self.HEADING)
        if row is None:
            return Strip.blank(width, self.rich_style)
        cursor = None if row is not self.cursor else "cursor-focus" if self.has_focus else "cursor"
        return self._painter.row(row, self._rows, self.marks, cursor, width)

    def toggle_follow(self) -> None:
        """Follow new rows, or stop following."""
        self.follow = not self.follow
        if self.follow:
            self.action_last()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.forget()

    @property
    def _count(self) -> int:
        return len(self._rows)

    @property
    def _line(self) -> int:
        """Return the line of the cursor, or where it was if its exchange is not shown any more."""
        last = max(0, len(self._rows) - 1)
        return 0 if self.cursor is None else min(self._rows.line_of(self.cursor), last)

    def _row_at(self, line: int) -> Row | None:
        return self._rows.row_at(line) if 0 <= line < len(self._rows) else None

    def _put(self, line: int) -> None:
        self.cursor = self._row_at(line)

    def _go(self, line: int) -> int:
        self._place = None
        top = super()._go(line)
        if line >= len(self._rows) - 1:
            self._tail_at = min(top, self.scroll_offset.y)  # before the first layout it goes less far
        return top
