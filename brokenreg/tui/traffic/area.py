"""The Traffic tab: the list of exchanges, and one of them in detail."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message

from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import parse_filter
from brokenreg.traffic.replay import ReplayError, replay_of
from brokenreg.tui.area import Clock
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.holding.in_flight import HeldLine, InFlight
from brokenreg.tui.tags.opening import reachable
from brokenreg.tui.text import visible
from brokenreg.tui.traffic.cells import subject_of
from brokenreg.tui.traffic.completion import values_of
from brokenreg.tui.traffic.detail.view import Detail
from brokenreg.tui.traffic.export import ExportScreen, Source
from brokenreg.tui.traffic.filter_bar import FilterBar
from brokenreg.tui.traffic.marks_and_noise import SiftingArea
from brokenreg.tui.traffic.table import TrafficTable
from brokenreg.tui.traffic.view import everything

_LOOKED_AT = 1000
"""Of so many exchanges, the newest, are the values offered; a look takes some milliseconds."""


class TrafficArea(SiftingArea):
    """The list; the detail below it once it is opened, on a wide screen always at the right."""

    DEFAULT_CSS = """
    TrafficArea { layout: vertical; }
    TrafficArea > TrafficTable { height: 1fr; }
    TrafficArea > Detail { display: none; height: 60%; border-top: solid $secondary 50%; }
    TrafficArea > Detail:focus { border-top: solid $primary; }
    TrafficArea.-reading > Detail { display: block; }
    TrafficArea.-wide { layout: grid; grid-size: 2; grid-columns: 2fr 1fr; grid-rows: 1fr auto; }
    TrafficArea.-wide > TrafficTable { row-span: 2; column-span: 2; height: 100%; }
    TrafficArea.-wide.-filled > TrafficTable { column-span: 1; }
    TrafficArea.-wide.-filled > InFlight { display: block; }
    TrafficArea.-wide > Detail { height: 100%; border-top: none;
        border-left: solid $secondary 50%; }
    TrafficArea.-wide.-filled > Detail { display: block; }
    TrafficArea.-wide > Detail:focus { border-left: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("holding", "traffic")

    class FailNext(Message):
        """The next one like that exchange shall fail; `choose` with which fault, or as the last time."""

        def __init__(self, exchange: Exchange, *, choose: bool) -> None:
            super().__init__()
            self.exchange = exchange
            self.choose = choose

    def __init__(self, runtime: Runtime, clock: Clock, *, id: str) -> None:  # noqa: A002 - Textual's
        super().__init__(runtime, clock, id=id)
        self._filter = ""
        self._is_filtering = True

    def compose(self) -> ComposeResult:
        address = self.runtime.status().registry[0]
        yield TrafficTable(self.runtime.log, hint=_hint(address), clock=self.clock)
        yield Detail(self.runtime, self.clock)
        yield InFlight(self.runtime, self.clock)
        yield HeldLine()
        yield FilterBar()

    def on_mount(self) -> None:
        self.watch(self._table, "cursor", self._show_selected, init=False)

    def tick(self) -> None:
        self._table.tick()
        self.set_class(len(self.runtime.log) > 0, "-filled")
        self._show_selected()
        super().tick()

    @property
    def selected(self) -> Exchange | None:
        return self._table.selected

    def take_focus(self) -> None:
        self._bar.close()
        (self._detail if self._is_reading else self._table).focus()

    @property
    def remark(self) -> str:
        progress = self._table.progress
        parts = [super().remark]
        if self._filter:
            parts.append(f"/ {'' if self._is_filtering else 'off: '}{visible(self._filter)}")
        if progress is not None:
            parts.append(f"{progress:.0%}")
        return "  ".join(filter(None, parts))

    @property
    def behind(self) -> str:
        table = self._table
        if not table.follow:
            return "follow is off"
        if table.is_tailing:
            return ""
        return f"{table.newer} newer" if table.newer else "stays here"

    def disabled_reason(self, action: str) -> str:
        """Why `action` would do nothing now."""
        match action:
            case "back" if not self._is_reading:
                others = "; {traffic.filter-toggle} switches its filter" if self._filter else ""
                return f"this is the list already{others}"
            case "open" if self._is_reading:
                return "it is shown in full already; {traffic.back} goes back to the list"
            case "open" if self._table.row is None:
                return self._objection_to_row()
            case "fail_next" | "fail_next_with" if self._table.selected is None:
                return self._objection_to_row()
            case "replay" | "export" | "copy" if self._chosen is None:
                return self._objection_to_row()
            case "expand" if self._table.transfer is None:
                return "nothing is folded here: the cursor is under no heading of a pull or push"
            case "filter" if self._bar.is_open:
                return "a filter is being written already, below"
            case "filter_toggle" if not self._filter:
                return "there is no filter; {traffic.filter} writes one"
            case "pane" if self._detail.exchange is None or not self._detail.display:
                return self._objection_to_row() or "no exchange is shown in full; {traffic.open} shows it"
        return super().disabled_reason(action)

    def _objection_to_row(self) -> str:
        """Why there is nothing to do with what is under the cursor; empty for an exchange."""
        if self._table.selected is not None:
            return ""
        if self._table.transfer is not None:
            return (
                "this is a heading, not an exchange; {move.down} and {move.up} move, {traffic.expand} folds"
            )
        return "there is no exchange under the cursor"

    def action_open(self) -> None:
        """Open the detail. While it is read, the cursor stays with its exchange."""
        self._table.is_pinned = True
        self.add_class("-reading")
        self._show_selected()
        self._detail.focus()

    def action_back(self) -> None:
        """Back from the detail to the list."""
        self.remove_class("-reading")
        self._table.is_pinned = False
        self._table.action_move(0)
        self._table.focus()

    def action_pane(self, by: int) -> None:
        """Show another pane of the detail."""
        self._detail.turn(by)

    def action_replay(self) -> None:
        """Send the request of the exchange again."""
        if self._chosen is not None:
            self.run_worker(self._replay(self._chosen))

    async def _replay(self, exchange: Exchange) -> None:
        log = self.runtime.log
        body = log.bodies.of(exchange).request
        try:
            replay = replay_of(exchange, self.runtime.status().registry, body)
            left_out = f", without {' and '.join(replay.left_out)}" if replay.left_out else ""
            self.say(f"exchange {exchange.id} is sent again{left_out}")
            status = await replay.send()
        except ReplayError as error:
            self.say(f"replay of exchange {exchange.id}: {error}")
        else:
            self.say(f"replay of exchange {exchange.id}: {status}{left_out}")

    def action_export(self) -> None:
        """Ask in which form, and where to."""
        if self._chosen is not None:
            table = self._table
            source = Source(self.runtime, self._chosen, table.shows, table.marks.exchanges(self.runtime.log))
            self.app.push_screen(ExportScreen(source), self.say)

    def action_copy(self) -> None:
        """Copy what the exchange is about."""
        if self._chosen is not None:
            subject = visible(subject_of(self._chosen))  # a line break in a path would run what follows
            self.app.copy_to_clipboard(subject)
            self.say(f"copied: {subject}")

    def action_follow(self) -> None:
        """Go along with what comes, beginning at the newest; or do not."""
        self._table.toggle_follow()

    def action_filter(self) -> None:
        """Write a filter, or change the one that there is."""
        log = self.runtime.log
        newest = (log[position] for position in range(max(log.first, log.end - _LOOKED_AT), log.end))
        self._bar.open(self._filter, values_of(newest))

    def action_filter_toggle(self) -> None:
        """All exchanges again; and back."""
        self._is_filtering = not self._is_filtering
        self._show_filtered()

    def action_expand(self) -> None:
        """Show the exchanges of the pull or push at the cursor, or its heading alone."""
        self._table.toggle_transfer()

    def action_groups(self) -> None:
        """Pulls and pushes under headings; or every exchange by itself."""
        self._table.toggle_groups()

    def action_waterfall(self) -> None:
        """Bars that show when each exchange was, or none."""
        self._table.toggle_waterfall()

    def on_filter_bar_applied(self, event: FilterBar.Applied) -> None:
        self._filter, self._is_filtering = event.text, True
        self._show_filtered()
        self.take_focus()

    def on_filter_bar_left(self) -> None:
        self.take_focus()

    def action_fail_next(self) -> None:
        """Let the next one like this fail, as the last time."""
        self._fail_next(choose=False)

    def action_fail_next_with(self) -> None:
        """Let the next one like this fail, with a fault to choose."""
        self._fail_next(choose=True)

    def _fail_next(self, *, choose: bool) -> None:
        selected = self._table.selected
        if selected is not None:
            self.post_message(self.FailNext(selected, choose=choose))

    def on_cursor_list_opened(self) -> None:
        """Somebody clicked twice."""
        if not self.disabled_reason("open"):
            self.action_open()

    @property
    def _detail(self) -> Detail:
        return self.query_one(Detail)

    @property
    def _chosen(self) -> Exchange | None:
        """What is read, or under the cursor."""
        return self._detail.exchange if self._is_reading else self._table.selected

    @property
    def _bar(self) -> FilterBar:
        return self.query_one(FilterBar)

    @property
    def _is_reading(self) -> bool:
        return self.has_class("-reading")

    def _show_filtered(self) -> None:
        is_wanted = self._filter and self._is_filtering
        self._table.show_only(parse_filter(self._filter) if is_wanted else everything)

    def _show_selected(self) -> None:
        self._table.learn()
        row = self._table.row
        if self._is_reading and row is None:
            self._detail.tick()  # Trimmed while somebody reads it: what is shown stays.
        elif self._is_reading or self.has_class("-wide"):
            transfer = self._table.transfer
            self._detail.show(row, None if transfer is None else transfer.kind)


def _hint(address: str) -> tuple[str, ...]:
    """What to show while nothing has passed: how to point a client here."""
    scheme, authority = address.rpartition("://")[0], reachable(address)
    return (
        "Nothing has passed yet. Point a client here, for instance:",
        "",
        f"  docker pull {authority}/broken/random:layers-3_size-1024",
        f"  curl -i {scheme or 'http'}://{authority}/v2/",
    )
