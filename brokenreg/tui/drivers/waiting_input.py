"""Input of an attached terminal that its panel has not handled: bounded, and in turns with other work."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from textual import events
from textual.message import Message

_MOST_WAITING = 512
"""Number of events that may wait. A panel handles them in a few seconds."""

_MOST_CHARACTERS = 2 * 1024 * 1024
"""Number of characters of pastes that may wait: more than the longest paste."""

_PAUSE = 0.005
"""Seconds between two looks at a panel that is busy."""


class WaitingInput:
    """Gives events to a panel as fast as it handles them. If too many wait, the oldest are dropped.

    `post` gives an event to the panel, and `is_busy` returns whether it still has others to handle. The
    driver sets both. If many keys were posted at once, Textual would handle them without a break.
    """

    def __init__(self) -> None:
        self.post: Callable[[Message], object] = lambda event: None
        self.is_busy: Callable[[], bool] = lambda: False
        self._events: deque[Message] = deque(maxlen=_MOST_WAITING)
        self._is_closed = False
        self._news = asyncio.Event()

    def put(self, event: Message) -> None:
        """Add an event, unless the input is closed."""
        if self._is_closed:
            return
        self._events.append(event)
        if isinstance(event, events.Paste):
            while sum(map(_length, self._events)) > _MOST_CHARACTERS:
                self._events.popleft()
        self._news.set()

    def close(self) -> None:
        """Drop what waits, and all that will come."""
        self._is_closed = True
        self._events.clear()

    async def run(self) -> None:
        """Give events to the panel until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._events:
                self.post(self._events.popleft())
                await asyncio.sleep(0)
                while self.is_busy():  # noqa: ASYNC110 - the queues of Textual have no event
                    await asyncio.sleep(_PAUSE)


def _length(event: Message) -> int:
    return len(event.text) if isinstance(event, events.Paste) else 0
