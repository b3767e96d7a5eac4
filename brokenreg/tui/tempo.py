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

    def pause(self, alone: float, work: float) -> float:
        """Return how long a panel pauses after some work that nobody waits for, in seconds.

        A panel that is `alone` pauses that long. Several together use at most a third of the time.
        """
        return alone if self._panels < 2 else 3 * self._panels * work


TEMPO = Tempo()
"""That of all panels in this process."""
