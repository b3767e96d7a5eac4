"""The connection to one attached terminal: sends output, and files that the terminal saves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable
from typing import Any

from brokenreg.control.panel_messages import FileReply
from brokenreg.http.asgi import Send
from brokenreg.runtime.attaching import End, RefusedFileError

_PIECE = 32 * 1024
"""Characters of a file in one message."""

_PATIENCE = 60.0
"""Seconds to wait until the terminal has written a piece."""

_LAST_MOMENT = 1.0
"""Seconds for the last message to a terminal that may not read."""

_MESSAGES = {
    End.QUIT: "detached",
    End.STOPPED: "the server has stopped",
    End.FAILED: "the panel failed; the log of the server says why",
    End.SILENT: "the terminal has sent nothing for too long",
    End.REPLACED: "the terminal has attached again",
    End.INVALID: "the terminal has sent an invalid message",
}


class PanelConnection:
    """Sends messages through a WebSocket (a `TerminalConnection` of `runtime.attaching`)."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._files = 0
        self._is_writing = False
        self._reply: asyncio.Future[FileReply] | None = None

    async def write(self, data: bytes) -> None:
        """Send output. Return when the connection is ready for more."""
        self._is_writing = True
        try:
            await self._send({"type": "websocket.send", "bytes": data, "text": None})
        finally:
            self._is_writing = False

    async def alive(self) -> None:
        """Show that the connection works. While output waits, that would only wait behind it."""
        if not self._is_writing:
            await self._send_json(type="alive")

    async def save(self, name: str, pieces: AsyncIterable[str]) -> str:
        """Let the terminal save a file in its folder, and return the path. Raise `RefusedFileError`."""
        if self._reply is not None:
            raise RefusedFileError("another file is being saved")
        self._files += 1
        is_complete = False
        try:
            await self._save_piece(name, "", is_last=False)  # so that a refusal comes first
            async for text in _pieces(pieces):
                await self._save_piece(name, text, is_last=False)
            path = await self._save_piece(name, "", is_last=True)
            is_complete = True
        finally:
            self._reply = None
            if not is_complete:
                await self._send_json(type="file", id=self._files, cancel=True)
        return path

    def replied(self, reply: FileReply) -> None:
        """Note what became of a piece of a file."""
        if self._reply is not None and not self._reply.done() and reply.id == self._files:
            self._reply.set_result(reply)

    async def end(self, reason: End, detail: str = "") -> None:
        """Say why the panel ended, and close the connection. Raise `TimeoutError` if nobody reads that."""
        async with asyncio.timeout(_LAST_MOMENT):
            await self._send_json(type="end", reason=reason, message=detail or _MESSAGES[reason])
            await self._send({"type": "websocket.close", "code": 1000, "reason": None})

    async def _save_piece(self, name: str, text: str, *, is_last: bool) -> str:
        self._reply = asyncio.get_running_loop().create_future()
        await self._send_json(type="file", id=self._files, name=name, text=text, last=is_last)
        try:
            async with asyncio.timeout(_PATIENCE):
                reply = await self._reply
        except TimeoutError:
            raise RefusedFileError("the terminal does not respond") from None
        if reply.path is None:
            raise RefusedFileError(reply.problem or "the terminal refuses it")
        return reply.path

    async def _send_json(self, **message: Any) -> None:
        await self._send({"type": "websocket.send", "bytes": None, "text": json.dumps(message)})


async def _pieces(pieces: AsyncIterable[str]) -> AsyncIterable[str]:
    """Yield the same text in pieces of limited length."""
    waiting = ""
    async for piece in pieces:
        waiting += piece
        while len(waiting) >= _PIECE:
            yield waiting[:_PIECE]
            waiting = waiting[_PIECE:]
    if waiting:
        yield waiting
