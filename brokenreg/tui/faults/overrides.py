"""Overrides as toggles: each fault of the catalogue on or off for everything."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.fault_descriptions import describe
from brokenreg.rules.rule import Rule, fault_of
from brokenreg.rules.rule_book import RuleBook
from brokenreg.runtime.errors import OperationError
from brokenreg.runtime.operations import Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import EVERY, Dialogue
from brokenreg.tui.faults.arming import Arming
from brokenreg.tui.faults.form import RuleForm
from brokenreg.tui.faults.seen import seen_in
from brokenreg.tui.faults.words import count_words, fault_words, glyph
from brokenreg.tui.listing import Listing, Row
from brokenreg.tui.text import fit, visible

_SOURCE = "panel, override"


class OverridesScreen(Dialogue[None], inherit_bindings=False):
    """Edits the overrides of the default namespace.

    An override that is switched off stays in the book, disabled, with its parameters.
    """

    DEFAULT_CSS = """
    OverridesScreen > Vertical { width: 130; height: 1fr; max-height: 100%; border: round $error; }
    OverridesScreen Listing { height: 1fr; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("overrides")
    can_undo = True

    def __init__(self, runtime: Runtime, operations: Operations, arming: Arming) -> None:
        super().__init__("Overrides: apply faults to every request")
        self._runtime = runtime
        self._operations = operations
        self._arming = arming
        self._listing = Listing()

    def content(self) -> ComposeResult:
        yield self._listing

    def on_mount(self) -> None:
        self._listing.focus()
        self._show()
        self.set_interval(EVERY, self._show)

    def action_switch(self) -> None:
        """Switch the override on or off."""
        name = self._chosen
        active = self._of(name)
        if active is None:
            self._put(Rule(fault=(usual(name),), override=True))
        elif active.is_armed:
            self._operations.set_rule_enabled("", active.id, enabled=False)
        else:
            self._put(active.rule.model_copy(update={"enabled": True}))
        self._show()

    async def on_cursor_list_opened(self) -> None:
        """Switch the row after a double click."""
        await self.run_action("switch")

    def action_edit(self) -> None:
        """Edit the parameters of the override, and switch it on."""
        active = self._of(self._chosen)
        rule = active.rule if active is not None else Rule(fault=(usual(self._chosen),), override=True)
        on = rule.model_copy(update={"enabled": True})
        form = RuleForm(CATALOGUE[self._chosen], on, override=True, seen=seen_in(self._runtime.log))
        self.app.push_screen(form, self._edited)

    def action_close(self) -> None:
        """Close the dialogue."""
        self.dismiss()

    def _edited(self, rule: Rule | None) -> None:
        if rule is not None:
            self._put(rule)
            self._show()

    def _put(self, rule: Rule) -> None:
        """Add the override, or replace the one with the same fault."""
        active = self._of(rule.fault[0].name)
        try:
            if active is None:
                self._operations.add_rule("", rule, _SOURCE)
            else:
                self._operations.replace_rule("", active.id, rule, active.source)
        except OperationError as error:
            self.app.notify(visible(str(error)), severity="warning", markup=False)
            return
        self._arming.last_fault = rule.fault[0]

    def _of(self, name: str) -> ActiveRule | None:
        """Return the override that has only this fault, or None."""
        alone = (each for each in self._book if each.rule.override and len(each.rule.fault) == 1)
        return next((each for each in alone if each.rule.fault[0].name == name), None)

    def _show(self) -> None:
        self._listing.show([self._row(name) for name in CATALOGUE])

    def _row(self, name: str) -> Row:
        active = self._of(name)
        if active is None:
            return Row(name, f"○ {name:<17}{CATALOGUE[name].summary()}")
        words = " ".join(filter(None, (fault_words(active.rule.fault[0]), count_words(active.rule))))
        count = f"applied {active.applied}, matched {active.matched}"
        on = active.is_armed
        return Row(
            name, f"{glyph(active)} {fit(words, 43)} {'ON ' if on else 'off'} {count}", "on" if on else ""
        )

    @property
    def _book(self) -> RuleBook:
        """Return the current book: a reset replaces it."""
        return self._runtime.rules.book("")

    @property
    def _chosen(self) -> str:
        return str(self._listing.selected)


@cache
def usual(name: str) -> Fault:
    """Return a fault with the parameters of its example."""
    return fault_of(describe(CATALOGUE[name]).examples.rule["fault"])
