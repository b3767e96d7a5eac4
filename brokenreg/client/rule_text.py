"""A rule as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COUNTS = ("skip", "times", "probability", "per")


def rule_words(rule: Mapping[str, Any]) -> str:
    """Return a rule without its name as one line: its faults, conditions and counts."""
    faults = rule["fault"] if isinstance(rule["fault"], list) else [rule["fault"]]
    parts = [" + ".join(" ".join([each["type"], *_pairs(each, "type")]) for each in faults)]
    parts += [f"when {' '.join(_pairs(rule['match']))}"] if rule.get("match") else []
    parts += _pairs({key: rule[key] for key in _COUNTS if rule.get(key)})
    parts += ["(override)"] if rule.get("override") else []
    parts += ["(off)"] if rule.get("enabled") is False else []
    return " ".join(parts)


def _pairs(values: Mapping[str, Any], *but: str) -> list[str]:
    return [f"{key}={value}" for key, value in values.items() if key not in but]
