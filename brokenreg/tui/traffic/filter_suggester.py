"""Suggests how a filter expression may continue, after the cursor of an input."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.suggester import Suggester

from brokenreg.tui.traffic.completion import Values, candidates


class FilterSuggester(Suggester):
    """Suggests keys, `values`, and the `names` of filters."""

    def __init__(self, values: Values | None = None, names: Callable[[], Iterable[str]] = tuple) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.values: Values = values or {}
        self._names = names

    def offered(self, text: str) -> list[str]:
        """Return complete expressions that begin with `text`, the likeliest first."""
        return candidates(text, self.values, self._names())

    async def get_suggestion(self, value: str) -> str | None:
        return next(iter(self.offered(value)), None)
