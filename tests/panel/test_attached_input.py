"""Input that an attached terminal sends faster than its panel handles it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from running import registry
from textual.events import Key, Paste

from brokenreg.concurrency import background
from brokenreg.control.panel_socket import PanelSocket
from brokenreg.runtime.attaching import AttachedTerminal, End, TerminalConnection
from brokenreg.runtime.operations import Access
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.app import Panel
from brokenreg.tui.attached import AttachedSession
from brokenreg.tui.drivers.waiting_input import WaitingInput

PATIENCE = 20
SIZE = 60_000


class Connection:
    """A terminal that only notes when the panel is complete."""

    def __init__(self) -> None:
        self.is_complete = asyncio.Event()

    async def write(self, data: bytes) -> None:
        if b"LIVE" in data:
            self.is_complete.set()

    async def save(self, name: str, pieces: AsyncIterable[str]) -> str:
        raise NotImplementedError


class Longest:
    """The longest time of the processor that callbacks of the loop have taken in turn."""

    seconds = 0.0

    async def measure(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.seconds = max(self.seconds, time.thread_time() - before)


@asynccontextmanager
async def complete_panel() -> AsyncIterator[tuple[AttachedSession, asyncio.Task[End]]]:
    async with registry(TrafficLog()) as runtime:
        connection = Connection()
        terminal = AttachedTerminal(80, 24, {"TERM": "xterm"}, None)
        session = AttachedSession(runtime, Access.FULL, terminal, connection)
        running = asyncio.create_task(session.run())
        await connection.is_complete.wait()
        yield session, running
        session.end(End.QUIT)
        await running


async def test_many_keys_do_not_block_the_event_loop() -> None:
    longest = Longest()
    async with complete_panel() as (session, running), background(longest.measure()):
        await session.feed(b"\t" * 80 + b"q")
        async with asyncio.timeout(PATIENCE):
            assert await running is End.QUIT, "the panel has handled all keys"
    assert longest.seconds < 0.1, "64 keys take more than 0.2 s of the processor"


async def test_a_terminal_that_disconnects_while_keys_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    handled = 0
    check_bindings = Panel._check_bindings

    async def count(panel: Panel, key: str, priority: bool = False) -> bool:
        nonlocal handled
        handled += priority
        return await check_bindings(panel, key, priority)

    monkeypatch.setattr(Panel, "_check_bindings", count)
    is_complete = asyncio.Event()
    hello = {"type": "hello", "protocol": 1, "columns": 80, "rows": 24}
    async with registry(TrafficLog()) as runtime:

        async def create(
            access: Access, terminal: AttachedTerminal, connection: TerminalConnection
        ) -> AttachedSession:
            return AttachedSession(runtime, access, terminal, connection)

        async def messages() -> AsyncIterator[dict[str, Any]]:
            yield {"type": "websocket.receive", "text": json.dumps(hello)}
            await is_complete.wait()
            yield {"type": "websocket.receive", "bytes": b"j" * SIZE}
            yield {"type": "websocket.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if b"LIVE" in (message.get("bytes") or b""):
                is_complete.set()

        socket = PanelSocket(create, runtime.stopping)
        async with asyncio.timeout(PATIENCE):
            await socket(Access.FULL, "", messages().__anext__, send)
    assert handled < SIZE / 10, "what the panel had not handled was dropped"


async def test_a_size_between_the_keys_is_ignored() -> None:
    async with complete_panel() as (session, running):
        await session.feed(b"\x1b[48;5000;5000;1;1t" + b"q")
        async with asyncio.timeout(PATIENCE):
            assert await running is End.QUIT
        assert session._panel.size == (80, 24)


async def test_the_newest_input_waits() -> None:
    waiting = WaitingInput()
    posted: list[str] = []
    is_empty = asyncio.Event()

    def post(event: Any) -> None:
        posted.append(event.text if isinstance(event, Paste) else event.key)
        if posted[-1] == "q":
            is_empty.set()

    waiting.post = post
    for number in range(5000):
        waiting.put(Key(str(number), None))
    waiting.put(Key("q", None))
    async with background(waiting.run()), asyncio.timeout(PATIENCE):
        await is_empty.wait()
        assert posted == [*map(str, range(5000 - 511, 5000)), "q"]
        posted.clear()
        is_empty.clear()
        for letter in "abcd":
            waiting.put(Paste(letter * 1024 * 1024))
        waiting.put(Key("q", None))
        await is_empty.wait()
    assert [text[0] for text in posted] == ["c", "d", "q"]
