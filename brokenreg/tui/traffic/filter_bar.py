"""The line in which the user types a filter, with suggestions and errors."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from brokenreg.traffic.filter_keys import Filter
from brokenreg.traffic.filters import parse_filter
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.text import visible
from brokenreg.tui.traffic.completion import Values, advice, candidates, problem_of
from brokenreg.tui.traffic.view import everything


class _Completion(Suggester):
    """Suggests after the cursor how the expression may continue."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.values: Values = {}

    async def get_suggestion(self, value: str) -> str | None:
        return next(iter(candidates(value, self.values)), None)


class _Field(Input):
    """The input of the expression."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("filter")

    class Applied(Message):
        """The user applies the expression."""

    class Cancelled(Message):
        """The user cancels the edit."""

    def action_apply(self) -> None:
        """Apply the expression."""
        self.post_message(self.Applied())

    def action_complete(self) -> None:
        """Accept the suggestion."""
        offered = (
            candidates(self.value, self.suggester.values) if isinstance(self.suggester, _Completion) else []
        )
        if offered:
            self.value = offered[0]
            self.cursor_position = len(self.value)

    def action_cancel(self) -> None:
        """Keep the filter as it was."""
        self.post_message(self.Cancelled())


class FilterBar(Vertical):
    """The filter, and two lines to edit it: the expression, and its error or how it may continue.

    `text` is the expression that was applied last; it applies while `is_on`.
    """

    DEFAULT_CSS = """
    FilterBar { dock: bottom; height: 2; display: none; background: $panel; padding: 0 1; }
    FilterBar.-open { display: block; }
    FilterBar > Static { height: 1; color: $secondary; text-wrap: nowrap; text-overflow: ellipsis; }
    FilterBar.-wrong > Static { color: $error; text-style: bold; }
    """

    class Applied(Message):
        """The filter has changed."""

    class Cancelled(Message):
        """The filter was not changed."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.is_on = True
        self._completion = _Completion()

    def compose(self) -> ComposeResult:
        yield _Field(
            compact=True,
            suggester=self._completion,
            select_on_focus=False,
            placeholder="Filter exchanges",
        )
        yield Static(markup=False)

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    @property
    def filter(self) -> Filter:
        """Return the filter that applies now."""
        return parse_filter(self.text) if self.text and self.is_on else everything

    def open(self, values: Values) -> None:
        """Show the expression to be edited, with `values` as suggestions."""
        self._completion.values = values
        self.add_class("-open")
        field = self.query_one(_Field)
        field.value = self.text
        field.cursor_position = len(self.text)
        self._judge(self.text)
        field.focus()

    def close(self) -> None:
        """Hide the input. The caller moves the focus."""
        self.remove_class("-open")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        offered = candidates(event.value, self._completion.values)
        if offered and not problem_of(offered[0]):
            self._advise(event.value)  # it is valid so far
        else:
            self._judge(event.value)

    def on__field_applied(self, event: _Field.Applied) -> None:
        event.stop()
        text = self.query_one(_Field).value.strip()
        if self._judge(text):
            self.text, self.is_on = text, True
            self.post_message(self.Applied())

    def on__field_cancelled(self, event: _Field.Cancelled) -> None:
        event.stop()
        self.post_message(self.Cancelled())

    def _judge(self, text: str) -> bool:
        """Show what is wrong, or how the expression may continue; return whether it is valid."""
        problem = problem_of(text)
        if problem:
            self.add_class("-wrong")
            self.query_one(Static).update(f"✗ {visible(problem)}")
        else:
            self._advise(text)
        return not problem

    def _advise(self, text: str) -> None:
        self.remove_class("-wrong")
        self.query_one(Static).update(visible(advice(text, self._completion.values)))
