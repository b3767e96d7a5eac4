"""The theme, keys and filters that an attached terminal sends are validated by the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

import pytest
from running import registry

from brokenreg.runtime.attaching import AttachedTerminal
from brokenreg.runtime.operations import Access
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.attached import AttachedSession


class Connection:
    """A terminal that waits for words."""

    def __init__(self, words: str) -> None:
        self.has_them = asyncio.Event()
        self._words = words.encode()
        self._seen = b""

    async def write(self, data: bytes) -> None:
        self._seen += data
        if self._words in self._seen:
            self.has_them.set()

    async def save(self, name: str, pieces: AsyncIterable[str]) -> str:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("theme", "keys", "filters", "words"),
    [
        (None, {"panel.help": "f1,f2"}, {}, "f1"),
        ("light", {}, {}, "48;2;251;252;253m"),
        ("unknown", {}, {}, "LIVE"),
        (None, {"panel.gone": "f1"}, {}, 'unknown command "panel.gone"'),
        (None, {"panel.help": "q"}, {}, 'key "q" is used by both'),
        (None, {}, {"a b": "status:5xx"}, 'invalid name "a b"'),
    ],
)
async def test_preferences_are_used_or_a_notice_says_why_not(
    theme: str | None, keys: dict[str, str], filters: dict[str, str], words: str
) -> None:
    async with registry(TrafficLog()) as runtime:
        connection = Connection(words)
        terminal = AttachedTerminal(
            200, 24, {"COLORTERM": "truecolor"}, None, theme=theme, keys=keys, filters=filters
        )
        session = AttachedSession(runtime, Access.FULL, terminal, connection)
        running = asyncio.create_task(session.run())
        async with asyncio.timeout(10):
            await connection.has_them.wait()
            await session.feed(b"Q")
            await running
