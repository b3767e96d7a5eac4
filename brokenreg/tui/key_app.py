"""What all our full-screen programs have in common: keys from the table of commands, themes and notices."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from textual import events
from textual.actions import ActionParseResult
from textual.dom import DOMNode
from textual.widgets import Input

from brokenreg.runtime.errors import OperationError
from brokenreg.tui.commands import BY_ID
from brokenreg.tui.dialogues import SAID_FOR, Dialogue, QuitConfirmation, warn
from brokenreg.tui.disabled_reasons import HasDisabledReasons, disabled_reasons, keyed
from brokenreg.tui.footer_titles import footer_titles
from brokenreg.tui.help import HelpScreen, areas_around
from brokenreg.tui.keys import commands_on
from brokenreg.tui.notices import ShowsNotices
from brokenreg.tui.palette import PanelCommands
from brokenreg.tui.preferences import Preferences
from brokenreg.tui.quitting import lost_with_panel
from brokenreg.tui.tabs import TabArea
from brokenreg.tui.terminal import Terminal
from brokenreg.tui.text import visible
from brokenreg.tui.theme import THEMES

_UNDO = ("panel.undo", "panel.redo")


class KeyApp(ShowsNotices, HasDisabledReasons, inherit_bindings=False):
    """An app whose keys come from the table of commands. It explains why a key does nothing.

    `return_code` is what `quit` was given.
    """

    TITLE = "brokenreg"
    COMMANDS: ClassVar = {PanelCommands}

    def __init__(self, preferences: Preferences, terminal: Terminal) -> None:
        super().__init__(
            driver_class=terminal.driver,  # type: ignore[arg-type]  # called and nothing else
            ansi_color=True if terminal.is_colourless else None,
        )
        self.animation_level = "none"
        self.preferences = preferences
        self.keys = preferences.keys
        self._offered: object = None
        self._first_theme = preferences.theme or ("ansi" if terminal.is_colourless else "dark")
        self._said, self._said_at = "", 0.0

    def refresh_footer(self) -> None:
        """Show the commands that are available now, if they have changed."""
        available = {active.binding.id for active in self.screen.active_bindings.values()}
        offered = available, footer_titles(self.screen.focused or self.screen)
        if offered != self._offered:
            self._offered = offered
            self.refresh_bindings()

    def on_load(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._first_theme
        self.set_keymap(self.keys)

    def tick(self) -> None:
        """Show what has happened since the last tick."""

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Run an action as Textual does, then show immediately what it has changed."""
        try:
            is_done = await super().run_action(action, default_namespace, namespaces)
        except OperationError as error:
            warn(self.screen, f"nothing was changed: {error}")
            is_done = False
        self.tick()
        return is_done

    def notify(self, message: str, **more: Any) -> None:
        """Show a notice, with the current keys of the commands in `message` (`keyed`)."""
        super().notify(keyed(message, self.keys), **more)

    def quit(self, status: int = 0) -> None:
        """End `run_async`, with `status` as `return_code`. A signal handler of the loop may call it."""
        self.exit(status, return_code=status)

    @property
    def footer_titles(self) -> Mapping[str, str]:
        """Return what `q` does if something is open."""
        return {"panel.quit": "Back"} if self.area.can_go_back else {}

    @property
    def area(self) -> TabArea:
        """Return the area of the chosen tab."""
        raise NotImplementedError

    @property
    def stops_registry(self) -> bool:
        """Return whether a registry stops with this program."""
        return False

    def lost(self) -> Iterator[str]:
        """Yield the work that would be lost if the program ended now, a line each."""
        yield from lost_with_panel(self.screen_stack)

    async def action_quit(self) -> None:
        """Go back if something is open in the tab; else quit, as `action_interrupt` does."""
        if self.area.can_go_back:
            await self.run_action("back", self.area)
        else:
            self.action_interrupt()

    def action_interrupt(self) -> None:
        """Quit. If work would be lost, confirm first; a second call quits."""
        lost = [*self.lost()]
        if not lost or isinstance(self.screen, QuitConfirmation):
            self.quit()
        else:
            question = QuitConfirmation(tuple(lost), stops_registry=self.stops_registry)
            self.push_screen(question, lambda wanted: self.quit() if wanted else None)

    def action_quit_now(self) -> None:
        """Quit without asking."""
        self.quit()

    def action_help(self) -> None:
        """Show all commands and their keys."""
        self.push_screen(HelpScreen(self.keys, areas_around(self.focused or self.screen)))

    def action_theme(self) -> None:
        """Use the next theme."""
        names = [theme.name for theme in THEMES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)]

    async def on_key(self, event: events.Key) -> None:
        """Show why a key does nothing now. While the notice is visible, it is not repeated.

        Escape is silent: people press it to be sure that nothing is open. The key that quits without asking
        does so in dialogues, too, and those of undo and redo in dialogues that show what they change.
        """
        if event.key in self.screen.active_bindings or event.key == "escape":
            return
        if BY_ID["panel.quit-now"] in commands_on(event.key, self.keys):
            self.quit()
            return
        reasons = [*disabled_reasons(self.focused or self.screen, event.key, self.keys)]
        if isinstance(self.screen, Dialogue) and self.screen.can_undo:
            for action in (each.action for each in commands_on(event.key, self.keys) if each.id in _UNDO):
                if not (why := self.unavailable_reason(action)):
                    await self.run_action(action)
                    return
                reasons.append(keyed(why, self.keys))
        for why in reasons or self._unknown_key(event):
            now = time.monotonic()
            if why != self._said or now > self._said_at + SAID_FOR:
                self._said, self._said_at = why, now
                self.notify(why, markup=False, timeout=SAID_FOR)

    def _unknown_key(self, event: events.Key) -> Iterator[str]:
        """Yield a notice that a key has no command here, and where the keys are shown."""
        name = event.character if event.character and event.character.isprintable() else event.key
        key = visible(event.key if event.key == "space" else name)
        if isinstance(self.screen, Dialogue) or isinstance(self.focused, Input):
            yield f'no command has the key "{key}" here: the footer shows the keys'
        elif not self.screen.is_modal:
            yield f'no command has the key "{key}" here: {{panel.help}} shows all keys'
