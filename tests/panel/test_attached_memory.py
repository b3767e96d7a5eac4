"""What remains of a panel after its terminal has detached."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterable

from running import registry

from brokenreg.runtime.attaching import AttachedTerminal
from brokenreg.runtime.operations import Access
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.attached import AttachedPanel, AttachedSession


class Connection:
    """A terminal that only notes when the panel is complete."""

    def __init__(self) -> None:
        self.is_complete = asyncio.Event()

    async def write(self, data: bytes) -> None:
        if b"LIVE" in data:
            self.is_complete.set()

    async def save(self, name: str, pieces: AsyncIterable[str]) -> str:
        raise NotImplementedError


async def test_a_panel_that_had_keys_is_freed() -> None:
    async def use() -> None:
        connection = Connection()
        terminal = AttachedTerminal(80, 24, {"TERM": "xterm"}, None)
        session = AttachedSession(runtime, Access.FULL, terminal, connection)
        running = asyncio.create_task(session.run())
        await connection.is_complete.wait()
        await session.feed(b"?\x1b[27uQ")
        await running

    async with registry(TrafficLog()) as runtime:
        await asyncio.create_task(use())
        await asyncio.sleep(0.3)  # until the timer for a lone escape key is over
        gc.collect()
        assert [each for each in gc.get_objects() if type(each) is AttachedPanel] == []
