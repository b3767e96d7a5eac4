"""The changes that were made in one panel, as command lines; undo and redo of those that concern rules."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from brokenreg.runtime.operations import Change, Operations, RulesChange

_MAX_CHANGES = 1000
_MAX_UNDO = 100
"""Each of them keeps the rules that were removed or replaced."""


@dataclass(slots=True, eq=False)
class Done:
    """A change that was made in the panel."""

    commands: tuple[str, ...]
    when: float
    """In seconds since the epoch."""
    is_undone: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the lines of a script: its commands, or comments if it was undone."""
        if not self.is_undone:
            return self.commands
        return tuple(f"# undone: {' '.join(each.splitlines())}" for each in self.commands)


class CommandLog:
    """The newest changes of the `operations` of a panel, oldest first.

    `clock` returns seconds since the epoch. A new change to the rules ends what can be redone.
    """

    def __init__(self, operations: Operations, clock: Callable[[], float]) -> None:
        self._operations = operations
        self._clock = clock
        self._done: deque[Done] = deque(maxlen=_MAX_CHANGES)
        self._undoable: deque[tuple[Done, RulesChange]] = deque(maxlen=_MAX_UNDO)
        self._undone: deque[tuple[Done, RulesChange]] = deque(maxlen=_MAX_UNDO)
        operations.on_change = self._note

    def __iter__(self) -> Iterator[Done]:
        return iter(self._done)

    def __len__(self) -> int:
        return len(self._done)

    @property
    def newest(self) -> Done | None:
        """Return the latest change, or None."""
        return self._done[-1] if self._done else None

    def undo(self) -> str:
        """Undo the last change to the rules, and return its command.

        Raise `RefusedError` if the same rules were changed since. The change before it is then undone next.
        """
        done, change = self._undoable.pop()
        self._operations.restore_rules(change)
        done.is_undone = True
        self._undone.append((done, change))
        return done.commands[-1]

    def redo(self) -> str:
        """Redo what was undone last, and return its command. Raise `RefusedError` as `undo` does."""
        done, change = self._undone.pop()
        self._operations.restore_rules(change.reverse)
        done.is_undone = False
        self._undoable.append((done, change))
        return done.commands[-1]

    @property
    def next_undo(self) -> str:
        """Return the command that `undo` would undo, or an empty string."""
        return self._undoable[-1][0].commands[-1] if self._undoable else ""

    @property
    def next_redo(self) -> str:
        """Return the command that `redo` would redo, or an empty string."""
        return self._undone[-1][0].commands[-1] if self._undone else ""

    def _note(self, change: Change) -> None:
        done = Done(change.commands, self._clock())
        self._done.append(done)
        if change.rules is not None:
            self._undoable.append((done, change.rules))
            self._undone.clear()


def script(changes: CommandLog, control_url: str | None) -> str:
    """Return a shell script of all commands, oldest first, for the control API at that address."""
    url = control_url or "http://127.0.0.1:8081"
    without = [] if control_url else ["# this brokenreg runs with --control off: set the address of another"]
    lines = [line for each in changes for line in each.lines]
    return "\n".join(["#!/bin/sh", "set -e", *without, f"export BROKENREG_URL={url}", "", *lines, ""])
