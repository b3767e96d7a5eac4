"""Documents that all processes with the same database share: the rules of a namespace, the breakpoints.

A process publishes a whole document, and only if nobody has published another since the one that it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from brokenreg.storage.changes import Changes, StateChanged
from brokenreg.storage.database import Connection

_NEXT_REVISION = """
INSERT INTO shared_states (name, revision, body) VALUES ('', 1, '')
ON CONFLICT (name) DO UPDATE SET revision = shared_states.revision + 1 RETURNING revision
"""
# The row without a name has the newest revision, which stays when a document is deleted.
_ADD = "INSERT INTO shared_states (name, revision, body) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING"
_REPLACE = "UPDATE shared_states SET revision = ?, body = ? WHERE name = ? AND revision = ?"
_DELETE = "DELETE FROM shared_states WHERE name = ? AND revision = ?"


class StateConflictError(Exception):
    """Another process has published another version of a document since."""


@dataclass(frozen=True, slots=True)
class SharedState:
    """A document. `revision` increases with every publication of any document."""

    revision: int
    body: str


@dataclass(frozen=True, slots=True)
class Publication:
    """A document to publish, or None to delete it. `known` is the revision that it replaces; 0 for none."""

    name: str
    known: int
    body: str | None


def publish(connection: Connection, publications: Sequence[Publication]) -> Changes:
    """Publish all of these documents or none. Raise `StateConflictError`."""
    ((revision,),) = connection.execute(_NEXT_REVISION).fetchall()
    for each in publications:
        if each.body is None:
            cursor = connection.execute(_DELETE, (each.name, each.known))
        elif not each.known:
            cursor = connection.execute(_ADD, (each.name, revision, each.body))
        else:
            cursor = connection.execute(_REPLACE, (revision, each.body, each.name, each.known))
        if cursor.rowcount != 1:
            raise StateConflictError(each.name)
    return [StateChanged(each.name, revision, each.body) for each in publications]


class SharedStates:
    """The documents in memory."""

    def __init__(self) -> None:
        self.revision = 0
        """The newest revision. This process has all documents up to it."""
        self.changed: Callable[[str], None] = lambda _: None
        """Called with the name of a document that was published or deleted, by whichever process."""
        self._states: dict[str, SharedState] = {}

    def get(self, name: str) -> SharedState | None:
        """Return a document; None if it was never published, or was deleted."""
        return self._states.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def read(self, connection: Connection) -> None:
        """Add everything that the database has."""
        for name, revision, body in connection.execute("SELECT name, revision, body FROM shared_states"):
            self.revision = max(self.revision, revision)
            if name:
                self._states[name] = SharedState(revision, body)

    def apply(self, change: StateChanged) -> None:
        """Follow a committed change."""
        self.revision = change.revision
        if change.body is None:
            self._states.pop(change.name, None)
        else:
            self._states[change.name] = SharedState(change.revision, change.body)
        self.changed(change.name)

    def replace(self, other: SharedStates) -> None:
        """Take over everything from `other`."""
        names = {*self._states, *other._states}
        changed = [name for name in names if self._states.get(name) != other._states.get(name)]
        self._states, self.revision = other._states, other.revision
        for name in changed:
            self.changed(name)
