"""The panel: a header, the tabs, the area of the chosen one, a footer; and what they have in common."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.actions import ActionParseResult
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from brokenreg.faults.catalogue import Fault
from brokenreg.rules.rule import FieldError, Rule
from brokenreg.rules.rule_from_exchange import MAX_SEARCHED, no_effect_reason
from brokenreg.runtime.errors import OperationError
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.area import SAID_FOR, Clock, TabArea
from brokenreg.tui.bindings import KeyLine, bindings_of, keyed
from brokenreg.tui.dialogues import QuitConfirmation
from brokenreg.tui.disabled_reasons import HasDisabledReasons, objections
from brokenreg.tui.faults.area import FaultsArea
from brokenreg.tui.faults.arming import Arming, next_like
from brokenreg.tui.faults.choice import FaultChoice
from brokenreg.tui.faults.form import RuleForm
from brokenreg.tui.faults.overrides import OverridesScreen, usual
from brokenreg.tui.faults.words import faults_words, match_words
from brokenreg.tui.header import Header
from brokenreg.tui.help import HelpScreen, PanelCommands
from brokenreg.tui.preferences import Preferences
from brokenreg.tui.tabs import TABS, TabLine
from brokenreg.tui.terminal import TerminalDriver
from brokenreg.tui.text import visible
from brokenreg.tui.theme import THEMES
from brokenreg.tui.traffic.area import TrafficArea
from brokenreg.tui.traffic.export import ExportScreen
from brokenreg.wording import counted, form_for

logger = logging.getLogger(__name__)

TICK = 0.1
"""Seconds between two looks at what there is to show."""

_RUSH = 3
"""Of so many looks one is enough when more comes in each than a screen holds: nobody reads that fast."""


class _Board(Screen[None], inherit_bindings=False):
    """The panel's screen: it has no keys of its own, so that the table of commands has them all."""


class Panel(App[int], HasDisabledReasons, inherit_bindings=False):
    """Shows a running brokenreg until somebody quits. Run it with `run_async`, in the loop that serves.

    `return_code` is then 0, or what `quit` was given; 1 after an error of ours, which the log tells.
    """

    CSS = """
    Screen { background: $background; }
    ContentSwitcher { height: 1fr; }
    SearchIcon { display: none; }
    """
    TITLE = "brokenreg"
    COMMANDS: ClassVar = {PanelCommands}
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("panel", "tab")

    def __init__(
        self,
        runtime: Runtime,
        preferences: Preferences = Preferences(),  # noqa: B008 - frozen
        clock: Clock = time.time,
    ) -> None:
        is_colourless = "NO_COLOR" in os.environ
        super().__init__(driver_class=TerminalDriver, ansi_color=True if is_colourless else None)
        self.animation_level = "none"
        self._runtime = runtime
        self._clock = clock
        self._arming = Arming(runtime)
        self.keys = preferences.keys
        self._first_theme = preferences.theme or ("ansi" if is_colourless else "dark")
        self._offered: list[str | None] = []
        self._pulses = self._seen = 0
        self._said, self._said_at = "", 0.0

    def get_default_screen(self) -> Screen[None]:
        return _Board(id="_default")

    def compose(self) -> ComposeResult:
        yield Header(self._runtime, self._arming, self._clock)
        yield TabLine(self.keys)
        with ContentSwitcher(initial=next(iter(TABS))):
            for name, area in TABS.items():
                yield area(self._runtime, self._clock, id=name)
        yield KeyLine()

    async def on_load(self) -> None:
        # Textual makes tasks start at once from Python 3.12 on. The loop is shared with Hypercorn, whose
        # requests then run before it has noted whom to tell of their end.
        asyncio.get_running_loop().set_task_factory(None)

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._first_theme
        self.set_keymap(self.keys)
        self.area.take_focus()
        self.set_interval(TICK, self._pulse)
        self.tick()

    @property
    def area(self) -> TabArea:
        """That of the chosen tab."""
        switcher = self._board.query_one(ContentSwitcher)
        return switcher.get_child_by_id(switcher.current or "", TabArea)

    def tick(self) -> None:
        """Show what has happened since the last tick: in the header and in the tab that is in sight."""
        if not self.is_running:
            return
        area = self.area
        area.tick()
        self._board.query_one(Header).tick(area.behind)
        self._board.query_one(TabLine).show(area.id or "", area.remark)
        offered = [active.binding.id for active in self.screen.active_bindings.values()]
        if offered != self._offered:
            self._offered = offered
            self.refresh_bindings()

    def _pulse(self) -> None:
        end = self._runtime.log.end
        is_rush = end - self._seen > self.size.height
        self._seen = end
        self._pulses += 1
        if not is_rush or self._pulses % _RUSH == 0:
            self.tick()

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """As Textual's; and what it has changed is shown at once."""
        is_done = await super().run_action(action, default_namespace, namespaces)
        self.tick()
        return is_done

    def notify(self, message: str, **more: Any) -> None:
        """Notify as Textual does, with the current keys of the commands in `message` (`keyed`)."""
        super().notify(keyed(message, self.keys), **more)

    def quit(self, status: int = 0) -> None:
        """End `run_async`, with `status` as `return_code`; from a signal handler of the loop too."""
        self.exit(status, return_code=status)

    async def action_quit(self) -> None:
        """Quit and stop the registry. If work would be lost, confirm first; a second call quits."""
        lost = [*self._lost()]
        if not lost or isinstance(self.screen, QuitConfirmation):
            self.quit()
        else:
            self.push_screen(QuitConfirmation(tuple(lost)), self._quit_if)

    def _quit_if(self, wanted: bool | None) -> None:
        if wanted:
            self.quit()

    def _lost(self) -> Iterator[str]:
        """Yield the work that would be lost or interrupted if the registry stopped now, a line each."""
        if held := len(self._runtime.gate.held):
            yield f"{counted(held, 'response')} {form_for(held, 'is', 'are')} held."
        if going := self._runtime.log.in_flight - held:
            yield f"{counted(going, 'exchange')} {form_for(going, 'is', 'are')} in flight."
        if unsaved := self._board.query_one(FaultsArea).unsaved(self._arming.disabled_ids):
            yield f"{counted(unsaved, 'rule')} made here {form_for(unsaved, 'is', 'are')} not saved."
        for screen in self.screen_stack:
            if isinstance(screen, RuleForm):
                yield "A rule in a form is not in force yet."
            if isinstance(screen, ExportScreen) and screen.is_writing:
                yield "An export is being written."

    def action_show_tab(self, name: str) -> None:
        """Bring a tab in sight."""
        if self.area.id != name:
            self._board.query_one(ContentSwitcher).current = name
            self.area.take_focus()

    def action_help(self) -> None:
        """Show all commands and their keys."""
        self.push_screen(HelpScreen(self.keys))

    def action_overrides(self) -> None:
        """Show the overrides, to be switched on and off."""
        self.push_screen(OverridesScreen(self._runtime), self._use)

    def disabled_reason(self, action: str) -> str:
        """Why `action` would do nothing now."""
        if action == "all_off" and not self._arming.has_any:
            return "no fault may strike, and none was switched off by this key"
        return super().disabled_reason(action)

    def action_all_off(self) -> None:
        """Disable all rules and overrides; or enable again what was disabled so."""
        count, is_on = self._arming.switch_all()
        them = form_for(count, "it", "them")
        said = "on again" if is_on else f"off; {{panel.all-off}} switches {them} on again"
        self.notify(f"{counted(count, 'rule')} {said}")

    def on_traffic_area_fail_next(self, event: TrafficArea.FailNext) -> None:
        """Arm it; with another fault first, if that is wanted."""
        if event.choose:
            self.push_screen(FaultChoice(), partial(self._fill_in, event.exchange))
        else:
            rule = self._next_like(event.exchange, self._arming.last_fault)
            why = None if rule is None else no_effect_reason(rule.fault, event.exchange)
            if why is None:
                self._fail_next(event.exchange, rule)
            else:
                self._warn(f"{why}. {{traffic.fail-next-with}} chooses another fault.")

    def _fill_in(self, exchange: Exchange, kind: type[Fault] | None) -> None:
        """Show the rule for the next one like `exchange`, to be changed."""
        rule = None if kind is None else self._next_like(exchange, usual(kind.name))
        if kind is not None and rule is not None:
            self.push_screen(RuleForm(kind, rule, like=exchange), partial(self._fail_next, exchange))

    def _next_like(self, exchange: Exchange, fault: Fault) -> Rule | None:
        try:
            return next_like(exchange, fault, self._runtime.log.newest(MAX_SEARCHED))
        except FieldError as error:
            self._warn(str(error))
            return None

    def _fail_next(self, exchange: Exchange, rule: Rule | None) -> None:
        if rule is None:
            return
        try:
            self._arming.fail_next(rule, exchange.target.namespace)
        except OperationError as error:
            self._warn(str(error))
            return
        said = f"The next one fails with {faults_words(rule)}: {match_words(rule)}"
        if exchange.target.faults:
            said += ". Its path spells a fault, which goes first."
        self.notify(said, markup=False)
        self.tick()

    def _warn(self, problem: str) -> None:
        self.notify(visible(problem), severity="warning", markup=False)

    def on_faults_area_used(self, event: FaultsArea.Used) -> None:
        self._use(event.fault)

    def _use(self, fault: Fault | None) -> None:
        """Remember what the next one like this fails with."""
        if fault is not None:
            self._arming.last_fault = fault

    def action_theme(self) -> None:
        """Take the next theme."""
        names = [theme.name for theme in THEMES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)]

    def on_key(self, event: events.Key) -> None:
        """Say why a key does nothing now; once, while it can still be read, however often it is pressed."""
        if event.key in self.screen.active_bindings:
            return
        for why in objections(self.focused or self.screen, event.key, self.keys):
            now = time.monotonic()
            if why != self._said or now > self._said_at + SAID_FOR:
                self._said, self._said_at = why, now
                self.notify(why, markup=False, timeout=SAID_FOR)

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        self.action_show_tab(event.name)
        self.tick()

    @property
    def _board(self) -> Screen[object]:
        """The screen below all dialogues."""
        return self.screen_stack[0]

    def _fatal_error(self) -> None:
        """In place of Textual's, which shows the values of all variables: there may be secrets in them."""
        logger.error("the panel failed", exc_info=self._exception)
        self._exit_renderables.append(
            f"brokenreg: the panel failed; {self._runtime.settings.data / 'diagnostics.log'} says more"
        )
        self._close_messages_no_wait()
