"""One connection between the terminal and its panel, until the panel ends or the connection is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokenreg.attach.output_filter import OutputFilter
from brokenreg.attach.received_files import ReceivedFiles
from brokenreg.attach.terminal import RawTerminal, environment
from brokenreg.attach.web_socket import WebSocket
from brokenreg.concurrency import first_of

_PROTOCOL = 1
_SUSPEND = (b"\x1c", b"\x1b[92;5u")
"""Ctrl+\\, in both encodings of keys. Ctrl+Z is for the panel."""

_ALIVE_EVERY = 5.0
_LOST_AFTER = 15.0
"""Seconds without a message from the server, which answers each `alive`."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Why the server ended the panel: a word of the protocol, and a sentence."""

    reason: str
    message: str


class Session:
    """Passes what is typed to the panel, and what the panel sends to the terminal."""

    def __init__(
        self, terminal: RawTerminal, socket: WebSocket, client: str, preferences: Mapping[str, Any]
    ) -> None:
        """`client` identifies the terminal; `preferences` are more members of the first message."""
        self._terminal = terminal
        self._socket = socket
        self._client = client
        self._preferences = preferences
        self._files = ReceivedFiles(Path.cwd())
        self._is_resized = asyncio.Event()
        self._filter = OutputFilter()
        self.last_message = time.time()
        """When the server sent its last message, in seconds since the epoch."""

    async def run(self) -> Ended:
        """Show the panel until it ends. Raise `OSError` or `TimeoutError` if the connection is lost."""
        columns, rows = self._terminal.size
        await self._socket.send_json(
            type="hello",
            protocol=_PROTOCOL,
            columns=columns,
            rows=rows,
            environment=environment(),
            folder=str(Path.cwd()),
            client=self._client,
            **self._preferences,
        )
        try:
            with self._on_signals():
                return await first_of(self._show(), self._type(), self._tell_size(), self._stay_alive())
        finally:
            self._files.close()

    async def _show(self) -> Ended:
        """Write what the panel sends, and save its files."""
        messages = self._socket.messages()
        while True:
            try:
                async with asyncio.timeout(_LOST_AFTER):
                    message = await anext(messages)
            except StopAsyncIteration:
                raise ConnectionResetError("the server has closed the connection") from None
            self.last_message = time.time()
            if isinstance(message, bytes):
                await self._terminal.write(self._filter.feed(message))
            elif message.get("type") == "end":
                return Ended(str(message.get("reason")), str(message.get("message")))
            elif message.get("type") == "file":
                await self._save(message)

    async def _save(self, message: dict[str, Any]) -> None:
        reply = self._files.handle(message)
        if reply is not None:
            await self._socket.send_json(type="file", **reply)

    async def _type(self) -> Ended:
        r"""Send what is typed. Ctrl+\ suspends this process instead."""
        while data := await self._terminal.read():
            if data in _SUSPEND:
                await self._suspend()
            else:
                await self._socket.send(data)
        return Ended("quit", "the terminal is closed")

    async def _suspend(self) -> None:
        """Stop this process as a shell expects it, and show the panel again when it continues."""
        await self._socket.send_json(type="suspend")
        self._terminal.leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._terminal.enter()
        columns, rows = self._terminal.size
        await self._socket.send_json(type="resume", columns=columns, rows=rows)

    async def _tell_size(self) -> Ended:
        while True:
            await self._is_resized.wait()
            self._is_resized.clear()
            columns, rows = self._terminal.size
            await self._socket.send_json(type="resize", columns=columns, rows=rows)

    async def _stay_alive(self) -> Ended:
        while True:
            await asyncio.sleep(_ALIVE_EVERY)
            await self._socket.send_json(type="alive")

    @contextmanager
    def _on_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, self._is_resized.set)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)
