"""What is armed and disarmed with one key: the next one like this fails; all faults off."""

from __future__ import annotations

from collections.abc import Iterable

from brokenreg.faults.catalogue import Fault
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule, fault_of
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.rule_from_exchange import rule_from_exchange
from brokenreg.rules.scenario import MAX_RULES
from brokenreg.traffic.exchange import Exchange

_SOURCE = "panel, next like this"


class Arming:
    """One for each panel. `last_fault` is what the next one like this fails with."""

    def __init__(self, books: RuleBooks) -> None:
        self.last_fault: Fault = fault_of({"type": "error", "status": 503})
        self._books = books
        self._put_off: set[int] = set()
        """Ids of rules that were disabled with all others, the last time."""

    def fail_next(self, rule: Rule, namespace: str) -> None:
        """Ask a rule, such as `next_like` makes, before any other. Raise `FieldError`.

        Those of before that have struck are removed.
        """
        book = self._books.book(namespace)
        for active in [each for each in book if each.source == _SOURCE and not each.is_armed]:
            if active.rule.enabled:
                book.remove(active.id)
        book.move(book.add(rule, _SOURCE).id, -MAX_RULES)
        self.last_fault = rule.fault[0]

    def switch_all(self) -> tuple[int, bool]:
        """Disable every rule and override that may strike; if there is none, enable again what this disabled.

        How many it were, and whether they may strike now.
        """
        armed = [(book, active) for book, active in self._all() if active.is_armed]
        if armed:
            self._put_off = {active.id for _, active in armed}
            for book, active in armed:
                book.set_enabled(active.id, enabled=False)
            return len(armed), False
        off = {active.id for active in self.put_off()}
        self._put_off = set()
        for book, active in [each for each in self._all() if each[1].id in off]:
            book.set_enabled(active.id, enabled=True)
        return len(off), True

    @property
    def has_any(self) -> bool:
        """Whether there is anything to disable, or to enable again."""
        return any(active.is_armed for _, active in self._all()) or bool(self.put_off())

    def put_off(self) -> list[ActiveRule]:
        """What was disabled with all others, and is still there and disabled."""
        return [active for _, active in self._all() if active.id in self._put_off and not active.rule.enabled]

    def _all(self) -> list[tuple[RuleBook, ActiveRule]]:
        books = map(self._books.book, self._books.namespaces())
        return [(book, active) for book in books for active in book]


def next_like(exchange: Exchange, fault: Fault, newest: Iterable[Exchange]) -> Rule:
    """Return a rule that applies once to a request like that of `exchange`. Raise `FieldError`.

    `newest` are exchanges, the newest first, from which other names of a manifest are known.
    """
    return rule_from_exchange(exchange, (fault,), newest).model_copy(update={"times": 1})
