"""Scopes of the token protocol: `repository:library/app:pull,push` (CNCF distribution, "Token Scope")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ALL_ACTIONS = "*"
"""In place of actions: all of them."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What somebody may do with one resource; the name is as the client spells it."""

    kind: str
    name: str
    actions: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Scope | None:
        """None for what is no scope. The name may contain colons (`host:port/name`)."""
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        if not kind or not name:
            return None
        # A class, as in `repository(plugin)`, changes nothing in what may be done.
        kind = kind.partition("(")[0]
        return cls(kind, name, tuple(dict.fromkeys(action for action in actions.split(",") if action)))

    @classmethod
    def repository(cls, name: str, *actions: str) -> Scope:
        return cls("repository", name, actions)

    def covers(self, wanted: Scope) -> bool:
        """Whether whoever may do this may do what is wanted as well."""
        if (self.kind, self.name) != (wanted.kind, wanted.name):
            return False
        return ALL_ACTIONS in self.actions or set(wanted.actions) <= set(self.actions)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(self.actions)}"


CATALOG = Scope("registry", "catalog", (ALL_ACTIONS,))
"""What listing all repositories needs."""


def parse_scopes(texts: Iterable[str]) -> list[Scope]:
    """Those of all `scope` parameters; one may hold several, with spaces between.

    What is no scope is left out.
    """
    parsed = (Scope.parse(each) for text in texts for each in text.split())
    return [scope for scope in parsed if scope is not None]


def is_granted(wanted: Iterable[Scope], granted: Iterable[Scope]) -> bool:
    """Whether all that is wanted is covered."""
    have = list(granted)
    return all(any(each.covers(scope) for each in have) for scope in wanted)
