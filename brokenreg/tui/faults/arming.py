"""What one key arms: a fault for the next request like one in the log."""

from __future__ import annotations

from collections.abc import Iterable

from brokenreg.faults.catalogue import Fault
from brokenreg.rules.rule import Rule, fault_of
from brokenreg.rules.rule_from_exchange import rule_from_exchange
from brokenreg.runtime.operations import Operations
from brokenreg.traffic.exchange import Exchange

_SOURCE = "panel, fail next"


class Arming:
    """The state of this key in one panel. `last_fault` is the fault for the next request."""

    def __init__(self, operations: Operations) -> None:
        self.last_fault: Fault = fault_of({"type": "error", "status": 503})
        self._operations = operations

    def fail_next(self, rule: Rule, namespace: str) -> None:
        """Evaluate a rule, such as `next_like` makes, before all others. Raise `OperationError`.

        Earlier rules of this kind that were applied are removed.
        """
        self._operations.fail_next(namespace, rule, _SOURCE)
        self.last_fault = rule.fault[0]


def next_like(exchange: Exchange, fault: Fault, newest: Iterable[Exchange]) -> Rule:
    """Return a rule that applies once to a request like that of `exchange`. Raise `FieldError`.

    `newest` are exchanges, the newest first, from which other names of a manifest are known.
    """
    return rule_from_exchange(exchange, (fault,), newest).model_copy(update={"times": 1})
