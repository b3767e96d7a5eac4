"""The dialogue of breakpoints: those that are set, and a line for another."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Input, Static

from brokenreg.gate.breakpoints import Breakpoint
from brokenreg.runtime.errors import InvalidError
from brokenreg.runtime.operations import Operations
from brokenreg.runtime.preparation import prepare_filter
from brokenreg.runtime.traffic_source import TrafficSource
from brokenreg.traffic.filter_keys import BODY_KEY
from brokenreg.traffic.filters import BEFORE_RESPONSE
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import EVERY, Dialogue
from brokenreg.tui.text import fit, visible
from brokenreg.tui.traffic.completion import LOOKED_AT, advice, problem_of, values_of
from brokenreg.tui.traffic.filter_suggester import FilterSuggester
from brokenreg.wording import counted

_WIDTH = 72
_SHOWN = 8


class BreakpointsScreen(Dialogue[None], inherit_bindings=False):
    """Sets and removes breakpoints. One of them is chosen, the newest at first."""

    DEFAULT_CSS = """
    BreakpointsScreen > Vertical { width: 76; max-height: 100%; }
    BreakpointsScreen #list { height: auto; }
    BreakpointsScreen #advice { color: $secondary; height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    BreakpointsScreen #advice.-wrong { color: $error; height: auto; text-wrap: wrap; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("breakpoints")

    def __init__(self, traffic: TrafficSource, operations: Operations) -> None:
        super().__init__("Breakpoints: hold every response that matches")
        self._log = traffic.log
        self._operations = operations
        self._breakpoints = traffic.gate.breakpoints
        self._chosen = max(0, len(self._breakpoints) - 1)
        self._shown: Hashable = None
        values = values_of(self._log.newest(LOOKED_AT))
        self._suggester = FilterSuggester({name: each for name, each in values.items() if name != BODY_KEY})
        self._field = Input(
            placeholder="endpoint:layer status:5xx repository:library/*",
            compact=True,
            suggester=self._suggester,
            select_on_focus=False,
        )

    def content(self) -> ComposeResult:
        yield self._field
        yield Static(id="advice", markup=False)
        yield Static(id="list", markup=False)

    def on_mount(self) -> None:
        self._show()
        self._say("")
        self.set_interval(EVERY, self._show_changes)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what is wrong with the expression, or how it may continue."""
        offered = self._suggester.offered(event.value)
        is_begun = bool(offered) and not problem_of(offered[0], BEFORE_RESPONSE)
        self._say("" if is_begun else problem_of(event.value, BEFORE_RESPONSE))

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        if action == "complete" and not self._offered():
            return "nothing to complete"
        if action in ("remove", "choose", "switch") and not len(self._breakpoints):
            return "no breakpoints; type a filter and press {breakpoints.add} to add one"
        return super().disabled_reason(action)

    async def action_add(self) -> None:
        """Set the breakpoint that was typed; without one, close."""
        field = self._field
        if not field.value.strip():
            self.dismiss()
            return
        await prepare_filter(self._log, field.value, stays=True)
        try:
            self._operations.add_breakpoint(field.value)
        except InvalidError as error:
            self._say(error.problem)
            return
        field.value = ""
        self._chosen = len(self._breakpoints) - 1
        self._show()

    def action_complete(self) -> None:
        """Accept the suggestion."""
        field = self._field
        field.value = self._offered()[0]
        field.cursor_position = len(field.value)

    def _offered(self) -> list[str]:
        return self._suggester.offered(self._field.value)

    def action_remove(self) -> None:
        """Remove the chosen breakpoint."""
        self._choose(self._chosen)  # another user may have removed some
        self._operations.remove_breakpoint([*self._breakpoints][self._chosen].id)
        self._choose(self._chosen)

    def action_choose(self, by: int) -> None:
        """Choose another breakpoint."""
        self._choose(self._chosen + by)

    def action_switch(self) -> None:
        """Enable or disable all breakpoints."""
        self._operations.set_breakpoints_enabled(enabled=not self._breakpoints.are_on)
        self._show()

    def action_close(self) -> None:
        """Close the dialogue."""
        self.dismiss()

    def _choose(self, place: int) -> None:
        self._chosen = max(0, min(place, len(self._breakpoints) - 1))
        self._show()

    def _say(self, problem: str) -> None:
        """Show what is wrong, or how the expression may continue."""
        line = self.query_one("#advice", Static)
        line.set_class(bool(problem), "-wrong")
        text = self._field.value
        line.update(visible(f"✗ {problem}" if problem else advice(text, self._suggester.values)))

    def _show_changes(self) -> None:
        """Show the breakpoints again if somewhere else some were added, removed, enabled or disabled."""
        if self._shown != self._state:
            self._choose(self._chosen)

    @property
    def _state(self) -> Hashable:
        return self._breakpoints.are_on, tuple(self._breakpoints)

    def _show(self) -> None:
        self._shown = self._state
        self.query_one("#list", Static).update(Content("\n").join([*self._lines()]))
        self.refresh_bindings()

    def _lines(self) -> Iterator[Content]:
        breakpoints = [*self._breakpoints]
        if not breakpoints:
            yield Content.styled("No breakpoints.", "$secondary")
            return
        count = counted(len(breakpoints), "breakpoint")
        if self._breakpoints.are_on:
            yield Content.styled(f"{count}, enabled", "$secondary")
        else:
            yield Content.styled(f"{count}, DISABLED", "bold reverse $primary")
        first = max(0, min(self._chosen - _SHOWN // 2, len(breakpoints) - _SHOWN))
        for place, each in enumerate(breakpoints[first : first + _SHOWN], first):
            yield _line(each, is_chosen=place == self._chosen)


def _line(each: Breakpoint, *, is_chosen: bool) -> Content:
    text = fit(f"{'▌' if is_chosen else ' '} {visible(each.expression)}", _WIDTH)
    return Content.styled(text, "bold" if is_chosen else "")
