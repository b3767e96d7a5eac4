"""How often the panels of a process refresh: the more there are, the less often each of them does."""

from __future__ import annotations


class Tempo:
    """Counts the panels that are shown. They share an event loop with the registry."""

    def __init__(self) -> None:
        self._panels = 0

    def join(self) -> None:
        """Count another panel, until it calls `leave`."""
        self._panels += 1

    def leave(self) -> None:
        """Count a panel no more."""
        self._panels -= 1

    @property
    def every(self) -> int:
        """Return of how many ticks a panel shows one."""
        return max(1, self._panels)


TEMPO = Tempo()
"""That of all panels in this process."""
