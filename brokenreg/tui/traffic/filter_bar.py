"""The line in which the user types a filter, with suggestions, history, names and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static
from textual.widgets.input import Selection

from brokenreg.traffic.bodies import Bodies
from brokenreg.traffic.filter_keys import Filter
from brokenreg.traffic.filters import FilterError, parse_filter
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Question, say
from brokenreg.tui.disabled_reasons import HasDisabledReasons, keyed_for
from brokenreg.tui.text import visible
from brokenreg.tui.traffic.completion import Values, advice, problem_of
from brokenreg.tui.traffic.filter_choice import FilterChoice
from brokenreg.tui.traffic.filter_memory import FilterMemory
from brokenreg.tui.traffic.filter_suggester import FilterSuggester
from brokenreg.tui.traffic.view import everything


class _Field(Input, HasDisabledReasons):
    """The input of the expression, and the history of expressions."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("filter")

    class Applied(Message):
        """The user applies the expression."""

    class Cancelled(Message):
        """The user cancels the edit."""

    class Named(Message):
        """The user gives the expression a name."""

    def __init__(self, memory: FilterMemory, completion: FilterSuggester) -> None:
        super().__init__(
            compact=True, suggester=completion, select_on_focus=False, placeholder="Filter exchanges"
        )
        self._memory = memory
        self._completion = completion
        self._past: list[str] = []
        """The history, and after it the expression that the user types."""
        self._place = 0

    def begin(self, text: str) -> None:
        """Edit an expression. If there is none, offer the one that was used last."""
        self._past = [*(each for each in self._memory.history if each != text), text]
        self._place = len(self._past) - 1
        if not text and self._past[:-1]:
            self._show(-1)
            self.selection = Selection(0, len(self.value))
        else:
            self._show(0)

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        match action:
            case "previous" if self._place == 0:
                return "no earlier filters"
            case "next" if self._place >= len(self._past) - 1:
                return "no later filters"
            case "name" if not self.value.strip():
                return "type a filter first"
        return super().disabled_reason(action)

    def action_previous(self) -> None:
        """Show the filter that was used before."""
        self._show(-1)

    def action_next(self) -> None:
        """Show the filter that was used after this one."""
        self._show(1)

    def action_name(self) -> None:
        """Give the expression a name."""
        self.post_message(self.Named())

    def action_apply(self) -> None:
        """Apply the expression."""
        self.post_message(self.Applied())

    def action_complete(self) -> None:
        """Accept the suggestion."""
        offered = self._completion.offered(self.value)
        if offered:
            self._write(offered[0])

    def action_cancel(self) -> None:
        """Keep the filter as it was."""
        self.post_message(self.Cancelled())

    def _show(self, by: int) -> None:
        if self._place == len(self._past) - 1 and by:
            self._past[-1] = self.value
        self._place = max(0, min(self._place + by, len(self._past) - 1))
        self._write(self._past[self._place])

    def _write(self, text: str) -> None:
        self.value = text
        self.cursor_position = len(text)


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

    def __init__(self, bodies: Bodies, names: Mapping[str, str]) -> None:
        super().__init__()
        self.text = ""
        self.is_on = True
        self._memory = FilterMemory(names)
        self._bodies = bodies
        self._completion = FilterSuggester(names=self._memory.spelled)

    def compose(self) -> ComposeResult:
        yield _Field(self._memory, self._completion)
        yield Static(markup=False)

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    @property
    def filter(self) -> Filter:
        """Return the filter that applies now."""
        return parse_filter(self.text, bodies=self._bodies) if self.text and self.is_on else everything

    def open(self, values: Values) -> None:
        """Show the expression to be edited, with `values` as suggestions."""
        self._completion.values = values
        self.add_class("-open")
        field = self.query_one(_Field)
        field.begin(self.text)
        self._judge(field.value)
        field.focus()

    @property
    def has_earlier(self) -> bool:
        """Return whether there are filters to choose from."""
        return bool(self._memory.history or self._memory.names)

    def choose(self) -> None:
        """Let the user choose a filter that has a name or was used before."""
        self.app.push_screen(FilterChoice(self._memory), self._use)

    def _use(self, text: str | None) -> None:
        """Apply a valid expression, and remember it."""
        if text is not None:
            self.text, self.is_on = text, True
            self._memory.remember(text)
            self.post_message(self.Applied())

    def close(self) -> None:
        """Hide the input. The caller moves the focus."""
        self.remove_class("-open")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        offered = self._completion.offered(event.value)
        if offered and not self._problem_of(offered[0]):
            self._advise(event.value)  # it is valid so far
        else:
            self._judge(event.value)

    def on__field_applied(self, event: _Field.Applied) -> None:
        event.stop()
        text = self.query_one(_Field).value.strip()
        if self._judge(text):
            self._use(self._memory.resolved(text))

    def on__field_named(self, event: _Field.Named) -> None:
        event.stop()
        text = self.query_one(_Field).value.strip()
        if self._judge(text):
            resolved = self._memory.resolved(text)
            question = Question(
                "Name filter",
                f"Name for {visible(resolved)}, to recall it as @NAME:",
                self._memory.name_problem,
            )
            self.app.push_screen(question, lambda name: self._keep_name(name, resolved))

    def _keep_name(self, name: str | None, text: str) -> None:
        if name is not None:
            self._memory.name(name, text)
            say(self, f"the filter has the name @{name.removeprefix('@')}")

    def on__field_cancelled(self, event: _Field.Cancelled) -> None:
        event.stop()
        self.post_message(self.Cancelled())

    def _judge(self, text: str) -> bool:
        """Show what is wrong, or how the expression may continue; return whether it is valid."""
        problem = self._problem_of(text)
        if problem:
            self.add_class("-wrong")
            self.query_one(Static).update(f"✗ {visible(keyed_for(self, problem))}")
        else:
            self._advise(text)
        return not problem

    def _advise(self, text: str) -> None:
        self.remove_class("-wrong")
        names = self._completion.offered(text) if text.startswith("@") else []
        self.query_one(Static).update(
            visible("  ".join(names) or self._named(text) or advice(text, self._completion.values))
        )

    def _named(self, text: str) -> str:
        """Return the filter that `@NAME` stands for, or an empty string."""
        return self._memory.resolved(text) if text in self._memory.spelled() else ""

    def _problem_of(self, text: str) -> str:
        try:
            return problem_of(self._memory.resolved(text), bodies=self._bodies)
        except FilterError as error:
            return str(error)
