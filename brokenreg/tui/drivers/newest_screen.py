"""Sends the output of a panel to a terminal that may be slow: always the newest screen, never a queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

_MOST_KEPT = 256 * 1024
"""Maximum number of characters that wait and are no part of the screen: a clipboard is about 90,000."""

_MOST_PAINTED = 1024 * 1024
"""Maximum number of painted characters that wait. A full screen of 200 by 50 cells has about 100,000."""

_LAST_MOMENT = 0.5
"""Seconds for the last output of a panel."""


class NewestScreen:
    """Sends output with `send`, which returns when the connection is ready for more.

    What is painted in the meantime is dropped. Then `repaint` is called, and paints the whole screen.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        self.repaint: Callable[[], object] = lambda: None
        self._send = send
        self._kept: list[str] = []
        self._painted: list[str] = []
        self._is_sending = False
        self._is_suspended = False
        self._is_stale = False
        self._news = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Return whether the terminal will get what is painted now."""
        return not (self._is_sending or self._is_suspended)

    def paint(self, text: str) -> None:
        """Send a change of the screen, or drop it if the terminal is not ready."""
        if not self.is_ready or sum(map(len, self._painted)) > _MOST_PAINTED:
            self._is_stale = True
            return
        self._painted.append(text)
        self._news.set()

    def keep(self, text: str) -> None:
        """Send what is no part of the screen: modes, the clipboard, the bell."""
        self._kept.append(text)
        while sum(map(len, self._kept)) > _MOST_KEPT:
            del self._kept[0]
        self._news.set()

    def suspend(self) -> None:
        """Send nothing until `resume`."""
        self._is_suspended = True

    def resume(self) -> None:
        """Send again, beginning with the whole screen."""
        self._is_suspended = False
        self._is_stale = True
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._news.wait()
            await self._send_waiting()

    async def finish(self) -> None:
        """Send what still waits, but give up after a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_MOMENT):
                await self._send_waiting()

    async def _send_waiting(self) -> None:
        self._news.clear()
        if self._is_suspended:
            return
        data = "".join((*self._kept, *self._painted)).encode("utf-8", "replace")
        self._kept.clear()
        self._painted.clear()
        self._is_sending = True
        try:
            if data:
                await self._send(data)
        finally:
            self._is_sending = False
        if self._is_stale and not self._is_suspended:
            self._is_stale = False
            self.repaint()
