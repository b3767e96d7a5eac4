"""Where an exchange is that is shown among those of other replicas of a fleet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """The replica that has an exchange, and its id there. `is_elsewhere`: it is not the one that shows it."""

    replica: str
    number: int
    is_elsewhere: bool

    def __str__(self) -> str:
        return f"{self.replica}/{self.number}"
