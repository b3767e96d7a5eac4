"""Operations that reset a namespace, or delete exchanges from the log."""

from __future__ import annotations

from collections.abc import Callable

from brokenreg.runtime.operations.holding import clear_breakpoints
from brokenreg.runtime.runtime import ALL_NAMESPACES, Runtime
from brokenreg.traffic.exchange import Exchange


def reset(runtime: Runtime, namespace: str) -> None:
    """Restore the initial rules, and clear counters, ended exchanges, leaked credentials and breakpoints.

    Images stay. Breakpoints hold responses of all namespaces, so they stay if the namespace has a name.
    """
    is_all = namespace == ALL_NAMESPACES
    for each in runtime.rules.namespaces() if is_all else [namespace]:
        runtime.rules.reset(each)
    for each in runtime.trap.namespaces() if is_all else [namespace]:
        runtime.trap.reset(each)
    if is_all or not namespace:
        clear_breakpoints(runtime)
    forget_exchanges(runtime, lambda exchange: is_all or exchange.target.namespace == namespace)


def forget_exchanges(runtime: Runtime, matches: Callable[[Exchange], bool]) -> None:
    """Delete the exchanges that have ended and match."""
    runtime.log.forget(lambda exchange: exchange.ended is not None and matches(exchange))
