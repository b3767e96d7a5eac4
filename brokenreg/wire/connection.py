"""`Wire`: one TCP connection, as Hypercorn serves it and as faults may spoil it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from http import HTTPStatus
from typing import IO, Any

import h11
from hypercorn.asyncio import run as hypercorn_run
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.events import EndBody
from hypercorn.protocol.h11 import H11Protocol

from brokenreg.wire.asgi import ClientDisconnectedError
from brokenreg.wire.connection_events import TLSHelloOnPlainPort
from brokenreg.wire.inbound_connection import INBOUND
from brokenreg.wire.sendfile import FileSender

CONNECTION: contextvars.ContextVar[Wire] = contextvars.ContextVar("connection")
"""The connection that the current task serves."""

RECEIVE_SIZE = 256 * 1024
"""Bytes read from a connection at a time: large enough for fast uploads, small enough for many."""

_YIELD_SIZE = 32 * 1024
_HALF_CLOSED_GRACE = 2.0
_TLS_HANDSHAKE = b"\x16"
_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}


class ReasonedConnection(h11.Connection):
    """Adds the reason phrase that Hypercorn omits: docker shows it to its users."""

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        if isinstance(event, h11.Response | h11.InformationalResponse) and not event.reason:
            event = type(event)(
                status_code=event.status_code,
                headers=event.headers,
                http_version=event.http_version,
                reason=_REASONS.get(event.status_code, b""),
            )
        return super().send_with_data_passthrough(event)


class _FilePart:
    """A placeholder for `count` bytes of a file (h11, "Sending data: sendfile")."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count


class Wire(TCPServer):
    """One connection. `gone` is set when the client disconnects or the connection is cut."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.inbound = INBOUND.get()
        self.gone = asyncio.Event()
        self.bytes_out = 0
        self._sender: FileSender | None = None
        self.body_cut_short = False
        """The client ended its side of the connection before the request's body was complete."""
        self.is_cut = False
        """True if we cut the connection; nothing more is sent."""
        self.pace = 0.0
        """Seconds between two bytes that are sent; 0 sends them without a pause."""

    @property
    def unsent(self) -> int:
        """The number of bytes that were written but not sent yet."""
        return self.writer.transport.get_write_buffer_size()

    async def run(self) -> None:
        CONNECTION.set(self)
        self.inbound.is_served = True
        self.inbound.cut = self.abort
        # asyncio's default of 64 KiB stops the socket before a read of RECEIVE_SIZE could be filled.
        self.reader._limit = RECEIVE_SIZE  # type: ignore[attr-defined]
        try:
            await super().run()
        finally:
            self.gone.set()
            self._release()

    def _release(self) -> None:
        """Drop the references back to this connection after it has ended.

        Otherwise its buffers (256 KiB of unsent data, and as much for TLS) stay until a full garbage
        collection, which does not happen while clients are served.
        """
        error = self.reader.exception()
        if error is not None:
            error.__traceback__ = None  # its frames hold the data
        wrapper = vars(self).pop("protocol", None)  # both are missing if the client disconnected immediately
        vars(self).pop("_task_group", None)
        if wrapper is not None and isinstance(wrapper.protocol, H11Protocol):
            wrapper.protocol.stream = None

    async def protocol_send(self, event: Event) -> None:
        """Send what Hypercorn emits: HTTP/1.1 and HTTP/2, plain and TLS.

        The event loop gets a turn after each large write and on a closing connection: `drain` does not yield
        while the kernel accepts everything, nor after the client has disconnected.
        """
        if self.is_cut:
            return
        if isinstance(event, RawData):
            self.bytes_out += len(event.data)
            if not self.inbound.has_request and isinstance(self.protocol.protocol, H11Protocol):
                self.inbound.answered = True  # Hypercorn responds to what is not HTTP
            if self.pace:
                event = RawData(await self._drip(event.data))
        await super().protocol_send(event)
        if self.writer.is_closing():
            self._note_disconnect()
            await asyncio.sleep(0)
        elif isinstance(event, RawData) and len(event.data) >= _YIELD_SIZE:
            await asyncio.sleep(0)

    async def write(self, data: bytes) -> None:
        """Send bytes past Hypercorn and its framing. Raise `ClientDisconnectedError`."""
        async with self.send_lock:
            try:
                self.writer.write(data)
                await self.writer.drain()
            except ConnectionError:
                self._note_disconnect()
                raise ClientDisconnectedError from None
        self.bytes_out += len(data)

    def mute(self) -> None:
        """Send nothing more: the connection is being cut."""
        self.is_cut = True
        self._note_disconnect()

    async def _drip(self, data: bytes) -> bytes:
        """Send all but the last byte one by one, and return the last."""
        clock = asyncio.get_running_loop().time
        due = clock()
        for position in range(len(data) - 1):
            async with self.send_lock:
                self.writer.write(data[position : position + 1])
            due += self.pace
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due - clock()):
                    await self.gone.wait()
                    return b""
        return data[-1:]

    async def send_file(self, file: IO[bytes], offset: int, count: int) -> None:
        """Send a part of a file as response body, over plain HTTP/1.1. Raise `ClientDisconnectedError`.

        h11 counts the bytes of the body by a placeholder, because it never sees them.
        """
        protocol = self.protocol.protocol
        part = _FilePart(count)
        pieces = protocol.connection.send_with_data_passthrough(h11.Data(data=part))  # type: ignore[union-attr, arg-type]
        async with self.send_lock:
            try:
                for piece in pieces or ():
                    if piece is part:
                        await self._flush()
                        await self._send_part(file, offset, count)
                    else:
                        self.writer.write(piece)
            except ConnectionError:
                self._note_disconnect()
                raise ClientDisconnectedError from None

    async def _send_part(self, file: IO[bytes], offset: int, count: int) -> None:
        self._sender = FileSender(self.writer.get_extra_info("socket").fileno())
        try:
            if not self.gone.is_set():
                await self._sender.send(file, offset, count)
        finally:
            self.bytes_out += self._sender.sent
            self._sender.close()
            self._sender = None

    async def _flush(self) -> None:
        """Wait until the transport has handed everything to the kernel."""
        self.writer.transport.set_write_buffer_limits(high=0)
        await self.writer.drain()
        self.writer.transport.set_write_buffer_limits()

    def _note_disconnect(self) -> None:
        """Note that the client has disconnected, and stop what is still being sent."""
        self.gone.set()
        if self._sender is not None:
            self._sender.stop()

    def abort(self) -> None:
        """Cut the connection now, whatever is in flight."""
        self.mute()
        self.writer.transport.abort()

    async def _read_data(self) -> None:
        """Read as Hypercorn's method does, but more at a time, and report a request that was cut short."""
        if isinstance(self.protocol.protocol, H11Protocol):
            self.protocol.protocol.connection = ReasonedConnection(
                h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size
            )
        while not self.reader.at_eof():
            try:
                data = await self.reader.read(RECEIVE_SIZE)
            except OSError:
                break
            if data[:1] == _TLS_HANDSHAKE and not (self.inbound.has_request or self.inbound.answered):
                self.inbound.add(TLSHelloOnPlainPort())
            if data:
                await self.protocol.handle(RawData(data))
        if self._in_request_body():
            await self._end_body_early()
        self._note_disconnect()
        await self.protocol.handle(Closed())
        # Otherwise the connection would stay, half closed, until its keep-alive time is over.
        await self.idle_task.stop()

    def _in_request_body(self) -> bool:
        protocol = self.protocol.protocol
        return (
            isinstance(protocol, H11Protocol)
            and protocol.stream is not None
            and protocol.connection.their_state is h11.SEND_BODY
        )

    async def _end_body_early(self) -> None:
        """Pass the short body to the application, so that it can respond with an error.

        Hypercorn would respond with a 400 without a body. A client that has only closed its sending side
        reads the error.
        """
        self.body_cut_short = True
        stream = self.protocol.protocol.stream  # type: ignore[union-attr]  # HTTP/1.1, as `_in_request_body` has checked
        if stream is not None:
            await stream.handle(EndBody(stream_id=1))
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(_HALF_CLOSED_GRACE):
                await self.gone.wait()


def install() -> None:
    """Replace Hypercorn's connection class by `Wire`."""
    setattr(hypercorn_run, "TCPServer", Wire)  # noqa: B010 - assigning to another module's class
