"""Failures of calls between replicas. The message of each is one line."""

from __future__ import annotations

from collections.abc import Iterable

from brokenreg.storage.errors import StorageError
from brokenreg.wording import listed, quoted


class CallRefusedError(Exception):
    """A received call has no valid signature; the message says what is wrong with it."""


class NameTakenError(StorageError):
    """Another live replica has the same name."""


class ReplicaError(Exception):
    """A call to another replica failed."""


class NoReplicaError(ReplicaError):
    """No live replica has that name. `live` are the names of those that exist."""

    def __init__(self, name: str, live: Iterable[str]) -> None:
        super().__init__(f"no replica {quoted(name)}: use {listed(['*', *live])}")


class ReplicaLostError(ReplicaError):
    """The connection was lost before the response, so the call may have been carried out."""


class ReplicaEndedError(ReplicaError):
    """The other replica refuses connections: its process has ended, and may start again."""


class ReplicaSilentError(ReplicaError):
    """The other replica did not respond within a time limit."""


class UntrustedReplicaError(ReplicaError):
    """The other side did not prove that it has the key of the fleet, or its response is too large."""
