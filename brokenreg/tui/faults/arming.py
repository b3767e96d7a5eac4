"""What one key arms and disarms: a fault for the next request like one in the log, or all rules."""

from __future__ import annotations

from collections.abc import Iterable

from brokenreg.faults.catalogue import Fault
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule, fault_of
from brokenreg.rules.rule_from_exchange import rule_from_exchange
from brokenreg.runtime import operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange

_SOURCE = "panel, fail next"


class Arming:
    """The state of these keys in one panel. `last_fault` is the fault for the next request."""

    def __init__(self, runtime: Runtime) -> None:
        self.last_fault: Fault = fault_of({"type": "error", "status": 503})
        self._runtime = runtime
        self._disabled: set[int] = set()
        """Ids of the rules that `switch_all` disabled."""

    def fail_next(self, rule: Rule, namespace: str) -> None:
        """Evaluate a rule, such as `next_like` makes, before all others. Raise `OperationError`.

        Earlier rules of this kind that were applied are removed.
        """
        for where, active in self._all():
            is_spent = active.rule.enabled and not active.is_armed
            if where == namespace and active.source == _SOURCE and is_spent:
                operations.remove_rule(self._runtime, namespace, active.id)
        operations.add_rule(self._runtime, namespace, rule, _SOURCE, first=True)
        self.last_fault = rule.fault[0]

    def switch_all(self) -> tuple[int, bool]:
        """Disable every armed rule and override; if there is none, enable those that this disabled.

        Return how many there were, and whether they are enabled now.
        """
        armed = [each for each in self._all() if each[1].is_armed]
        switched = armed or self._disabled_rules()
        self._disabled = {active.id for _, active in armed}
        for namespace, active in switched:
            operations.set_rule_enabled(self._runtime, namespace, active.id, enabled=not armed)
        return len(switched), not armed

    @property
    def has_any(self) -> bool:
        """Return whether there are rules to disable, or to enable again."""
        return any(active.is_armed for _, active in self._all()) or bool(self._disabled_rules())

    @property
    def disabled_ids(self) -> set[int]:
        """Return the ids of the rules that `switch_all` would enable."""
        return {active.id for _, active in self._disabled_rules()}

    def _disabled_rules(self) -> list[tuple[str, ActiveRule]]:
        return [each for each in self._all() if each[1].id in self._disabled and not each[1].rule.enabled]

    def _all(self) -> list[tuple[str, ActiveRule]]:
        """Return all rules with their namespaces."""
        rules = self._runtime.rules
        return [(name, active) for name in rules.namespaces() for active in rules.book(name)]


def next_like(exchange: Exchange, fault: Fault, newest: Iterable[Exchange]) -> Rule:
    """Return a rule that applies once to a request like that of `exchange`. Raise `FieldError`.

    `newest` are exchanges, the newest first, from which other names of a manifest are known.
    """
    return rule_from_exchange(exchange, (fault,), newest).model_copy(update={"times": 1})
