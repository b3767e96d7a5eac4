"""What a rule that strikes lends to its faults for one exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Licence:
    """Shared by the faults of one rule that strike together.

    `draw` is 64 bits that depend on the seed and on what is asked, never on when; `memory` is the rule's own,
    kept between exchanges; `faults` is how many they are.
    """

    draw: int
    memory: dict[Any, Any]
    faults: int
    revoke: Callable[[], None]
    _unused: int = field(default=0, init=False)

    def give_back(self) -> None:
        """One of the faults changes nothing; if that is true of all, the strike does not count."""
        self._unused += 1
        if self._unused == self.faults:
            self.revoke()
