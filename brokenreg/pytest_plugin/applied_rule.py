"""A rule while a block of a test runs, and whether it was applied."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from brokenreg.client import Client, ControlError
from brokenreg.client.documents import Rule, Verdict
from brokenreg.client.request_documents import NewRule


class AppliedRule:
    """Adds a rule at the start of a block and removes it at the end.

    Raise `AssertionError` at the end if it was not applied as often as `times` says, or at least once, unless
    it is optional. `settle` waits until exchanges have ended. `failed` is called before the rule of a failed
    test is removed, to keep what became of it. It returns a text about the exchanges nearest to a verdict.
    `namespace` is that of the rule; by default that of the client.
    """

    def __init__(
        self,
        client: Client,
        rule: NewRule,
        settle: Callable[[], object],
        failed: Callable[[Verdict], str],
        namespace: str | None = None,
    ) -> None:
        self._client = client
        self._rule = rule
        self._settle = settle
        self._failed = failed
        self._namespace = namespace
        self._added: Rule | None = None

    def __enter__(self) -> Rule:
        __tracebackhide__ = True
        try:
            self._added = self._client.add_rule(self._rule, self._namespace)
        except ControlError as error:
            raise error.with_traceback(
                None
            ) from None  # where the client found it says nothing about the test
        return self._added

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        try:
            problem, nearest = self._end(has_failed=error is not None)
        except ControlError as lost:
            if error is None:
                raise lost.with_traceback(None) from None
            error.add_note(str(lost))  # the error of the test comes first
            return
        if problem and error is not None:
            error.add_note(problem)  # probably the reason for it
        elif problem:
            raise AssertionError(f"{problem}{nearest}")

    def _end(self, *, has_failed: bool) -> tuple[str, str]:
        """Remove the rule, and return why it was not applied as often as it says, and the nearest exchanges.

        Both are empty if it was. Raise `ControlError`.
        """
        assert self._added is not None  # noqa: S101 - the block was entered
        number = self._added["id"]
        try:
            self._settle()
            verdict = self._client.judge_rule(number, self._namespace)
            is_good = verdict["met"] or bool(self._rule.get("optional"))
            nearest = "" if is_good and not has_failed else self._failed(verdict)
        finally:
            self._client.remove_rule(number, self._namespace)
        if is_good:
            return "", ""
        name = self._rule.get("name") or self._rule["fault"]
        return f"rule {name}: applied: got {verdict['got']}, want {verdict['wanted']}", nearest
