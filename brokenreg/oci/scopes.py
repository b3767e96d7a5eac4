"""Scopes of the token protocol: `repository:library/app:pull,push` (CNCF distribution, "Token Scope")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ALL_ACTIONS = "*"
"""Stands for all actions."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The allowed actions on one resource. The name is spelled as the client spelled it."""

    kind: str
    name: str
    actions: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Scope | None:
        """Return a scope, or None if `text` is not one. Its name may contain colons (`host:port/name`)."""
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        if not kind or not name:
            return None
        # A class, as in `repository(plugin)`, does not affect the allowed actions.
        kind = kind.partition("(")[0]
        return cls(kind, name, tuple(dict.fromkeys(action for action in actions.split(",") if action)))

    @classmethod
    def repository(cls, name: str, *actions: str) -> Scope:
        return cls("repository", name, actions)

    def covers(self, wanted: Scope) -> bool:
        """Return whether this scope covers `wanted`."""
        if (self.kind, self.name) != (wanted.kind, wanted.name):
            return False
        return ALL_ACTIONS in self.actions or set(wanted.actions) <= set(self.actions)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(self.actions)}"


CATALOG = Scope("registry", "catalog", (ALL_ACTIONS,))
"""The scope that listing all repositories requires."""


def parse_scopes(texts: Iterable[str]) -> list[Scope]:
    """Return the scopes in all `scope` parameters. One may contain several, separated by spaces.

    Invalid scopes are ignored.
    """
    parsed = (Scope.parse(each) for text in texts for each in text.split())
    return [scope for scope in parsed if scope is not None]


def is_granted(wanted: Iterable[Scope], granted: Iterable[Scope]) -> bool:
    """Return whether all `wanted` scopes are covered."""
    have = list(granted)
    return all(any(each.covers(scope) for each in have) for scope in wanted)
