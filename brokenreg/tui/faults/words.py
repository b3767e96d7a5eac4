"""A rule in the words of the panel, and as a line of the list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from brokenreg.faults.catalogue import Fault
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule
from brokenreg.tui.listing import Row
from brokenreg.tui.text import fit, visible

_DIGEST = re.compile(r"(sha[0-9]+:[0-9a-f]{6})[0-9a-f]{58,}")
"""A digest; the group is the part that is shown."""


_COUNTS = 15
"""Cells of the counters in a line."""

Place = tuple[str, int]
"""Namespace and id of a rule."""
Rules = list[tuple[Place, ActiveRule]]


def glyph(active: ActiveRule) -> str:
    """Return `●` if it can be applied, `✓` if it is exhausted, `○` if it is disabled."""
    if active.is_armed:
        return "●"
    return "✓" if active.rule.enabled else "○"


def fault_words(fault: Fault) -> str:
    """Return a fault with its parameters: `truncate after=64KiB end=rst`."""
    given = [f"{name}={value}" for name, value in fault.parameters().items() if value is not None]
    return visible(" ".join((fault.name, *given)))


def faults_words(rule: Rule) -> str:
    """Return all faults of a rule."""
    return " + ".join(map(fault_words, rule.fault))


def match_words(rule: Rule, width: int = 0) -> str:
    """Return the match of a rule: `layer library/* client=docker/*`. If it is longer, digests are cut."""
    match = rule.match
    others = match.model_dump(exclude_none=True, exclude={"endpoint", "repository"})
    parts = [rule.endpoint, match.repository or "", *(f"{name}={value}" for name, value in others.items())]
    words = visible(" ".join(filter(None, parts)))
    return words if len(words) <= width else _DIGEST.sub(r"\1…", words)


def count_words(rule: Rule) -> str:
    """Return how often a rule is applied: `skip 1 ×2 50% per client`; empty for always."""
    parts = [f"skip {rule.skip}"] if rule.skip else []
    parts += [f"×{rule.times}"] if rule.times is not None else []
    parts += [f"{rule.probability * 100:.4g}%"] if rule.probability < 1 else []
    parts += [f"per {rule.per}"] if rule.per != "rule" else []
    return " ".join(parts)


def rule_rows(there: Rules, width: int, hint: Sequence[str]) -> Iterator[Row]:
    """Yield the rules, and overrides below them, or a hint if there are none."""
    rules = [each for each in there if not each[1].rule.override]
    overrides = [each for each in there if each[1].rule.override]
    if not there:
        yield from (Row(None, line, "quiet") for line in hint)
        return
    columns = _columns(width)
    if rules:
        yield Row(None, _line(columns, "  ", "Rule", "Match", "Fault", "Applied/matched"), "heading")
        yield from (_row(columns, place, active) for place, active in rules)
    if overrides:
        yield Row(None, _line(columns, "  ", "Override", "", "Fault", "Applied/matched"), "heading")
        yield from (_row(columns, place, active) for place, active in overrides)


def _columns(width: int) -> tuple[int, int, int]:
    """Return the widths of name, match and fault in a line of `width` cells."""
    room = max(30, width - 2 - _COUNTS - 5)
    return room // 4, room * 3 // 8, room - room // 4 - room * 3 // 8


def _line(columns: tuple[int, int, int], mark: str, name: str, match: str, fault: str, counts: str) -> str:
    parts = [fit(text, width) for text, width in zip((name, match, fault), columns, strict=True)]
    return f"{mark}{'  '.join(parts)} {counts:>{_COUNTS}}"


def _row(columns: tuple[int, int, int], place: Place, active: ActiveRule) -> Row:
    rule = active.rule
    name = visible(f"{place[0]}: {active.label}" if place[0] else active.label)
    often = count_words(rule)
    fault = faults_words(rule) + (f" {often}" if often else "")
    counts = f"{active.applied}/{active.matched}"
    match = match_words(rule, columns[1])
    line = _line(columns, f"{glyph(active)} ", name, match, fault, counts)
    return Row(place, line, "" if active.is_armed else "off")
