"""The panel: it lists the exchanges as they pass and shows one in detail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import Footer, Static

from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.detail import Detail
from brokenreg.tui.theme import THEME
from brokenreg.tui.traffic_table import TrafficTable

TICK = 0.1
"""Seconds between two looks at the log."""

_WIDE = 120


class Panel(App[int]):
    """Shows a `TrafficLog` until somebody quits. Run it with `run_async`, in the loop that fills the log."""

    CSS = """
    Screen { background: $background; }
    #status { height: 1; padding: 0 1; background: $panel; }
    #panes { layout: vertical; height: 1fr; }
    #traffic { height: 1fr; }
    #detail { display: none; height: 60%; border-top: solid $secondary 50%; }
    #detail:focus { border-top: solid $primary; }
    Screen.-reading #detail { display: block; }
    Screen.-wide #panes { layout: horizontal; }
    Screen.-wide #traffic { width: 2fr; height: 100%; }
    Screen.-wide #detail { width: 1fr; height: 100%; border-top: none; border-left: solid $secondary 50%; }
    Screen.-wide.-filled #detail { display: block; }
    Screen.-wide #detail:focus { border-left: solid $primary; }
    """
    TITLE = "brokenreg"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE, "-wide")]  # noqa: RUF012 - declared by Textual
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close_detail", "Back", id="panel.back"),
        Binding("q", "quit", "Quit", id="panel.quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True, id="panel.interrupt"),
    ]

    def __init__(
        self, log: TrafficLog, *, address: str, version: str, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self._traffic = log
        self._address = address
        self._version = version
        self._clock = clock
        self._shown_status: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(id="status", markup=False)
        with Container(id="panes"):
            yield TrafficTable(self._traffic, hint=_hint(self._address), clock=self._clock, id="traffic")
            yield Detail(clock=self._clock, id="detail")
        yield Footer(show_command_palette=False)

    async def on_load(self) -> None:
        # Textual makes tasks start at once from Python 3.12 on. The loop is shared with Hypercorn, whose
        # requests then run before it has noted whom to tell of their end.
        asyncio.get_running_loop().set_task_factory(None)

    def on_mount(self) -> None:
        self.register_theme(THEME)
        self.theme = THEME.name
        self.watch(self._table, "cursor", self._show_selected, init=False)
        self._table.focus()
        self.set_interval(TICK, self.tick)
        self.tick()

    def tick(self) -> None:
        """Show what has happened since the last tick."""
        if not self.is_running:
            return
        self._table.tick()
        self.screen.set_class(len(self._traffic) > 0, "-filled")
        self._show_selected()
        self._show_status()

    def quit(self, status: int = 0) -> None:
        """End `run_async`, with `status` as `return_code`; from a signal handler of the loop too."""
        self.exit(status, return_code=status)

    async def action_quit(self) -> None:
        self.quit()

    def action_close_detail(self) -> None:
        """Back from the detail to the table."""
        self.screen.remove_class("-reading")
        self._table.is_pinned = False
        self._table.action_move(0)
        self._table.focus()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether `action` would do anything now; what would not has no key."""
        if action == "close_detail":
            return self._is_reading
        return super().check_action(action, parameters)

    def on_traffic_table_opened(self) -> None:
        """Open the detail. While it is read, the cursor stays with its exchange."""
        self._table.is_pinned = True
        self.screen.add_class("-reading")
        self._show_selected()
        self._detail.focus()
        self.refresh_bindings()

    @property
    def _table(self) -> TrafficTable:
        return self.query_one(TrafficTable)

    @property
    def _detail(self) -> Detail:
        return self.query_one(Detail)

    @property
    def _is_reading(self) -> bool:
        return self.screen.has_class("-reading")

    def _show_selected(self) -> None:
        selected = self._table.selected
        if self._is_reading and selected is None:
            self._detail.tick()  # Trimmed while somebody reads it: what is shown stays.
        elif self._is_reading or self.screen.has_class("-wide"):
            self._detail.show(selected)

    def _show_status(self) -> None:
        table = self._table
        status = (self._traffic.end, self._traffic.in_flight, table.follow, table.is_tailing, table.newer)
        if status == self._shown_status:
            return
        self._shown_status = status
        if not table.follow:
            state = ("○ follow is off", "bold $warning")
        elif table.is_tailing:
            state = ("● live", "bold $success")
        else:
            state = (f"○ {table.newer} newer", "bold $warning")
        seen = f"{self._traffic.end} exchange{'' if self._traffic.end == 1 else 's'}"
        self.query_one("#status", Static).update(
            Content.assemble(
                ("brokenreg ", "bold"),
                f"{self._address}  ",
                state,
                f"  {seen}  {self._traffic.in_flight} in flight",
                (f"  {self._version}", "$secondary"),
            )
        )


def _hint(address: str) -> tuple[str, ...]:
    """What to show while nothing has passed: how to point a client here."""
    scheme, _, authority = address.rpartition("://")
    host, _, port = authority.rpartition(":")
    if host in ("0.0.0.0", "[::]"):  # noqa: S104 - compared, not bound
        authority = f"127.0.0.1:{port}"
    return (
        "Nothing has passed yet. Point a client here, for instance:",
        "",
        f"  docker pull {authority}/broken/random:layers-3_size-1024",
        f"  curl -i {scheme or 'http'}://{authority}/v2/",
    )
