"""Holding by keys, for a tab in which an exchange can be selected."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from brokenreg.gate.passage import STEP, Abort, Order, Resume, Step
from brokenreg.oci.sizes import format_size, parse_size
from brokenreg.runtime import operations
from brokenreg.runtime.errors import OperationError
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.area import TabArea
from brokenreg.tui.dialogues import Question
from brokenreg.tui.holding.breakpoints import BreakpointsScreen
from brokenreg.tui.holding.edit import EditScreen
from brokenreg.tui.holding.in_flight import HeldLine, InFlight


class HoldingArea(TabArea):
    """Orders are for the selected exchange if it is held, else for the one that is held longest.

    One that was stepped stays the one, until it has ended or another is selected that is held. It needs a
    `HeldLine` and an `InFlight` within.
    """

    step = STEP
    """Bytes of a step."""

    _stepped: Exchange | None = None

    @property
    def selected(self) -> Exchange | None:
        """The exchange under the cursor."""
        raise NotImplementedError

    @property
    def _target(self) -> Exchange | None:
        """The exchange that orders are for."""
        waiting = self.runtime.gate.held
        for exchange in (self.selected, self._stepped):
            if exchange is not None and (exchange.id in waiting or self._is_stepping(exchange)):
                return exchange
        return next((passage.exchange for passage in waiting.values()), None)

    def _is_stepping(self, exchange: Exchange) -> bool:
        return exchange is self._stepped and exchange.ended is None

    def tick(self) -> None:
        """Show what is held and what is in flight."""
        target = self._target
        self.query_one(HeldLine).show(target, self.clock())
        self.query_one(InFlight).tick(target)

    def disabled_reason(self, action: str) -> str:
        """Why an order would do nothing now."""
        waiting = self.runtime.gate.held
        match action:
            case "hold":
                return self._objection_to_hold()
            case "resume_all" if not waiting:
                return "nothing is held"
            case "step" | "resume" | "abort" | "edit":
                target = self._target
                if target is None:
                    return "nothing is held; {holding.hold} holds the selected response while it is in flight"
                if target.id not in waiting:
                    return f"#{target.id} is on its way to the next stop"
                if action == "edit" and target.status is not None:
                    return f"#{target.id} has sent its headers; status and headers are edited before that"
            case "toggle_breakpoints" if not len(self.runtime.gate.breakpoints):
                return "there are no breakpoints; {holding.breakpoints} sets one"
        return super().disabled_reason(action)

    def _objection_to_hold(self) -> str:
        selected = self.selected
        if selected is None:
            return "there is nothing to hold: no exchange is selected"
        if selected.held_since is not None:
            return f"#{selected.id} is held already"
        if not self.runtime.gate.can_hold(selected):
            why = "has ended" if selected.ended else "does not pass the gate"
            return f"#{selected.id} {why}; only a response in flight can be held"
        return ""

    def action_hold(self) -> None:
        """Hold the selected response where it is."""
        if self.selected is not None:
            self._try(partial(operations.hold, self.runtime, self.selected.id, "hand"))

    def action_step(self) -> None:
        """Let one chunk go."""
        self._stepped = self._target
        self._order(Step(self.step))

    def action_step_size(self) -> None:
        """Ask how much a step is."""
        self.app.push_screen(
            Question("Step size", f"Bytes of a step, now {format_size(self.step)}:", _problem_of_step),
            self._set_step,
        )

    def action_resume(self) -> None:
        """Let it go on to its end."""
        self._order(Resume())
        self._stepped = None

    def action_resume_all(self) -> None:
        """Let all that is held go on."""
        operations.carry_out_all(self.runtime, Resume())
        self._stepped = None

    def action_abort(self) -> None:
        """Cut it with a reset."""
        self._order(Abort())
        self._stepped = None

    def action_breakpoints(self) -> None:
        """Show the breakpoints, and ask for another."""
        self.app.push_screen(BreakpointsScreen(self.runtime))

    def action_toggle_breakpoints(self) -> None:
        """Switch all breakpoints on or off."""
        breakpoints = self.runtime.gate.breakpoints
        operations.set_breakpoints_enabled(self.runtime, enabled=not breakpoints.are_on)
        self.say(f"breakpoints are {'on' if breakpoints.are_on else 'off'}; what is held stays held")

    def action_edit(self) -> None:
        """Edit status and headers, and let it go on."""
        target = self._target
        if target is not None:
            self.app.push_screen(EditScreen(self.runtime, target))

    def _order(self, order: Order) -> None:
        target = self._target
        if target is not None:
            self._try(partial(operations.carry_out, self.runtime, target.id, order))

    def _try(self, operation: Callable[[], None]) -> None:
        """Carry out an operation; the exchange may have been resumed or have ended meanwhile."""
        try:
            operation()
        except OperationError as error:
            self.say(str(error))

    def _set_step(self, size: str | None) -> None:
        if size is not None:
            self.step = parse_size(size.strip())


def _problem_of_step(text: str) -> str:
    """Why `text` is no step; empty if it is one."""
    try:
        size = parse_size(text.strip())
    except ValueError as error:
        return str(error)
    return "" if 1 <= size < 2**63 else "a step is at least one byte, and less than 8 EiB"
