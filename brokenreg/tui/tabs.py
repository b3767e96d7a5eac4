"""What the areas of all tabs have in common, and the line that shows the tabs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Protocol

from rich.cells import cell_len
from textual import events
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from brokenreg.runtime.operations import Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.runtime.traffic_source import TrafficSource
from brokenreg.tui.areas import TABS
from brokenreg.tui.commands import BY_ID, keys_of
from brokenreg.tui.disabled_reasons import HasDisabledReasons
from brokenreg.tui.faults.arming import Arming
from brokenreg.tui.saving import Files
from brokenreg.tui.split import WIDE
from brokenreg.tui.text import fit


class TrafficContext(Protocol):
    """What the Traffic tab is given, which can also show the traffic of a file."""

    @property
    def traffic(self) -> TrafficSource: ...
    @property
    def operations(self) -> Operations: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def arming(self) -> Arming: ...
    @property
    def files(self) -> Files: ...
    @property
    def filters(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class TabContext:
    """What the area of each tab is given: `runtime` to read, `operations` to change it."""

    runtime: Runtime
    operations: Operations
    clock: Callable[[], float]
    """Returns seconds since the epoch."""
    arming: Arming
    files: Files
    filters: Mapping[str, str]
    """The filters that have a name from the start."""
    host: str = ""
    """The host by which the user reaches the server; empty for this machine."""

    @property
    def traffic(self) -> TrafficSource:
        return self.runtime


class TabArea(Container, HasDisabledReasons):
    """The part of the screen that belongs to one tab, with what the panel needs from it.

    It is created once, with a `TabContext`, or that of the Traffic tab with a `TrafficContext`. It has the
    class `-wide` while panes fit side by side (see `Split`).
    """

    DEFAULT_CSS = "TabArea { height: 1fr; }"

    def on_resize(self) -> None:
        self.set_class(self.size.width >= WIDE, "-wide")

    def tick(self) -> None:
        """Show what has happened since the last tick. Called ten times a second while the tab is visible."""

    def forget(self) -> None:
        """Forget what the log has dropped. Called twice a second while nobody sees the tab."""

    def take_focus(self) -> None:
        """Focus the widget that the keys are for. Called when the tab is shown."""
        raise NotImplementedError

    @property
    def behind(self) -> str:
        """Return why the newest row is not visible, in a few words for the header, or an empty string."""
        return ""

    @property
    def remark(self) -> str:
        """Return the text at the right of the line of tabs, for example a filter. Make it `visible`."""
        return ""

    @property
    def can_go_back(self) -> bool:
        """Return whether something is open in the tab that its command `back` closes."""
        is_bound = any(isinstance(each, Binding) and each.id == f"{self.id}.back" for each in self.BINDINGS)
        return is_bound and not self.unavailable_reason("back")

    def unsaved(self) -> Iterable[str]:
        """Return the work in it that would be lost if the panel ended now, one line each."""
        return ()


def area_of(name: str, context: TabContext) -> TabArea:
    """Return the area of a tab, with the tab's name as its id."""
    kind: Callable[[TabContext], TabArea] = resolve_name(TABS[name].area)
    area = kind(context)
    area.id = name
    return area


class TabLine(Widget):
    """One line: the tabs with the chosen one highlighted, and a remark of its area at the right."""

    DEFAULT_CSS = "TabLine { height: 1; background: $surface; }"

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self._words = {
            name: f" {keys_of(BY_ID[f'tab.{name}'], keys)[0]} {tab.title} " for name, tab in TABS.items()
        }
        self._shown = ("", "")

    def show(self, chosen: str, remark: str) -> None:
        """Show the tabs, painting only changes."""
        if (chosen, remark) != self._shown:
            self._shown = chosen, remark
            self.refresh()

    def render(self) -> Content:
        chosen, remark = self._shown
        room = self.size.width - sum(map(cell_len, self._words.values())) - 2
        parts = [
            (word, "bold reverse $primary" if name == chosen else "$secondary")
            for name, word in self._words.items()
        ]
        said = fit(remark, min(cell_len(remark), max(0, room)))
        return Content.assemble(*parts, f"{'':{max(0, room - cell_len(said)) + 1}}", said)

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        at = 0
        for name, word in self._words.items():
            if at <= event.x < at + cell_len(word):
                self.post_message(self.Chosen(name))
            at += cell_len(word)
