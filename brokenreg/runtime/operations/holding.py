"""Operations on responses in flight (hold, resume, step, abort, edit) and on breakpoints."""

from __future__ import annotations

from collections.abc import Callable

from brokenreg.gate.breakpoints import Breakpoint
from brokenreg.gate.edits import EditableHead
from brokenreg.gate.passage import Order
from brokenreg.runtime.errors import InvalidError, Kind, NotFoundError, operation_errors
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import FilterError


def hold(runtime: Runtime, exchange_id: int, by: str, at: int | None = None) -> None:
    """Hold an exchange in flight where it is, or at `HEADERS` or a byte of the body. `by` names the user."""
    with operation_errors():
        runtime.gate.hold(exchange_id, by, at)


def carry_out(runtime: Runtime, exchange_id: int, order: Order) -> None:
    """Resume, step or abort a held exchange."""
    with operation_errors():
        runtime.gate.order(exchange_id, order)


def carry_out_all(
    runtime: Runtime, order: Order, matches: Callable[[Exchange], bool] = lambda _: True
) -> tuple[list[Exchange], list[Exchange]]:
    """Resume, step or abort all held exchanges that match. Return those, and those it was not valid for."""
    return runtime.gate.order_all(order, matches)


def waiting_head(runtime: Runtime, exchange_id: int) -> EditableHead:
    """Return the status and headers of an exchange that is held before they are sent."""
    with operation_errors():
        return runtime.gate.head(exchange_id)


def edit(runtime: Runtime, exchange_id: int, head: EditableHead) -> None:
    """Replace the status and headers of an exchange that is held before they are sent. It stays held."""
    with operation_errors():
        runtime.gate.edit(exchange_id, head)


def add_breakpoint(runtime: Runtime, expression: str) -> Breakpoint:
    """Hold every response that a filter matches, once its head is ready. Enables all breakpoints."""
    try:
        return runtime.gate.breakpoints.add(expression)
    except FilterError as error:
        raise InvalidError(f"expression: {error}", "expression", str(error)) from None


def remove_breakpoint(runtime: Runtime, breakpoint_id: int) -> None:
    """Remove a breakpoint. What is held stays held."""
    if not runtime.gate.breakpoints.remove(breakpoint_id):
        raise NotFoundError(Kind.BREAKPOINT, breakpoint_id)


def clear_breakpoints(runtime: Runtime) -> None:
    """Remove all breakpoints. What is held stays held."""
    runtime.gate.breakpoints.clear()


def set_breakpoints_enabled(runtime: Runtime, *, enabled: bool) -> None:
    """Enable or disable all breakpoints. What is held stays held."""
    runtime.gate.breakpoints.are_on = enabled
