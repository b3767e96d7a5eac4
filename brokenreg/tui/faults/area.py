"""The Faults tab: the rules of all namespaces, and overrides below them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule
from brokenreg.rules.rule_book import RuleBook
from brokenreg.runtime.errors import OperationError
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Confirmation, warn
from brokenreg.tui.disabled_reasons import keyed_for, may_change
from brokenreg.tui.faults.choice import fault_choice
from brokenreg.tui.faults.detail import RuleDetail
from brokenreg.tui.faults.form import RuleForm
from brokenreg.tui.faults.scenario_file import LoadDialogue
from brokenreg.tui.faults.scenario_saving import SaveDialogue
from brokenreg.tui.faults.seen import Seen, seen_in
from brokenreg.tui.faults.words import faults_words, rule_rows
from brokenreg.tui.listing import Listing
from brokenreg.tui.split import Split
from brokenreg.tui.tabs import TabArea, TabContext
from brokenreg.tui.text import visible
from brokenreg.wording import counted, form_for

_SOURCE = "panel"


class FaultsArea(TabArea):
    """The rules in the order of evaluation, with their counters."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("faults")

    _shown: object = None

    def __init__(self, context: TabContext) -> None:
        super().__init__()
        self._runtime = context.runtime
        self._files = context.files
        self._operations = context.operations
        self._books = context.runtime.rules
        self._arming = context.arming
        self._listing = Listing()
        self._detail = RuleDetail()
        self._saved: dict[int, Rule] = {}
        """Rules by id, as they were last saved here."""

    def compose(self) -> ComposeResult:
        yield Split(self._listing, self._detail, beside=0.4)

    def tick(self) -> None:
        books = self._books
        there = [((name, each.id), each) for name in books.namespaces() for each in books.book(name)]
        width = max(0, self._listing.scrollable_content_region.width - 1)
        state = width, [(place, each.rule, each.applied, each.matched) for place, each in there]
        if state != self._shown:
            self._shown = state
            self._listing.show(list(rule_rows(there, width, self._hint())))
            self.set_class(bool(there), "-filled")
        if self.has_class("-wide"):
            self._detail.show(self._namespace, self._selected)

    def _hint(self) -> list[str]:
        """Return what to show instead of rules, with the keys that can add some here."""
        if not may_change(self):
            return ["", "No rules: everything works."]
        adding = "  {faults.add}  add a rule                      "
        if not self._files.opening_problem:
            adding += "{faults.load}  load a scenario file"
        others = (
            "  {panel.overrides}  apply faults to every request   "
            "{traffic.fail-next}  in Traffic: make the next request fail"
        )
        title = "No rules: everything works. To break something:"
        return [keyed_for(self, line) for line in ("", title, "", adding, others)]

    def take_focus(self) -> None:
        self._listing.focus()

    @property
    def remark(self) -> str:
        book = self._book
        return f"scenario {visible(book.name)}" if book.name else ""

    def unsaved(self) -> Iterator[str]:
        """Yield how many rules of the panel have changes that are not in a scenario file.

        Those that it made in passing (for the next request, or as an override) count while they are armed, or
        while one key can arm them again.
        """
        off = {active.id for _, active in self._books.switched_off}
        count = sum(
            self._saved.get(each.id) != each.rule
            for name in self._books.namespaces()
            for each in self._books.book(name)
            if each.source == _SOURCE
            or (each.source.startswith(_SOURCE) and (each.is_armed or each.id in off))
        )
        if count:
            yield f"{counted(count, 'rule')} added or edited here {form_for(count, 'is', 'are')} not saved."

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        active = self._selected
        match action:
            case "edit" | "delete" | "switch" | "earlier" | "later" if active is None:
                return "no rules yet; {faults.add} adds one, {faults.load} loads a scenario file"
            case "edit" if active is not None and len(active.rule.fault) > 1:
                return "the rule has several faults; edit it in a scenario file"
            case "earlier" if active is self._peers[0]:
                return "the rule is already first"
            case "later" if active is self._peers[-1]:
                return "the rule is already last"
            case "load" if self._files.opening_problem:
                return self._files.opening_problem
            case "save" if self._files.saving_problem:
                return self._files.saving_problem
        return super().disabled_reason(action)

    def action_add(self) -> None:
        """Choose a fault, fill in its form, and put the rule last."""
        self.app.push_screen(fault_choice(), self._chosen)

    def action_edit(self) -> None:
        """Edit the rule under the cursor."""
        active = self._selected
        if active is None:
            return
        kind = CATALOGUE[active.rule.fault[0].name]
        namespace, place = self._namespace, active.id
        form = RuleForm(
            kind,
            active.rule,
            override=active.rule.override,
            seen=self._seen(),
            current=lambda: self._rule_of(namespace, place),
        )
        self.app.push_screen(form, partial(self._edited, namespace, place))

    def action_switch(self) -> None:
        """Enable or disable the rule; its counters stay."""
        active = self._selected
        if active is not None:
            enabled = not active.rule.enabled
            self._operations.set_rule_enabled(self._namespace, active.id, enabled=enabled)
            self.tick()

    def action_earlier(self) -> None:
        """Move the rule one place up."""
        self._move(-1)

    def action_later(self) -> None:
        """Move the rule one place down."""
        self._move(1)

    def action_delete(self) -> None:
        """Delete the rule, after confirming."""
        active = self._selected
        if active is not None:
            question = Confirmation(
                f"Delete {'rule ' if active.rule.name else ''}{visible(active.label)}?",
                (faults_words(active.rule), "This discards its counters."),
            )
            self.app.push_screen(question, partial(self._removed, self._namespace, active.id))

    def action_load(self) -> None:
        """Load a scenario file."""
        self.app.push_screen(LoadDialogue(self._operations, self._namespace), self._show_outcome)

    def action_save(self) -> None:
        """Save the rules as a scenario file."""
        namespace = self._namespace
        dialogue = SaveDialogue(self._runtime, namespace, self._files)
        self.app.push_screen(dialogue, partial(self._written, namespace, dialogue))

    def on_cursor_list_opened(self) -> None:
        """Open the row after a double click."""
        if not self.unavailable_reason("edit"):
            self.action_edit()

    def _chosen(self, name: str | None) -> None:
        if name is not None:
            self.app.push_screen(RuleForm(CATALOGUE[name], seen=self._seen()), self._created)

    def _rule_of(self, namespace: str, rule_id: int) -> Rule | None:
        books = self._books
        active = books.book(namespace).get(rule_id) if namespace in books.namespaces() else None
        return None if active is None else active.rule

    def _seen(self) -> Seen:
        return seen_in(self._runtime.log)

    def _created(self, rule: Rule | None) -> None:
        if rule is None:
            return
        namespace = self._namespace
        try:
            active = self._operations.add_rule(namespace, rule, _SOURCE)
        except OperationError as error:
            warn(self, str(error))
            return
        self._arming.last_fault = rule.fault[0]
        self.tick()
        self._listing.select((namespace, active.id))

    def _edited(self, namespace: str, rule_id: int, rule: Rule | None) -> None:
        if rule is None:
            return
        try:
            self._operations.replace_rule(namespace, rule_id, rule, _SOURCE)
        except OperationError as error:
            warn(self, f"nothing was changed: {error}")
        else:
            self._arming.last_fault = rule.fault[0]
        self.tick()

    def _removed(self, namespace: str, rule_id: int, wanted: bool | None) -> None:
        if wanted:
            try:
                self._operations.remove_rule(namespace, rule_id)
            except OperationError as error:
                warn(self, f"nothing was changed: {error}")
            self.tick()

    def _move(self, by: int) -> None:
        active = self._selected
        if active is not None:
            self._operations.move_rule(self._namespace, active.id, by)
            self.tick()

    def _show_outcome(self, done: str | None) -> None:
        if done is not None:
            self.app.notify(visible(done), markup=False)
            self.tick()

    def _written(self, namespace: str, dialogue: SaveDialogue, path: str | None) -> None:
        if path is not None:
            self._saved |= {each.id: each.rule for each in self._books.book(namespace)}
            self._show_outcome(f"saved {dialogue.contents} to {path}")

    @property
    def _namespace(self) -> str:
        """Return the namespace of the row under the cursor, else the one without a name."""
        selected = self._listing.selected
        return str(selected[0]) if isinstance(selected, tuple) else ""

    @property
    def _book(self) -> RuleBook:
        return self._books.book(self._namespace)

    @property
    def _selected(self) -> ActiveRule | None:
        selected = self._listing.selected
        return self._book.get(selected[1]) if isinstance(selected, tuple) else None

    @property
    def _peers(self) -> list[ActiveRule]:
        """Return the rules among which the selected one can move: the overrides, or all others."""
        active = self._selected
        return [each for each in self._book if active and each.rule.override == active.rule.override]
