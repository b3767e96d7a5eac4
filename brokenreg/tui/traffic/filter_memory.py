"""The filters of one panel: those that were used, and those that have a name. Free of Textual."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from brokenreg.traffic.bodies import Bodies
from brokenreg.traffic.filters import FilterError, parse_filter
from brokenreg.wording import nearest, quoted

_MOST = 100
"""Maximum number of filters in the history, and of names."""

_NAME = re.compile(r"[\w.-]{1,30}", re.ASCII)
_MARK = "@"


class FilterMemory:
    """The history of filters, the oldest first, and filters by name. Both are bounded."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.history: list[str] = []
        self.names = dict(names)

    def remember(self, text: str) -> None:
        """Put a filter at the end of the history."""
        if text:
            self.history = [*(each for each in self.history if each != text), text][-_MOST:]

    def name_problem(self, name: str) -> str:
        """Return why a filter cannot have this name, or an empty string."""
        if _NAME.fullmatch(name.removeprefix(_MARK)) is None:
            return f"invalid name {quoted(name)}: use up to 30 letters, digits, dots, dashes and underscores"
        if name.removeprefix(_MARK) not in self.names and len(self.names) >= _MOST:
            return f"the limit of {_MOST} names is reached: remove a filter first"
        return ""

    def name(self, name: str, text: str) -> None:
        """Give a filter a name, for which `name_problem` is empty. A filter that had this name loses it."""
        self.names[name.removeprefix(_MARK)] = text

    def forget(self, text: str) -> None:
        """Remove a filter from the history, and all of its names."""
        self.history = [each for each in self.history if each != text]
        self.names = {name: each for name, each in self.names.items() if each != text}

    def spelled(self) -> list[str]:
        """Return all names with `@` before them."""
        return [f"{_MARK}{name}" for name in self.names]

    def resolved(self, text: str) -> str:
        """Return the filter that `@NAME` stands for; any other text as it is. Raise `FilterError`."""
        if not text.startswith(_MARK):
            return text
        name = text.removeprefix(_MARK)
        if name not in self.names:
            none = "{filter.name} names a filter"
            hint = nearest(name, self.names, otherwise=none) if self.names else none
            raise FilterError(f"no filter has the name {quoted(name)}: {hint}")
        return self.names[name]


def named_filters(table: Mapping[str, Any]) -> dict[str, str]:
    """Return the filters by name in the `[filters]` table of a configuration file. Raise `FilterError`."""
    memory = FilterMemory({})
    for name, text in table.items():
        problem = memory.name_problem(name)
        if problem:
            raise FilterError(problem)
        if not isinstance(text, str) or not text.strip():
            raise FilterError(f'{name}: write a filter in quotes, for example "status:5xx"')
        try:
            parse_filter(text.strip(), bodies=Bodies())
        except FilterError as error:
            raise FilterError(f"{name}: {error}") from None
        memory.name(name, text.strip())
    return memory.names
