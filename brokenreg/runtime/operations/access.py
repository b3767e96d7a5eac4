"""What the holder of operations may do, and the only way from an operation to the runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from brokenreg.rules.rule_snapshots import RulesSnapshot
from brokenreg.runtime.errors import ReadOnlyError, operation_errors
from brokenreg.runtime.runtime import Runtime


class Access(StrEnum):
    """What a user may do with a running brokenreg."""

    FULL = "full"
    """Look at everything and change everything."""
    READ = "read"
    """Look at everything and change nothing."""


@dataclass(frozen=True, slots=True)
class RulesChange:
    """The rules before and after a change, in order to undo it."""

    before: RulesSnapshot
    after: RulesSnapshot

    @property
    def reverse(self) -> RulesChange:
        """Return the change that undoes this one."""
        return RulesChange(self.after, self.before)


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was made, as command lines that do the same. Without `rules`, it cannot be undone."""

    commands: tuple[str, ...]
    rules: RulesChange | None = None


class Changes:
    """The base of all groups of operations. It gives the runtime only to holders with full access.

    An operation gets the runtime from `_runtime` and from nowhere else, so none can change it unchecked.
    After each change, `on_change` is called with it, if it is set.
    """

    def __init__(self, runtime: Runtime | None, access: Access) -> None:
        """Without a runtime (for the traffic of a file), nothing can be changed."""
        self.on_change: Callable[[Change], None] | None = None
        self.__runtime = runtime
        self.__access = access
        self.__commands: list[str] | None = None

    @property
    def may_change(self) -> bool:
        """Return whether the holder may change anything. If not, every operation raises `ReadOnlyError`."""
        return self.__access is Access.FULL and self.__runtime is not None

    def require_change(self) -> None:
        """Raise `ReadOnlyError` if the holder may not change anything."""
        if not self.may_change:
            raise ReadOnlyError

    @property
    def _runtime(self) -> Runtime:
        """Return the runtime, in order to change it. Raise `ReadOnlyError`."""
        self.require_change()
        if self.__runtime is None:
            raise ReadOnlyError
        return self.__runtime

    @contextmanager
    def _changing(self, *namespaces: str) -> Iterator[list[str]]:
        """Report what the block does as one change, with the command lines that it adds to the list.

        With `namespaces`, it changes their rules and can be undone. An operation within the block adds its
        command lines to the same list. Nothing is reported if the block raises an error. It must not await.
        """
        if self.__commands is not None:
            yield self.__commands
            return
        rules, on_change = self._runtime.rules, self.on_change
        with operation_errors():
            before = rules.snapshot(namespaces if on_change else ())
        commands = self.__commands = []
        try:
            yield commands
        finally:
            self.__commands = None
            if (shared := self._runtime.shared_rules) is not None:
                shared.note_change()
        if on_change is not None:
            change = RulesChange(before, rules.snapshot(namespaces)) if namespaces else None
            on_change(Change(tuple(commands), change))

    def _changed(self, command: str) -> None:
        """Report a change that was made."""
        with self._changing() as commands:
            commands.append(command)
