"""The Traffic tab: the list of exchanges, and one of them in detail."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from brokenreg.tui.area import TabArea
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.traffic.detail import Detail
from brokenreg.tui.traffic.table import TrafficTable


class TrafficArea(TabArea):
    """The list; the detail below it once it is opened, on a wide screen always at the right."""

    DEFAULT_CSS = """
    TrafficArea { layout: vertical; }
    TrafficArea > TrafficTable { height: 1fr; }
    TrafficArea > Detail { display: none; height: 60%; border-top: solid $secondary 50%; }
    TrafficArea > Detail:focus { border-top: solid $primary; }
    TrafficArea.-reading > Detail { display: block; }
    TrafficArea.-wide { layout: horizontal; }
    TrafficArea.-wide > TrafficTable { width: 2fr; height: 100%; }
    TrafficArea.-wide > Detail { width: 1fr; height: 100%; border-top: none;
        border-left: solid $secondary 50%; }
    TrafficArea.-wide.-filled > Detail { display: block; }
    TrafficArea.-wide > Detail:focus { border-left: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("traffic")

    def compose(self) -> ComposeResult:
        address = self.controlled.status().registry[0]
        yield TrafficTable(self.controlled.log, hint=_hint(address), clock=self.clock)
        yield Detail(clock=self.clock)

    def on_mount(self) -> None:
        self.watch(self._table, "cursor", self._show_selected, init=False)

    def tick(self) -> None:
        self._table.tick()
        self.set_class(len(self.controlled.log) > 0, "-filled")
        self._show_selected()

    def take_focus(self) -> None:
        (self._detail if self._is_reading else self._table).focus()

    @property
    def behind(self) -> str:
        table = self._table
        if not table.follow:
            return "follow is off"
        return "" if table.is_tailing else f"{table.newer} newer"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether `action` would do anything now; what would not has no key."""
        if action == "back":
            return self._is_reading
        if action == "open":
            return self._table.selected is not None and not self._is_reading
        return super().check_action(action, parameters)

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

    def action_follow(self) -> None:
        """Go along with what comes, beginning at the newest; or do not."""
        self._table.toggle_follow()

    def on_traffic_table_opened(self) -> None:
        """Somebody clicked twice."""
        if self.check_action("open", ()):
            self.action_open()

    @property
    def _table(self) -> TrafficTable:
        return self.query_one(TrafficTable)

    @property
    def _detail(self) -> Detail:
        return self.query_one(Detail)

    @property
    def _is_reading(self) -> bool:
        return self.has_class("-reading")

    def _show_selected(self) -> None:
        selected = self._table.selected
        if self._is_reading and selected is None:
            self._detail.tick()  # Trimmed while somebody reads it: what is shown stays.
        elif self._is_reading or self.has_class("-wide"):
            self._detail.show(selected)


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
