"""The keys that hold, step, resume, abort and edit responses, around widgets in which one can be selected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container

from brokenreg.gate.passage import STEP, Abort, Order, Resume, Step
from brokenreg.oci.sizes import format_size, parse_size
from brokenreg.runtime.errors import OperationError
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Question, say
from brokenreg.tui.disabled_reasons import READ_ONLY, HasDisabledReasons
from brokenreg.tui.holding.breakpoints import BreakpointsScreen
from brokenreg.tui.holding.edit import EditScreen
from brokenreg.tui.holding.in_flight import HeldLine, InFlight
from brokenreg.tui.tabs import TrafficContext


class HoldingControls(Container, HasDisabledReasons):
    """Contains widgets that show exchanges; adds the keys of holding, and shows what is held and in flight.

    `selected` returns the exchange under the cursor. Orders are for it if it is held, else for the one that
    is held longest. One that was stepped remains the target until it has ended, or until the user selects
    another one that is held.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("holding")

    def __init__(self, context: TrafficContext, selected: Callable[[], Exchange | None]) -> None:
        super().__init__()
        self._traffic = context.traffic
        self._operations = context.operations
        self._gate = context.traffic.gate
        self._clock = context.clock
        self._selected = selected
        self._step = STEP
        self._stepped: Exchange | None = None
        self.in_flight = InFlight(context.traffic, context.clock)
        """The pane, which the caller places among the widgets."""
        self._held_line = HeldLine()

    def compose(self) -> ComposeResult:
        yield self._held_line

    @property
    def _target(self) -> Exchange | None:
        """Return the exchange that is stepped, resumed, aborted or edited, or None."""
        waiting = self._gate.held
        for exchange in (self._selected(), self._stepped):
            if exchange is not None and (exchange.id in waiting or self._is_stepping(exchange)):
                return exchange
        return next((passage.exchange for passage in waiting.values()), None)

    def _is_stepping(self, exchange: Exchange) -> bool:
        return exchange is self._stepped and exchange.ended is None

    def tick(self) -> None:
        """Show what is held and what is in flight."""
        target = self._target
        self._held_line.show(target, self._clock())
        self.in_flight.tick(target)

    @property
    def footer_titles(self) -> Mapping[str, str]:
        """Return how much a step sends, once the user has set that."""
        return {} if self._step == STEP else {"holding.step": f"Step {format_size(self._step)}"}

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        waiting = self._gate.held
        match action:
            case "hold":
                return self._why_not_held()
            case "resume_all" if not waiting:
                return "nothing is held"
            case "step" | "resume" | "abort" | "edit":
                target = self._target
                if target is None:
                    return "nothing is held; {holding.hold} holds a response in flight"
                if target.id not in waiting:
                    return f"the next step of #{target.label} is still being sent"
                if action == "edit" and target.place is not None and target.place.is_elsewhere:
                    return f"replica {target.place.replica} has the headers; edit them in its panel"
                if action == "edit" and target.status is not None:
                    return f"the headers of #{target.label} were sent, so they can no longer be edited"
            case "breakpoints" if not self._operations.may_change and not len(self._gate.breakpoints):
                return f"no breakpoints; {READ_ONLY}"
            case "toggle_breakpoints" if not len(self._gate.breakpoints):
                return "no breakpoints; {holding.breakpoints} adds one"
        return super().disabled_reason(action)

    def _why_not_held(self) -> str:
        selected = self._selected()
        if selected is None:
            return "no exchange is selected"
        if selected.held_since is not None:
            return "the response is already held"
        if not self._gate.can_hold(selected):
            if selected.ended:
                return "the exchange has ended; only responses in flight can be held"
            return "this exchange has no response that can be held"
        return ""

    def action_hold(self) -> None:
        """Hold the selected response where it is."""
        selected = self._selected()
        if selected is not None:
            self._try(partial(self._operations.hold, selected.id, "hand"))

    def action_step(self) -> None:
        """Send the bytes of the next step."""
        self._stepped = self._target
        self._order(Step(self._step))

    def action_step_size(self) -> None:
        """Ask how many bytes a step sends."""
        self.app.push_screen(
            Question("Set step size", f"Bytes per step (now {format_size(self._step)}):", _problem_of_step),
            self._set_step,
        )

    def action_resume(self) -> None:
        """Resume the target."""
        self._order(Resume())
        self._stepped = None

    def action_resume_all(self) -> None:
        """Resume everything that is held."""
        self._operations.carry_out_all(Resume())
        self._stepped = None

    def action_abort(self) -> None:
        """Reset the connection of the target."""
        self._order(Abort())
        self._stepped = None

    def action_breakpoints(self) -> None:
        """Show the breakpoints, and ask for another."""
        self.app.push_screen(BreakpointsScreen(self._traffic, self._operations))

    def action_toggle_breakpoints(self) -> None:
        """Enable or disable all breakpoints."""
        breakpoints = self._gate.breakpoints
        self._operations.set_breakpoints_enabled(enabled=not breakpoints.are_on)
        say(
            self,
            "breakpoints enabled" if breakpoints.are_on else "breakpoints disabled; held responses stay held",
        )

    def action_edit(self) -> None:
        """Edit status and headers of the target, and resume it."""
        target = self._target
        if target is not None:
            self.app.push_screen(EditScreen(self._traffic, self._operations, target))

    def _order(self, order: Order) -> None:
        target = self._target
        if target is not None:
            self._try(partial(self._operations.carry_out, target.id, order))

    def _try(self, operation: Callable[[], None]) -> None:
        """Carry out an operation; the exchange may have been resumed or have ended meanwhile."""
        try:
            operation()
        except OperationError as error:
            say(self, str(error))

    def _set_step(self, size: str | None) -> None:
        if size is not None:
            self._step = parse_size(size.strip())
            say(self, f"a step sends {format_size(self._step)}")
            self.refresh_bindings()


def _problem_of_step(text: str) -> str:
    """Return why `text` is not a valid size of a step, or an empty string."""
    try:
        size = parse_size(text.strip())
    except ValueError as error:
        return str(error)
    if 1 <= size < 2**63:
        return ""
    return f'invalid step size "{text.strip()}": use at least 1 byte and less than 8 EiB'
