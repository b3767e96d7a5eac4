"""Operations on rules and scenarios."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from brokenreg.config.settings import Settings
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import FieldError, Rule
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.scenario import MAX_RULES, Scenario, ScenarioError, SourcedScenario
from brokenreg.runtime.errors import Kind, NotFoundError, operation_errors
from brokenreg.runtime.operations.filters import prepare_scenario
from brokenreg.runtime.runtime import Runtime


def add_rule(runtime: Runtime, namespace: str, rule: Rule, source: str, *, first: bool = False) -> ActiveRule:
    """Add a rule to a namespace, to be evaluated last or first. `source` says where it is from."""
    with operation_errors():
        book = runtime.rules.book(namespace)
        active = book.add(rule, source)
        if first:
            book.move(active.id, -MAX_RULES)
        return active


def replace_rule(runtime: Runtime, namespace: str, rule_id: int, rule: Rule, source: str) -> ActiveRule:
    """Replace a rule. Its counters start at 0."""
    with operation_errors():
        active = runtime.rules.book(namespace).replace(rule_id, rule, source)
    if active is None:
        raise NotFoundError(Kind.RULE, rule_id)
    return active


def find_rule(runtime: Runtime, namespace: str, rule_id: int) -> ActiveRule:
    """Return a rule. Raise `NotFoundError`."""
    with operation_errors():
        active = runtime.rules.book(namespace).get(rule_id)
    if active is None:
        raise NotFoundError(Kind.RULE, rule_id)
    return active


def set_rule_enabled(runtime: Runtime, namespace: str, rule_id: int, *, enabled: bool) -> None:
    """Enable or disable a rule. Its counters stay."""
    find_rule(runtime, namespace, rule_id)
    runtime.rules.book(namespace).set_enabled(rule_id, enabled=enabled)


def move_rule(runtime: Runtime, namespace: str, rule_id: int, by: int) -> None:
    """Move a rule down by that many positions (up if negative), among the rules or the overrides."""
    find_rule(runtime, namespace, rule_id)
    runtime.rules.book(namespace).move(rule_id, by)


def remove_rule(runtime: Runtime, namespace: str, rule_id: int) -> None:
    """Remove a rule."""
    find_rule(runtime, namespace, rule_id)
    runtime.rules.book(namespace).remove(rule_id)


def clear_rules(runtime: Runtime, namespace: str) -> None:
    """Remove all rules of a namespace."""
    with operation_errors():
        runtime.rules.book(namespace).clear()


def check_registry(settings: Settings, scenario: Scenario) -> None:
    """Raise `FieldError` if the registry lacks what a scenario needs."""
    if scenario.registry is not None:
        has_tls = settings.tls is not None or settings.cert is not None
        scenario.registry.check(settings.auth, has_tls=has_tls)


async def load_scenario(
    runtime: Runtime, namespace: str, read: Callable[[], SourcedScenario], source: str = ""
) -> RuleBook:
    """Replace all rules and expectations of a namespace with a scenario; an invalid one changes nothing.

    `read` is called and the rules are prepared in threads, because a thousand rules take half a second.
    `source` is the beginning of the message about an invalid rule.
    """
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
    book.replace_all(sourced, prepared)
    return book
