"""A rule while a block of a test runs, and whether it was applied."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from brokenreg.client import Client
from brokenreg.client.documents import Rule
from brokenreg.client.request_documents import NewRule
from brokenreg.wording import counted


class AppliedRule:
    """Adds a rule at the start of a block and removes it at the end.

    Raise `AssertionError` at the end if it was not applied as often as `times` says, or at least once, unless
    it is optional. `settle` waits until exchanges have ended. `explain` is called before the rule of a failed
    test is removed, to keep what became of it.
    """

    def __init__(
        self, client: Client, rule: NewRule, settle: Callable[[], object], explain: Callable[[], object]
    ) -> None:
        self._client = client
        self._rule = rule
        self._settle = settle
        self._explain = explain
        self._added: Rule | None = None

    def __enter__(self) -> Rule:
        self._added = self._client.add_rule(self._rule)
        return self._added

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        assert self._added is not None  # noqa: S101 - the block was entered
        number = self._added["id"]
        try:
            self._settle()
            applied = next((each["applied"] for each in self._client.rules() if each["id"] == number), 0)
            wanted = 0 if self._rule.get("optional") else self._rule.get("times", 1)
            problem = self._problem(applied, wanted) if applied < wanted and error is None else ""
            if error is not None or problem:
                self._explain()
        finally:
            self._client.remove_rule(number)
        if problem:
            raise AssertionError(problem)

    def _problem(self, applied: int, wanted: int) -> str:
        name = self._rule.get("name") or self._rule["fault"]
        want = counted(wanted, "time")
        return f"the rule {name} was applied {counted(applied, 'time')}, want at least {want}"
