"""Operations on responses in flight (hold, resume, step, abort, edit) and on breakpoints."""

from __future__ import annotations

from collections.abc import Callable

from brokenreg.gate.breakpoints import Breakpoint
from brokenreg.gate.edits import EditableHead
from brokenreg.gate.passage import Order
from brokenreg.runtime.errors import InvalidError, Kind, NotFoundError, operation_errors
from brokenreg.runtime.operations import command_lines
from brokenreg.runtime.operations.access import Changes
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import FilterError


class HoldingOperations(Changes):
    """Operations on responses in flight and on breakpoints."""

    def hold(self, exchange_id: int, by: str, at: int | None = None) -> None:
        """Hold an exchange in flight where it is, or at `HEADERS` or a byte of the body.

        `by` names the user.
        """
        with operation_errors():
            self._runtime.gate.hold(exchange_id, by, at)
        self._changed(command_lines.held(exchange_id, at))

    def carry_out(self, exchange_id: int, order: Order) -> None:
        """Resume, step or abort a held exchange."""
        with operation_errors():
            self._runtime.gate.order(exchange_id, order)
        self._changed(command_lines.ordered(order, exchange_id))

    def carry_out_all(
        self, order: Order, matches: Callable[[Exchange], bool] = lambda _: True
    ) -> tuple[list[Exchange], list[Exchange]]:
        """Resume, step or abort all held exchanges that match.

        Return those, and those for which the order was not valid.
        """
        done, skipped = self._runtime.gate.order_all(order, matches)
        self._changed(command_lines.ordered(order))
        return done, skipped

    def edit(self, exchange_id: int, head: EditableHead) -> None:
        """Replace the status and headers of an exchange that is held before they are sent. It stays held."""
        with operation_errors():
            self._runtime.gate.edit(exchange_id, head)
        self._changed(command_lines.head_edited(exchange_id))

    def add_breakpoint(self, expression: str) -> Breakpoint:
        """Hold every response that a filter matches, once its head is ready. Enables all breakpoints."""
        try:
            added = self._runtime.gate.breakpoints.add(expression)
        except FilterError as error:
            raise InvalidError(f"expression: {error}", "expression", str(error)) from None
        self._changed(command_lines.breakpoint_added(expression))
        return added

    def remove_breakpoint(self, breakpoint_id: int) -> None:
        """Remove a breakpoint. What is held stays held."""
        if not self._runtime.gate.breakpoints.remove(breakpoint_id):
            raise NotFoundError(Kind.BREAKPOINT, breakpoint_id)
        self._changed(command_lines.breakpoint_removed(breakpoint_id))

    def clear_breakpoints(self) -> None:
        """Remove all breakpoints. What is held stays held."""
        self._runtime.gate.breakpoints.clear()
        self._changed(command_lines.breakpoints_cleared())

    def set_breakpoints_enabled(self, *, enabled: bool) -> None:
        """Enable or disable all breakpoints. What is held stays held."""
        self._runtime.gate.breakpoints.are_on = enabled
        self._changed(command_lines.breakpoints_enabled(enabled=enabled))
