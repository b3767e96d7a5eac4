"""Operations on rules and scenarios."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import groupby

from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import FieldError, Rule
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.rule_snapshots import ChangedSinceError
from brokenreg.rules.scenario import MAX_RULES, ScenarioError, SourcedScenario
from brokenreg.runtime.errors import Kind, NotFoundError, RefusedError, operation_errors
from brokenreg.runtime.lookups import find_rule
from brokenreg.runtime.operations import command_lines
from brokenreg.runtime.operations.access import Changes, RulesChange
from brokenreg.runtime.preparation import check_registry, prepare_scenario


class RuleOperations(Changes):
    """Operations on the rules of a namespace, and on those of all namespaces."""

    def add_rule(self, namespace: str, rule: Rule, source: str, *, first: bool = False) -> ActiveRule:
        """Add a rule, to be evaluated last or first. `source` says where it is from."""
        with self._changing(namespace) as commands, operation_errors():
            book = self._runtime.rules.book(namespace)
            active = book.add(rule, source)
            if first:
                book.move(active.id, -MAX_RULES)
            commands.append(command_lines.rule_added(namespace, rule, first=first))
            return active

    def fail_next(self, namespace: str, rule: Rule, source: str) -> ActiveRule:
        """Add a rule, to be evaluated first. Rules with the same source that were used up are removed."""
        with self._changing(namespace):
            for active in self._runtime.rules.book(namespace):
                if active.source == source and active.rule.enabled and not active.is_armed:
                    self.remove_rule(namespace, active.id)
            return self.add_rule(namespace, rule, source, first=True)

    def replace_rule(self, namespace: str, rule_id: int, rule: Rule, source: str) -> ActiveRule:
        """Replace a rule. Its counters start at 0."""
        with self._changing(namespace) as commands, operation_errors():
            active = self._runtime.rules.book(namespace).replace(rule_id, rule, source)
            if active is None:
                raise NotFoundError(Kind.RULE, rule_id)
            commands.append(command_lines.rule_replaced(namespace, rule_id, rule))
            return active

    def set_rule_enabled(self, namespace: str, rule_id: int, *, enabled: bool) -> None:
        """Enable or disable a rule. Its counters stay."""
        find_rule(self._runtime, namespace, rule_id)
        with self._changing(namespace) as commands:
            self._runtime.rules.book(namespace).set_enabled(rule_id, enabled=enabled)
            commands.append(command_lines.rules_enabled(namespace, [rule_id], enabled=enabled))

    def switch_all_rules(self) -> tuple[int, bool]:
        """Disable every armed rule and override. If no rule is armed, enable those that this disabled last.

        Return how many there were, and whether they are enabled now.
        """
        rules = self._runtime.rules
        with self._changing(*rules.namespaces()) as commands:
            switched, is_on = rules.switch_all()
            for namespace, group in groupby(switched, key=lambda each: each[0]):
                ids = [active.id for _, active in group]
                commands.append(command_lines.rules_enabled(namespace, ids, enabled=is_on))
        return len(switched), is_on

    def move_rule(self, namespace: str, rule_id: int, by: int) -> None:
        """Move a rule down by that many positions (up if negative), among the rules or the overrides."""
        find_rule(self._runtime, namespace, rule_id)
        with self._changing(namespace) as commands:
            self._runtime.rules.book(namespace).move(rule_id, by)
            commands.append(command_lines.rule_moved(namespace, rule_id, by))

    def remove_rule(self, namespace: str, rule_id: int) -> None:
        """Remove a rule."""
        find_rule(self._runtime, namespace, rule_id)
        with self._changing(namespace) as commands:
            self._runtime.rules.book(namespace).remove(rule_id)
            commands.append(command_lines.rule_removed(namespace, rule_id))

    def clear_rules(self, namespace: str) -> None:
        """Remove all rules of a namespace."""
        with self._changing(namespace) as commands, operation_errors():
            self._runtime.rules.book(namespace).clear()
            commands.append(command_lines.rules_cleared(namespace))

    def restore_rules(self, change: RulesChange) -> None:
        """Undo a change to the rules: they get back their places and counters.

        Raise `RefusedError` if somebody has changed the same rules since.
        """
        try:
            self._runtime.rules.restore(change.before, change.after)
        except ChangedSinceError as error:
            raise RefusedError(str(error)) from None

    async def load_scenario(
        self, namespace: str, read: Callable[[], SourcedScenario], source: str = ""
    ) -> RuleBook:
        """Replace all rules and expectations of a namespace with a scenario; an invalid one changes nothing.

        `read` is called and the rules are prepared in threads, because a thousand rules take half a second.
        `source` is the beginning of the message about an invalid rule.
        """
        runtime = self._runtime
        with operation_errors():
            sourced = await asyncio.to_thread(read)
            try:
                check_registry(runtime.settings, sourced.scenario)
                prepared = await asyncio.to_thread(runtime.rules.book(namespace).prepare, sourced)
            except FieldError as error:
                message = f"{source}: {error}" if source else str(error)
                raise ScenarioError(message, error.where) from None
            await prepare_scenario(runtime.log, sourced.scenario)
            book = runtime.rules.book(namespace)  # a reset may have replaced the book in the meantime
        with self._changing(namespace) as commands:
            book.replace_all(sourced, prepared)
            commands.append(command_lines.scenario_loaded(namespace, source))
        return book
