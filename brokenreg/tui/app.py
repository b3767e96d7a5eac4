"""The panel: a header, the tabs, the area of the chosen tab, a footer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.filter import Monochrome, NoColor
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage.errors import StorageError
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import ExchangeEvent
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.tui.areas import TABS
from brokenreg.tui.bindings import KeyLine, bindings_of
from brokenreg.tui.colours import NearestColours
from brokenreg.tui.command_log.actions import CommandLogActions
from brokenreg.tui.command_log.command_log import CommandLog
from brokenreg.tui.command_log.line import CommandLine
from brokenreg.tui.dialogues import say
from brokenreg.tui.faults.arming import Arming
from brokenreg.tui.faults.overrides import OverridesScreen
from brokenreg.tui.files.opening import OpenDialogue, OpenedFile
from brokenreg.tui.files.view import FileView
from brokenreg.tui.header import Header
from brokenreg.tui.key_app import KeyApp
from brokenreg.tui.notices import NOTICE_STYLE
from brokenreg.tui.preferences import Preferences
from brokenreg.tui.quitting import lost_with_registry
from brokenreg.tui.replicas import area_of_replica, replica_choice
from brokenreg.tui.tabs import TabArea, TabContext, TabLine, area_of
from brokenreg.tui.tempo import TEMPO
from brokenreg.tui.terminal import OWN_TERMINAL, Terminal
from brokenreg.tui.traffic.area import TrafficArea
from brokenreg.wording import counted

logger = logging.getLogger(__name__)

TICK = 0.1
"""Seconds between two ticks."""

_RUSH = 3
"""If more comes in per tick than a screen holds, only every third tick is shown: you cannot read faster."""

_FORGET = 5
"""Ticks between two moments in which areas that nobody sees forget old exchanges."""


class _Board(Screen[None], inherit_bindings=False):
    """The panel's screen: it has no keys of its own, so that the table of commands has them all."""


class Panel(KeyApp, CommandLogActions, inherit_bindings=False):
    """Shows a running brokenreg until the user quits. Run it with `run_async`, in the loop that serves.

    Several panels can run in one loop. Each has its own tab, cursor, filter and dialogues. All of them read
    `runtime`, and change it only through `operations`, which say what the user may do (by default, all).
    `terminal` is what shows the panel. Quitting a panel in an attached terminal ends only that panel.

    `return_code` is then 0, or what `quit` was given; 1 after an error of ours, which is in the log.
    """

    CSS = f"""
    Screen {{ background: $background; }}
    ContentSwitcher {{ height: 1fr; }}
    SearchIcon {{ display: none; }}
    {NOTICE_STYLE}
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("panel", "tab")

    def __init__(
        self,
        runtime: Runtime,
        preferences: Preferences | None = None,
        clock: Callable[[], float] = time.time,
        *,
        operations: Operations | None = None,
        terminal: Terminal = OWN_TERMINAL,
    ) -> None:
        preferences = preferences or Preferences()
        super().__init__(preferences, terminal)
        self._runtime = runtime
        self._operations = operations or Operations(runtime, Access.FULL)
        self._terminal = terminal
        self._files = terminal.files
        if terminal.is_attached:
            self._show_colours_of(terminal)
        self._arming = Arming(self._operations)
        self._tab_context = context = TabContext(
            runtime,
            self._operations,
            clock,
            self._arming,
            terminal.files,
            preferences.filters,
            terminal.host,
        )
        self._header = Header(context)
        self._tab_line = TabLine(preferences.keys)
        self._areas = {name: area_of(name, context) for name in TABS}
        self._pulses = self._seen = 0
        self._changes = CommandLog(self._operations, clock)
        self._clock = clock
        self._is_bell_due = False
        self._leave = ExitStack()

    def get_default_screen(self) -> Screen[None]:
        return _Board(id="_default")

    def compose(self) -> ComposeResult:
        yield self._header
        yield self._tab_line
        with ContentSwitcher(initial=next(iter(TABS))):
            yield from self._areas.values()
        yield CommandLine()
        yield KeyLine()

    async def _process_messages(self, *arguments: Any, **options: Any) -> None:
        # Textual makes tasks start immediately from Python 3.12 on. The loop is shared with the registry:
        # its requests would then run in the middle of what asyncio reads for their connection. This undoes
        # it before anything else can run.
        asyncio.get_running_loop().set_task_factory(None)
        await super()._process_messages(*arguments, **options)

    def _show_colours_of(self, terminal: Terminal) -> None:
        """Use the colours of an attached terminal. Textual has read the environment of this process."""
        self.no_color = terminal.is_colourless
        kept = [each for each in self._filters if not isinstance(each, NoColor | Monochrome)]
        self.console = terminal.console()
        self._filters = [*kept, *([NoColor()] if self.no_color else NearestColours.of(self.console))]

    def on_mount(self) -> None:
        self.area.take_focus()
        self._leave.callback(self._runtime.log.subscribe(self._note_hold, ExchangeEvent.HELD))
        TEMPO.join()
        self._leave.callback(TEMPO.leave)
        self.set_interval(TICK, self._pulse)
        self.tick()

    def on_unmount(self) -> None:
        self._leave.close()

    @property
    def may_change(self) -> bool:
        """Return whether the user of this panel may change anything, or only look."""
        return self._operations.may_change

    @property
    def area(self) -> TabArea:
        """Return the area of the chosen tab."""
        return self._areas[self._board.query_one(ContentSwitcher).current or ""]

    def tick(self) -> None:
        """Show what has happened since the last tick: in the header and in the visible tab."""
        if not self.is_running:
            return
        area = self.area
        if not area.is_attached:  # the traffic of another replica is about to be shown
            return
        self.place_notice()
        area.tick()
        self._header.tick(area.behind)
        self._tab_line.show(area.id or "", area.remark)
        for screen in {self._board, self.screen}:
            for line in screen.query(CommandLine):
                line.tick(self._changes, self._clock())
        self.refresh_footer()

    def _pulse(self) -> None:
        end = self._runtime.log.end
        is_rush = end - self._seen > self.size.height
        self._seen = end
        self._pulses += 1
        if self._is_bell_due:
            self._is_bell_due = False
            self.bell()
        is_ready = self._terminal.is_ready()
        if is_ready and self._pulses % (TEMPO.every * (_RUSH if is_rush else 1)) == 0:
            self.tick()
        if self.is_running and self._pulses % _FORGET == 0:
            for area in self._areas.values():
                if area is not self.area or not is_ready:
                    area.forget()

    def _note_hold(self, _: ExchangeEvent, __: Exchange) -> None:
        self._is_bell_due = True

    @property
    def place(self) -> Hashable:
        return self.screen, self.area.id

    @property
    def stops_registry(self) -> bool:
        """Return whether the registry stops with this panel."""
        return not self._terminal.is_attached

    def lost(self) -> Iterator[str]:
        """Yield the work that would be lost or interrupted if the panel ended now, a line each."""
        yield from super().lost()
        if self.stops_registry:
            yield from lost_with_registry(self._runtime, self._areas.values())

    def action_show_tab(self, name: str) -> None:
        """Show a tab."""
        if self.area.id != name:
            self._board.query_one(ContentSwitcher).current = name
            self.area.take_focus()

    def action_replica(self) -> None:
        """Let the user choose the replica whose traffic is shown, or all of them."""
        self.run_worker(self._choose_replica(), exclusive=True, group="replicas")

    async def _choose_replica(self) -> None:
        if self._runtime.replicas is not None:
            try:
                self.push_screen(await replica_choice(self._runtime.replicas), self._show_replica)
            except StorageError as error:
                say(self.screen, str(error))

    def _show_replica(self, name: str | None) -> None:
        if name is not None:
            area = area_of_replica(self._tab_context, name)
            self.run_worker(self._show_traffic(area), exclusive=True, group="replicas")

    async def _show_traffic(self, area: TrafficArea) -> None:
        """Show the traffic of other replicas, or of this one again."""
        self.action_show_tab("traffic")
        old, area.id = self._areas["traffic"], "traffic"
        with self.batch_update():
            await old.remove()
            self._areas["traffic"] = area
            await self._board.query_one(ContentSwitcher).mount(area, before=0)
        self._header.show_traffic(area.traffic)
        if area.traffic is not self._runtime:
            area.traffic.log.subscribe(self._note_hold, ExchangeEvent.HELD)
        area.take_focus()
        self.tick()

    def action_overrides(self) -> None:
        """Open the dialogue that switches overrides on and off."""
        self.push_screen(OverridesScreen(self._runtime, self._operations, self._arming))

    def action_open_file(self) -> None:
        """Ask for a file, and show its exchanges."""
        self.push_screen(OpenDialogue(), self._show_file)

    def _show_file(self, file: TrafficFile | None) -> None:
        if file is not None:
            self.push_screen(OpenedFile(FileView(file, self.preferences)))

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        if action == "replica" and self._runtime.replicas is None:
            return "this brokenreg is not in a fleet"
        if action == "open_file" and self._terminal.is_attached:
            return 'this panel is attached: use "brokenreg view FILE"'
        rules = self._runtime.rules
        if action == "disable_all" and not (rules.has_armed or rules.switched_off):
            return "no rules are armed"
        return super().disabled_reason(action)

    def action_disable_all(self) -> None:
        """Disable all rules and overrides, or enable those that this disabled last, in whichever panel."""
        count, is_on = self._operations.switch_all_rules()
        said = "re-enabled" if is_on else "disabled; press {panel.disable-all} to re-enable"
        self.notify(f"{counted(count, 'rule')} {said}")

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        self.action_show_tab(event.name)
        self.tick()

    @property
    def _board(self) -> Screen[object]:
        """Return the screen below all dialogues."""
        return self.screen_stack[0]

    def _fatal_error(self) -> None:
        """Print one line. Textual would show the values of all variables, which may contain secrets."""
        logger.error("the panel failed", exc_info=self._exception)
        own = self._runtime.settings.data / "diagnostics.log"
        where = "the log of the server" if self._terminal.is_attached else own
        self._exit_renderables.append(f"brokenreg: the panel failed; see {where}")
        self._close_messages_no_wait()
