"""A rule in full, beside the list on a wide screen."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from textual.content import Content

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.tui.faults.words import count_words, glyph
from brokenreg.tui.lines import Lines
from brokenreg.tui.text import visible
from brokenreg.wording import counted

_LABEL = 12

_Part = str | tuple[str, str]


class RuleDetail(Lines):
    """Shows a rule, and updates its counters."""

    DEFAULT_CSS = "RuleDetail { padding: 0 1; }"
    _shown: Hashable = None

    def show(self, namespace: str, active: ActiveRule | None) -> None:
        """Show a rule, or nothing. What is shown already is not painted again."""
        shown = active and (namespace, active.id, active.rule, active.matched, active.applied)
        if shown != self._shown:
            self._shown = shown
            self.show_lines([] if active is None else rule_lines(namespace, active))


def rule_lines(namespace: str, active: ActiveRule) -> list[Content]:
    """Return what a rule matches, its faults with the meaning of each parameter, and its counters."""
    return [*Content.assemble(*_parts(namespace, active)).split("\n")]


def _parts(namespace: str, active: ActiveRule) -> Iterator[_Part]:
    rule = active.rule
    yield f"{visible(active.label)}\n", "bold"
    yield f"{glyph(active)} {_state(active)}\n\n", "bold $error" if active.is_armed else "$secondary"
    if namespace:
        yield from _fact("Namespace", namespace)
    yield from _fact("Source", active.source)
    yield from _fact("Matched", counted(active.matched, "time"))
    yield from _fact("Applied", counted(active.applied, "time"))
    if often := count_words(rule):
        yield from _fact("How often", often)
    if rule.after:
        yield from _fact("After", rule.after)
    yield "\nMatch\n", "bold"
    yield from _fact("  endpoint", rule.endpoint)
    for name, value in rule.match.model_dump(exclude_none=True, exclude={"endpoint"}).items():
        yield from _fact(f"  {name}", value)
    for fault in rule.fault:
        yield from _fault(fault)


def _state(active: ActiveRule) -> str:
    if active.is_armed:
        return "armed"
    return "exhausted" if active.rule.enabled else "disabled"


def _fault(fault: Fault) -> Iterator[_Part]:
    kind = CATALOGUE[fault.name]
    yield f"\nFault {fault.name}\n", "bold"
    yield f"  {kind.summary()}\n", ""
    for name, value in fault.parameters().items():
        if value is None:
            continue
        yield "\n", ""
        yield from _fact(f"  {name}", value)
        if about := kind.model_fields[name].description:
            yield f"    {about}\n", "$secondary"


def _fact(label: str, value: object) -> Iterator[_Part]:
    yield f"{label:<{_LABEL}} ", "$secondary"
    yield f"{visible(str(value))}\n", ""
