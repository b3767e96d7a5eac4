"""The operation that resets a namespace."""

from __future__ import annotations

from brokenreg.runtime.operations import command_lines
from brokenreg.runtime.operations.exchanges import ExchangeOperations
from brokenreg.runtime.operations.holding import HoldingOperations
from brokenreg.runtime.runtime import ALL_NAMESPACES


class ResetOperations(ExchangeOperations, HoldingOperations):
    """Operations on exchanges and breakpoints, and the reset of a namespace."""

    def reset(self, namespace: str) -> None:
        """Restore the initial rules, and clear counters, ended exchanges, leaked credentials and breakpoints.

        Images stay. Breakpoints hold responses of all namespaces, so they stay if the namespace has a name.
        """
        runtime = self._runtime
        is_all = namespace == ALL_NAMESPACES
        for each in runtime.rules.namespaces() if is_all else [namespace]:
            runtime.rules.reset(each)
        if is_all:
            runtime.rules.paths.reset_all()
        if is_all or not namespace:
            runtime.gate.breakpoints.clear()
        self.forget_traffic(namespace)
        self._changed(command_lines.was_reset(namespace))

    def forget_traffic(self, namespace: str) -> None:
        """Clear ended exchanges and leaked credentials."""
        trap, is_all = self._runtime.trap, namespace == ALL_NAMESPACES
        for each in trap.namespaces() if is_all else [namespace]:
            trap.reset(each)
        self.forget_exchanges(lambda exchange: is_all or exchange.target.namespace == namespace)
