"""The user's preferences for the panel: theme, keys and filters. Free of Textual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

THEMES = ("dark", "light", "ansi")
"""`ansi` is the terminal's own 16 colours, whatever they are."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """`keys` are other keys for commands, by id; `theme` is one of `THEMES`, None the one that fits best.

    `filters` are the filters that have a name from the start.
    """

    theme: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
