"""The Traffic tab: the list of exchanges, and one of them in detail."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from brokenreg.runtime.errors import OperationError
from brokenreg.runtime.preparation import prepare_filter
from brokenreg.runtime.traffic_source import TrafficSource
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.replay import ReplayError
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import say
from brokenreg.tui.faults.fail_next import FailNext
from brokenreg.tui.holding.controls import HoldingControls
from brokenreg.tui.split import Split
from brokenreg.tui.tabs import TabArea, TrafficContext
from brokenreg.tui.tags.opening import reachable
from brokenreg.tui.text import visible
from brokenreg.tui.traffic.cells import subject_of
from brokenreg.tui.traffic.completion import LOOKED_AT, values_of
from brokenreg.tui.traffic.detail.view import Detail
from brokenreg.tui.traffic.export import ExportScreen, Source
from brokenreg.tui.traffic.filter_bar import FilterBar
from brokenreg.tui.traffic.marking import Marking
from brokenreg.tui.traffic.marks import MARK
from brokenreg.tui.traffic.painter import Hint
from brokenreg.tui.traffic.table import TrafficTable


class TrafficArea(TabArea, Marking):
    """The list of exchanges, and the detail: below it once opened, on a wide screen always at the right."""

    DEFAULT_CSS = """
    TrafficArea > HoldingControls { height: 1fr; }
    TrafficArea Vertical > Detail { height: 1fr; }
    TrafficArea.-wide InFlight { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("traffic")

    def __init__(self, context: TrafficContext, hint: Hint | None = None) -> None:
        super().__init__()
        traffic, clock = context.traffic, context.clock
        self._clock = clock
        self._traffic = traffic
        self._operations = context.operations
        self._files = context.files
        self._log = traffic.log
        hint = _hint(traffic.registry_urls[0]) if hint is None else hint
        self._table = TrafficTable(self._log, hint=hint, clock=clock)
        self._detail = Detail(traffic, clock)
        self._holding = HoldingControls(context, lambda: self._table.selected)
        self._bar = FilterBar(self._log.bodies, context.filters)
        self._fail_next = FailNext(self, traffic.log, context.arming)

    @property
    def traffic(self) -> TrafficSource:
        """Return what is shown."""
        return self._traffic

    def compose(self) -> ComposeResult:
        with self._holding:
            detail = Vertical(self._detail, self._holding.in_flight)
            yield Split(self._table, detail, beside=0.31, below=0.6)
        yield self._bar

    def on_mount(self) -> None:
        self.watch(self._table, "cursor", self._show_selected, init=False)

    def tick(self) -> None:
        self._table.tick()
        self.set_class(len(self._log) > 0, "-filled")
        self._show_selected()
        self._holding.tick()

    def forget(self) -> None:
        self._table.forget()

    def take_focus(self) -> None:
        self._bar.close()
        (self._detail if self._is_reading else self._table).focus()

    @property
    def remark(self) -> str:
        """Return the numbers of marked and of hidden exchanges, the filter, and its progress."""
        table, bar = self._table, self._bar
        parts = (
            f"{MARK} {len(table.marks)}" if table.marks else "",
            "" if table.routine is None else f"routine: {table.routine} hidden",
            f"/ {'' if bar.is_on else 'off: '}{visible(bar.text)}" if bar.text else "",
            "" if table.progress is None else f"{table.progress:.0%}",
        )
        return "  ".join(filter(None, parts))

    @property
    def behind(self) -> str:
        table = self._table
        if not table.follow:
            return "not following"
        if table.is_tailing:
            return ""
        return f"{table.newer} newer" if table.newer else "not following"

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        match action:
            case "back" if not (self._is_reading or self._detail.has_focus):
                return "the list is already shown"
            case "open" if self._is_reading:
                return "already open; {traffic.back} goes back to the list"
            case "open" if self._table.row is None:
                return self._why_no_exchange()
            case "fail_next" | "fail_next_with" if self._table.selected is None:
                return self._why_no_exchange()
            case "replay" | "export" | "copy" if self._chosen is None:
                return self._why_no_exchange()
            case "expand" if self._table.transfer is None:
                return "the cursor is not on a pull or push"
            case "filter" if self._bar.is_open:
                return "the filter is already open"
            case "filters" if not self._bar.has_earlier:
                return "no named or recent filters; {traffic.filter} sets one"
            case "filter_toggle" if not self._bar.text:
                return "no filter is set; {traffic.filter} sets one"
            case "pane" if self._detail.exchange is None or not self._detail.is_on_screen:
                return self._why_no_exchange() or "no exchange is open; {traffic.open} opens the selected one"
        return super().disabled_reason(action)

    def _why_no_exchange(self) -> str:
        """Return why the cursor is not on an exchange, or an empty string."""
        if self._table.selected is not None:
            return ""
        if self._table.transfer is not None:
            return "select an exchange, not a heading; {move.down} and {move.up} move the cursor"
        return "no exchange is selected"

    def action_open(self) -> None:
        """Open the detail. While it is open, the cursor stays on its exchange."""
        self._table.is_pinned = True
        self.add_class("-reading")
        self._show_selected()
        self._detail.focus()

    def action_back(self) -> None:
        """Go back from the detail to the list."""
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
        try:
            replay = self._operations.replay(exchange)
            left_out = f", without {' and '.join(replay.left_out)}" if replay.left_out else ""
            say(self, f"replaying exchange {exchange.id}{left_out}")
            status = await replay.send()
        except (OperationError, ReplayError) as error:
            say(self, f"replay of exchange {exchange.id}: {error}")
        else:
            say(self, f"replay of exchange {exchange.id}: {status}{left_out}")

    def action_export(self) -> None:
        """Show the dialogue that exports the exchange."""
        if self._chosen is not None:
            table = self._table
            source = Source(self._traffic, self._chosen, table.shows, table.marks.exchanges(self._log))
            dialogue = ExportScreen(source.title, source.forms(), self._files)
            self.app.push_screen(dialogue, partial(say, self))

    def action_copy(self) -> None:
        """Copy the digest, the reference or the path."""
        if self._chosen is not None:
            subject = visible(subject_of(self._chosen))  # a line break in a path would run what follows
            self.app.copy_to_clipboard(subject)
            say(self, f"copied: {subject}")

    def action_follow(self) -> None:
        """Follow new rows, or stop following."""
        self._table.toggle_follow()

    def action_filter(self) -> None:
        """Edit the filter."""
        self._bar.open(values_of(self._log.newest(LOOKED_AT)))

    def action_filter_toggle(self) -> None:
        """Turn the filter off, or on again."""
        self._bar.is_on = not self._bar.is_on
        self._table.show_only(self._bar.filter)

    def action_filters(self) -> None:
        """Let the user choose a filter that has a name or was used before."""
        self._bar.choose()

    def action_expand(self) -> None:
        """Expand or collapse the pull or push at the cursor."""
        self._table.toggle_transfer()

    def action_groups(self) -> None:
        """Group exchanges by pull and push, or show each by itself."""
        self._table.toggle_groups()

    def action_waterfall(self) -> None:
        """Show or hide the bars that show when each exchange took place."""
        self._table.toggle_waterfall()

    def action_routine(self) -> None:
        """Hide routine exchanges, or show them again."""
        self._table.toggle_routine()

    async def on_filter_bar_applied(self) -> None:
        await prepare_filter(self._log, self._bar.text, stays=True)
        self._table.show_only(self._bar.filter)
        self.take_focus()

    def on_filter_bar_cancelled(self) -> None:
        self.take_focus()

    def action_fail_next(self) -> None:
        """Make the next request like this fail, with the fault that was used last."""
        if self._table.selected is not None:
            self._fail_next.arm(self._table.selected)

    def action_fail_next_with(self) -> None:
        """Make the next request like this fail, with a fault of the user's choice."""
        if self._table.selected is not None:
            self._fail_next.choose(self._table.selected)

    def on_cursor_list_opened(self) -> None:
        """Open the row after a double click."""
        if not self.disabled_reason("open"):
            self.action_open()

    @property
    def _chosen(self) -> Exchange | None:
        """Return the exchange in the detail while it is open, else the one under the cursor."""
        return self._detail.exchange if self._is_reading else self._table.selected

    @property
    def _is_reading(self) -> bool:
        return self.has_class("-reading")

    def _show_selected(self) -> None:
        self._table.learn()
        row = self._table.row
        if self._is_reading and row is None:
            self._detail.tick()  # It was trimmed while the user reads it: what is shown stays.
        elif self._is_reading or self.has_class("-wide"):
            transfer = self._table.transfer
            self._detail.show(row, None if transfer is None else transfer.kind)


def _hint(address: str) -> Hint:
    """Return what to show while there is no exchange: how to point a client here."""
    scheme, authority = address.rpartition("://")[0], reachable(address)
    return (
        ("No exchanges yet. Point a client here, for example:", "quiet"),
        ("", "quiet"),
        (f"  docker pull {authority}/broken/random:layers-3_size-1024", "good"),
        (f"  curl -i {scheme or 'http'}://{authority}/v2/", "good"),
    )
