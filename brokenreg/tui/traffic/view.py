"""The settings of the list: which exchanges of the log it shows, and how. Does not use Textual."""

from __future__ import annotations

from dataclasses import dataclass, field

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filter_keys import Filter
from brokenreg.tui.traffic.marks import Marks
from brokenreg.tui.traffic.routine import is_routine


def everything(exchange: Exchange) -> bool:
    """Match every exchange: the default filter."""
    return True


@dataclass(frozen=True, slots=True)
class View:
    """Which exchanges to show, and how. `collapsed` (ids of first exchanges) and `marks` may change."""

    passes: Filter = everything
    is_grouped: bool = True
    hides_routine: bool = False
    collapsed: set[int] = field(default_factory=set)
    marks: Marks = field(default_factory=Marks)

    def hides(self, exchange: Exchange) -> bool:
        """Return whether an exchange is hidden as routine."""
        return self.hides_routine and is_routine(exchange)

    def shows(self, exchange: Exchange) -> bool:
        """Return whether to show an exchange."""
        return self.passes(exchange) and not self.hides(exchange)
