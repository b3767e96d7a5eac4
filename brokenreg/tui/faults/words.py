"""A rule in the words of the panel."""

from __future__ import annotations

import re

from brokenreg.faults.catalogue import Fault
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule
from brokenreg.tui.text import visible

_DIGEST = re.compile(r"(sha[0-9]+:[0-9a-f]{6})[0-9a-f]{58,}")
"""A digest; the group is the part that is shown."""


def glyph(active: ActiveRule) -> str:
    """`●` may strike, `✓` has struck as often as it may, `○` is disabled."""
    if active.is_armed:
        return "●"
    return "✓" if active.rule.enabled else "○"


def fault_words(fault: Fault) -> str:
    """`truncate after=64KiB end=rst`: what was given."""
    given = [f"{name}={value}" for name, value in fault.parameters().items() if value is not None]
    return visible(" ".join((fault.name, *given)))


def faults_words(rule: Rule) -> str:
    """All its faults."""
    return " + ".join(map(fault_words, rule.fault))


def match_words(rule: Rule) -> str:
    """`layer library/* client=docker/*`: what an exchange must be."""
    match = rule.match
    others = match.model_dump(exclude_none=True, exclude={"endpoint", "repository"})
    parts = [rule.endpoint, match.repository or "", *(f"{name}={value}" for name, value in others.items())]
    return _DIGEST.sub(r"\1…", visible(" ".join(filter(None, parts))))


def count_words(rule: Rule) -> str:
    """`skip 1 ×2 50% per client`: how often; empty for always."""
    parts = [f"skip {rule.skip}"] if rule.skip else []
    parts += [f"×{rule.times}"] if rule.times is not None else []
    parts += [f"{rule.probability * 100:.4g}%"] if rule.probability < 1 else []
    parts += [f"per {rule.per}"] if rule.per != "rule" else []
    return " ".join(parts)
