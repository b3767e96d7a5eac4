"""A WebSocket over asyncio's streams, with wsproto, which Hypercorn uses on the other side."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    RejectConnection,
    RejectData,
    Request,
)
from wsproto.utilities import RemoteProtocolError

_CONNECT_WITHIN = 10.0
_PIECE = 64 * 1024
_LONGEST_REFUSAL = 64 * 1024
_LONGEST_TEXT = 1024 * 1024
"""Maximum number of characters of a text message."""

_FRAGMENT = 64
"""Characters that each fragment counts in addition, because it may be empty."""

_LAST_MOMENT = 0.5


class RefusedError(Exception):
    """The server did not accept the WebSocket; the members are those of its response."""

    def __init__(self, status: int, media_type: str, body: bytes) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.media_type = media_type
        self.body = body


class WebSocket:
    """A connection that is open until the block of `connected` is left."""

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(
        cls, url: str, path: str, headers: Mapping[str, str], tls: ssl.SSLContext | None
    ) -> AsyncIterator[WebSocket]:
        """Connect to the server at an http or https URL. Raise `RefusedError`, or `OSError` if it is lost."""
        parts = urlsplit(url)
        async with asyncio.timeout(_CONNECT_WITHIN):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (80 if tls is None else 443), ssl=tls, limit=_PIECE
            )
        # Otherwise, the kernel keeps megabytes of old screens for a terminal that does not read.
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, _PIECE)
        socket = cls(reader, writer)
        try:
            async with asyncio.timeout(_CONNECT_WITHIN):
                await socket._handshake(Request(parts.netloc, path, extra_headers=_encoded(headers)))
            yield socket
        finally:
            await socket._close()

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._text: list[str] = []
        self._length = 0

    async def send(self, data: bytes) -> None:
        """Send a binary message. Raise `OSError`."""
        await self._write(self._protocol.send(BytesMessage(data)))

    async def send_json(self, **message: Any) -> None:
        """Send a text message. Raise `OSError`."""
        await self._write(self._protocol.send(Message(json.dumps(message))))

    async def messages(self) -> AsyncIterator[bytes | dict[str, Any]]:
        """Yield pieces of binary messages, and text messages that are JSON objects, until the server closes.

        Raise `OSError` if the connection is lost or the messages are not valid.
        """
        while True:
            for event in self._protocol.events():
                match event:
                    case BytesMessage(data=data):
                        yield bytes(data)
                    case Message(data=text):
                        self._text.append(str(text))
                        self._length += len(text) + _FRAGMENT
                        if self._length > _LONGEST_TEXT:
                            raise ConnectionError("the server sends a message that is too long")
                        if event.message_finished:
                            yield _json("".join(self._text))
                            self._text, self._length = [], 0
                    case Ping():
                        await self._write(self._protocol.send(event.response()))
                    case CloseConnection():
                        return
            await self._read()

    async def _handshake(self, request: Request) -> None:
        await self._write(self._protocol.send(request))
        refusal, body = None, b""
        while True:
            for event in self._protocol.events():
                match event:
                    case AcceptConnection():
                        return
                    case RejectConnection():
                        refusal = event
                        if not event.has_body:
                            raise _refused(refusal, b"")
                    case RejectData(data=data) if refusal is not None:
                        body += data
                        if event.body_finished or len(body) > _LONGEST_REFUSAL:
                            raise _refused(refusal, body)
            await self._read()

    async def _read(self) -> None:
        data = await self._reader.read(_PIECE)
        if not data:
            raise ConnectionResetError("the server has closed the connection")
        try:
            self._protocol.receive_data(data)
        except RemoteProtocolError as error:
            raise ConnectionError(f"the server does not speak WebSocket: {error}") from None

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_LAST_MOMENT):
                await self._writer.wait_closed()
        self._writer.transport.abort()


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _refused(refusal: RejectConnection, body: bytes) -> RefusedError:
    headers = {name.lower(): value for name, value in refusal.headers}
    return RefusedError(refusal.status_code, headers.get(b"content-type", b"").decode("latin-1"), body)


def _json(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ConnectionError("the server sends a message that is not JSON")
    return message
