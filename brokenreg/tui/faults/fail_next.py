"""Makes the next request like an exchange fail, immediately or after dialogues."""

from __future__ import annotations

from functools import partial

from textual.widget import Widget

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.rules.rule import FieldError, Rule
from brokenreg.rules.rule_from_exchange import MAX_SEARCHED, no_effect_reason
from brokenreg.runtime.errors import OperationError
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.dialogues import warn
from brokenreg.tui.faults.arming import Arming, next_like
from brokenreg.tui.faults.choice import fault_choice
from brokenreg.tui.faults.form import RuleForm
from brokenreg.tui.faults.overrides import usual
from brokenreg.tui.faults.seen import seen_in
from brokenreg.tui.faults.words import faults_words, match_words


class FailNext:
    """Adds rules that apply once to a request like that of an exchange, for a widget that shows exchanges."""

    def __init__(self, widget: Widget, log: TrafficLog, arming: Arming) -> None:
        self._widget = widget
        self._log = log
        self._arming = arming

    def arm(self, exchange: Exchange) -> None:
        """Add the rule with the fault that was used last, unless it would have no effect."""
        rule = self._rule(exchange, self._arming.last_fault)
        why = None if rule is None else no_effect_reason(rule.fault, exchange)
        if why is None:
            self._add(exchange, rule)
        else:
            warn(self._widget, f"{why}; {{traffic.fail-next-with}} chooses another fault")

    def choose(self, exchange: Exchange) -> None:
        """Let the user choose the fault and edit the rule."""
        self._widget.app.push_screen(fault_choice(), partial(self._edit, exchange))

    def _edit(self, exchange: Exchange, name: str | None) -> None:
        rule = None if name is None else self._rule(exchange, usual(name))
        if name is not None and rule is not None:
            form = RuleForm(CATALOGUE[name], rule, like=exchange, seen=seen_in(self._log))
            self._widget.app.push_screen(form, partial(self._add, exchange))

    def _rule(self, exchange: Exchange, fault: Fault) -> Rule | None:
        try:
            return next_like(exchange, fault, self._log.newest(MAX_SEARCHED))
        except FieldError as error:
            warn(self._widget, str(error))
            return None

    def _add(self, exchange: Exchange, rule: Rule | None) -> None:
        if rule is None:
            return
        try:
            self._arming.fail_next(rule, exchange.target.namespace)
        except OperationError as error:
            warn(self._widget, str(error))
            return
        told = f"the next similar request fails with {faults_words(rule)}: {match_words(rule)}"
        if exchange.target.faults:
            told += "; the fault in its path is evaluated first"
        self._widget.app.notify(told, markup=False)
