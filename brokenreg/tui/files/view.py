"""The exchanges of a file as the Traffic tab shows those of a registry, without a registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import ContentSwitcher, Static

from brokenreg.http.dates import clock, date_and_clock
from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.traffic_source import RecordedTraffic
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.tui.areas import TABS
from brokenreg.tui.dialogues import say
from brokenreg.tui.faults.arming import Arming
from brokenreg.tui.header import Part, fitting
from brokenreg.tui.preferences import Preferences
from brokenreg.tui.saving import Files, LocalFiles
from brokenreg.tui.tabs import TabArea, TabLine
from brokenreg.tui.text import visible
from brokenreg.tui.traffic.area import TrafficArea
from brokenreg.wording import counted


@dataclass(frozen=True, slots=True)
class FileContext:
    """What the Traffic tab is given to show a file. Nothing can be changed."""

    traffic: RecordedTraffic
    operations: Operations
    clock: Callable[[], float]
    arming: Arming
    files: Files
    filters: Mapping[str, str]


class FileHeader(Static):
    """The line at the top: the name of the file, how much of it was read, and from when it is."""

    DEFAULT_CSS = "FileHeader { height: 1; padding: 0 1; background: $panel; text-wrap: nowrap; }"

    def __init__(self, file: TrafficFile) -> None:
        super().__init__(markup=False)
        self._file = file
        self._name = visible(file.path.name)
        self._shown: Sequence[Part] = ()

    def tick(self, behind: str) -> None:
        """Show the current state; `behind` is why the newest exchange is not visible, or empty."""
        parts = fitting([*self._parts(behind)], self.size.width - 2)
        if parts != self._shown:
            self._shown = parts
            line = Content("  ").join(Content.styled(text, style) for _, text, style in parts)
            self.update(line, layout=False)

    def _parts(self, behind: str) -> Iterator[Part]:
        file, log = self._file, self._file.log
        yield 10, f"brokenreg view {self._name}", "bold"
        if not file.is_complete:
            yield 9, f"◌ reading {file.progress:.0%}", "bold $secondary"
        elif file.follows:
            yield (8, f"○ {behind}", "bold $secondary") if behind else (8, "● FOLLOWING", "bold $success")
        if log.first:
            yield 7, f"newest {counted(len(log), 'exchange')} of {log.end}", "bold"
        else:
            yield 7, counted(log.end, "exchange"), ""
        if len(log):
            yield 6, f"{date_and_clock(log[log.first].started)} to {clock(file.end)}", "$secondary"


class FileView(Container):
    """A header, the line of tabs, the exchanges of a file, and a line about what could not be read.

    It reads the file as soon as it is shown. Call `tick` ten times a second.
    """

    DEFAULT_CSS = """
    FileView { height: 1fr; }
    FileView ContentSwitcher { height: 1fr; }
    FileView #unread { height: auto; max-height: 3; display: none; color: $error; padding: 0 1; }
    FileView #unread.-some { display: block; }
    """
    may_change = False

    def __init__(self, file: TrafficFile, preferences: Preferences) -> None:
        super().__init__()
        self.file = file
        traffic = RecordedTraffic.of(file.log)
        operations = Operations(None, Access.READ)
        arming = Arming(operations)
        self._header = FileHeader(file)
        self._tabs = TabLine(preferences.keys)
        context = FileContext(
            traffic, operations, lambda: file.end, arming, LocalFiles(), preferences.filters
        )
        self._area = TrafficArea(context, (("No exchanges.", "quiet"),))
        self._area.id = "traffic"
        self._said = ""

    @property
    def area(self) -> TabArea:
        """Return the list of exchanges with its detail."""
        return self._area

    def compose(self) -> ComposeResult:
        yield self._header
        yield self._tabs
        with ContentSwitcher(initial="traffic"):
            yield self._area
        yield Static(id="unread", markup=False)

    def on_mount(self) -> None:
        self._area.take_focus()
        self.run_worker(self.file.read(), exit_on_error=True)

    def tick(self) -> None:
        """Show what was read since the last tick."""
        self._area.tick()
        self._header.tick(self._area.behind)
        self._tabs.show("traffic", self._area.remark)
        said = self.file.unread.line
        if said != self._said:
            self._said = said
            unread = self.query_one("#unread", Static)
            unread.set_class(bool(said), "-some")
            unread.update(Content(said))

    def show_tab(self, name: str) -> None:
        """Say what another tab needs."""
        if name != "traffic":
            say(self, f'the {TABS[name].title} tab needs a running registry: run "brokenreg tui"')

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        event.stop()
        self.show_tab(event.name)
