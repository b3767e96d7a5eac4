"""What of the log the list shows, and how. Free of Textual."""

from __future__ import annotations

from dataclasses import dataclass, field

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import Filter
from brokenreg.tui.traffic.marks import Marks
from brokenreg.tui.traffic.noise import is_noise


def everything(exchange: Exchange) -> bool:
    """The filter of those who want none."""
    return True


@dataclass(frozen=True, slots=True)
class View:
    """What of the log is wanted, and how. `collapsed`, ids of first exchanges, and `marks` may change."""

    passes: Filter = everything
    is_grouped: bool = True
    hides_noise: bool = False
    collapsed: set[int] = field(default_factory=set)
    marks: Marks = field(default_factory=Marks)

    def hides(self, exchange: Exchange) -> bool:
        """Whether an exchange is noise that is not wanted."""
        return self.hides_noise and is_noise(exchange)

    def shows(self, exchange: Exchange) -> bool:
        """Whether an exchange is wanted."""
        return self.passes(exchange) and not self.hides(exchange)
