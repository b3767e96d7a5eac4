"""The form of a rule, made from the models; what is typed is validated by the catalogue itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Static

from brokenreg.faults.catalogue import Fault
from brokenreg.parameter_descriptions import ParameterDescription, parameters_of
from brokenreg.rules.rule import FieldError, Rule, rule_of
from brokenreg.rules.rule_from_exchange import no_effect_reason
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import Match
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Dialogue
from brokenreg.tui.text import visible

_OFTEN = ("skip", "times", "probability", "per", "name")
_HEADER = "header"


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form. `group` is `fault`, `match` or empty for the rule itself."""

    group: str
    name: str
    help: str
    default: str
    choices: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.group or 'rule'}-{self.name}"


def fields_of(kind: type[Fault]) -> list[Field]:
    """Return all fields of a rule with that fault."""
    often = {each.name: each for each in parameters_of(Rule)}
    return [
        *(_field("fault", each) for each in parameters_of(kind)),
        *(_field("match", each) for each in parameters_of(Match)),
        *(_field("", often[name]) for name in _OFTEN),
    ]


def _field(group: str, described: ParameterDescription) -> Field:
    default = "required" if described.required else _text(described.default)
    if (group, described.name) == ("match", _HEADER):
        default = "name: glob, name: glob"
    return Field(group, described.name, described.description, default, tuple(described.choices))


def texts_of(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield the texts of the fields of a rule with one fault, by id."""
    written = rule.written()
    for name, value in rule.fault[0].parameters().items():
        if value is not None:
            yield f"fault-{name}", _text(value)
    for name, value in written.get("match", {}).items():
        yield f"match-{name}", _text(value)
    for name in _OFTEN:
        if name in written:
            yield f"rule-{name}", _text(written[name])


def rule_from(kind: type[Fault], texts: Mapping[Field, str], *, enabled: bool, override: bool) -> Rule:
    """Return the rule that the texts of a form describe; empty text means the default. Raise `FieldError`."""
    fault: dict[str, Any] = {"type": kind.name}
    match: dict[str, Any] = {}
    document: dict[str, Any] = {"fault": fault, "match": match, "enabled": enabled, "override": override}
    into = {"fault": fault, "match": match, "": document}
    for field, text in texts.items():
        if text:
            is_header = field.group == "match" and field.name == _HEADER
            into[field.group][field.name] = _headers(text) if is_header else text
    return rule_of(document)


def _headers(text: str) -> dict[str, str]:
    pairs = (each.partition(":") for each in text.split(","))
    return {name.strip(): value.strip() or "*" for name, _, value in pairs}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


_GROUPS = {"fault": "Fault", "match": "Match", "": "Rule"}


class _Fields(VerticalScroll, can_focus=False, inherit_bindings=False):
    """Scrolls to the field that has the focus; has no keys of its own."""


class RuleForm(Dialogue[Rule | None], inherit_bindings=False):
    """Edits a new rule with a fault of that kind, or a given `rule`; the result is None if cancelled.

    A rule for the next exchange `like` one is not accepted if it cannot have an effect on that exchange.
    """

    DEFAULT_CSS = """
    RuleForm > Vertical { width: 90; height: 1fr; max-height: 100%; }
    RuleForm _Fields { height: 1fr; scrollbar-size-vertical: 1; }
    RuleForm Horizontal { height: 1; }
    RuleForm .label { width: 20; }
    RuleForm .group { color: $primary; text-style: bold; }
    RuleForm Input { width: 1fr; }
    RuleForm #summary, RuleForm #help { max-height: 2; color: $secondary; }
    RuleForm #problem { height: auto; min-height: 1; max-height: 3; color: $warning; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("form")

    def __init__(
        self,
        kind: type[Fault],
        rule: Rule | None = None,
        *,
        override: bool = False,
        like: Exchange | None = None,
    ) -> None:
        if like is not None:
            action = "Fail the next similar request"
        else:
            action = "Edit override" if override else "Add rule" if rule is None else "Edit rule"
        super().__init__(f"{action}: {kind.name}")
        self._kind = kind
        self._enabled = rule is None or rule.enabled
        self._override = override
        self._like = like
        self._match = None if rule is None else rule.match
        self._fields = {field.id: field for field in fields_of(kind)}
        self._texts = {} if rule is None else dict(texts_of(rule))

    def content(self) -> ComposeResult:
        yield Static(self._kind.summary(), id="summary", markup=False)
        with _Fields():
            yield from self._lines()
        yield Static(id="help", markup=False)
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
                    suggester=SuggestFromList(field.choices) if field.choices else None,
                    select_on_focus=False,
                ),
            )

    def on_mount(self) -> None:
        self.query(Input).first().focus()
        self._judge()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Explain the field that has the focus."""
        field = self._fields[event.widget.id or ""]
        choices = f" ({', '.join(field.choices)})" if field.choices else ""
        self.query_one("#help", Static).update(f"{field.name}: {field.help}{choices}")

    def on_input_changed(self) -> None:
        self._judge()

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
