"""The form of a rule, made from the models; what is typed is validated by the catalogue itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

from brokenreg.faults.catalogue import Fault
from brokenreg.rules.rule import FieldError, Rule
from brokenreg.rules.rule_from_exchange import no_effect_reason
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import EVERY, Dialogue
from brokenreg.tui.faults.fields import fields_of, rule_from, texts_of
from brokenreg.tui.faults.seen import Seen, Suggestions
from brokenreg.tui.text import visible

_GROUPS = {"fault": "Fault", "match": "Match", "": "Rule"}


class _Fields(VerticalScroll, can_focus=False, inherit_bindings=False):
    """Scrolls to the field that has the focus; has no keys of its own."""


class RuleForm(Dialogue[Rule | None], inherit_bindings=False):
    """Edits a new rule with a fault of that kind, or a given `rule`; the result is None if cancelled.

    A rule for the next exchange `like` one is not accepted if it cannot have an effect on that exchange.
    `seen` are values of recent exchanges, which are suggested. `current` returns the edited rule as it is
    now, or None once it was removed.
    """

    DEFAULT_CSS = """
    RuleForm > Vertical { width: 110; height: 1fr; max-height: 100%; }
    RuleForm _Fields { height: 1fr; scrollbar-size-vertical: 1; }
    RuleForm Horizontal { height: 1; }
    RuleForm .label { width: 18; }
    RuleForm .usage { width: 32; padding: 0 0 0 1; color: $secondary; text-wrap: nowrap;
        text-overflow: ellipsis; }
    RuleForm .group { color: $primary; text-style: bold; }
    RuleForm Input { width: 1fr; }
    RuleForm #summary { max-height: 2; color: $secondary; }
    RuleForm #help { max-height: 4; color: $secondary; }
    RuleForm #elsewhere { display: none; color: $warning; text-style: bold; }
    RuleForm #problem { height: auto; min-height: 1; max-height: 3; color: $error; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("form")

    def __init__(
        self,
        kind: type[Fault],
        rule: Rule | None = None,
        *,
        seen: Seen,
        override: bool = False,
        like: Exchange | None = None,
        current: Callable[[], Rule | None] | None = None,
    ) -> None:
        if like is not None:
            action = "Fail next"
        else:
            action = "Edit override" if override else "Add rule" if rule is None else "Edit rule"
        super().__init__(f"{action}: {kind.name}")
        self._kind = kind
        self._seen = seen
        self._enabled = rule is None or rule.enabled
        self._override = override
        self._like = like
        self._before, self._current = rule, current
        self._match = None if rule is None else rule.match
        self._fields = {field.id: field for field in fields_of(kind, override=override)}
        self._texts = {} if rule is None else dict(texts_of(rule))

    def content(self) -> ComposeResult:
        yield Static(self._kind.summary(), id="summary", markup=False)
        with _Fields():
            yield from self._lines()
        yield Static(id="help", markup=False)
        yield Static(id="elsewhere", markup=False)
        yield Static(id="problem", markup=False)

    def _lines(self) -> Iterator[Widget]:
        group = None
        for field in self._fields.values():
            if field.group != group:
                group = field.group
                yield Static(_GROUPS[group], classes="group", markup=False)
            yield Horizontal(
                Static(f"  {field.name}", classes="label", markup=False),
                Input(
                    visible(self._texts.get(field.id, "")),
                    placeholder=field.default,
                    id=field.id,
                    compact=True,
                    max_length=1024,
                    suggester=Suggestions(field.choices or self._seen.get(field.id, ())),
                    select_on_focus=False,
                ),
                Static(field.usage, classes="usage", markup=False),
            )

    def on_mount(self) -> None:
        self.query(Input).first().focus()
        self._judge()
        if self._current is not None:
            self.set_interval(EVERY, self._show_changes)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Explain the field that has the focus."""
        field = self._fields[event.widget.id or ""]
        seen = (
            f"\nSeen: {', '.join(self._seen[field.id])} (the right arrow accepts the suggestion)"
            if self._seen.get(field.id)
            else ""
        )
        self.query_one("#help", Static).update(f"{field.name}: {field.help}{seen}")

    def on_input_changed(self) -> None:
        self._judge()

    def _show_changes(self) -> None:
        """Show whether the rule was changed or removed somewhere else meanwhile."""
        assert self._current is not None  # noqa: S101 - otherwise nothing calls this
        now = self._current()
        said = "" if now == self._before else "This rule was changed elsewhere: saving replaces the change."
        if now is None:
            said = "This rule was removed elsewhere: it cannot be saved."
        line = self.query_one("#elsewhere", Static)
        line.display = bool(said)
        line.update(said)

    def action_next(self) -> None:
        """Go to the next field."""
        self.focus_next(Input)

    def action_previous(self) -> None:
        """Go to the previous field."""
        self.focus_previous(Input)

    def action_submit(self) -> None:
        """Submit the rule, if it is valid."""
        rule = self._judge()
        if rule is not None:
            self.dismiss(rule)

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss(None)

    def _judge(self) -> Rule | None:
        """Return the rule in the form, or None after showing what is wrong with it."""
        texts = {field: self._text(name) for name, field in self._fields.items()}
        try:
            rule = rule_from(self._kind, texts, enabled=self._enabled, override=self._override)
        except FieldError as error:
            self.query_one("#problem", Static).update(visible(str(error)))
            return None
        like = self._like if rule.match == self._match else None
        why = None if like is None else no_effect_reason(rule.fault, like)
        self.query_one("#problem", Static).update(visible(why or ""))
        return rule if why is None else None

    def _text(self, name: str) -> str:
        """Return the text of a field: the original text if the user has not changed what is shown."""
        value, before = self.query_one(f"#{name}", Input).value, self._texts.get(name, "")
        return before if value == visible(before) else value
