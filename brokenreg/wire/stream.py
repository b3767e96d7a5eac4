"""`Stream`: one request, and how to respond to it, for both HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import IO, Any, NoReturn, TypeVar

from brokenreg.bulk.lent_socket import LentBody
from brokenreg.concurrency import first_of
from brokenreg.http.asgi import (
    CUT,
    PACE,
    RAW,
    ZERO_COPY,
    ClientDisconnectedError,
    EncodedHeaders,
    End,
    Message,
    Scope,
)
from brokenreg.wire.connection import Connection
from brokenreg.wire.cutting import cut
from brokenreg.wire.request_body import RequestBody

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

Answer = Callable[["Stream"], Coroutine[Any, Any, None] | None]
"""Responds to a request immediately (`Stream.respond`), or returns a coroutine that does."""

CHUNK = 256 * 1024
"""Number of bytes of a body that are produced, read or sent at a time."""

_START = "http.response.start"
_BODY = "http.response.body"
_STREAM = "brokenreg.stream"


def stream_of(scope: Scope) -> Stream:
    """Return the stream of a request."""
    stream: Stream = scope[_STREAM]
    return stream


class Stream:
    """One request, and how to respond to it.

    `scope` is the head of the request in ASGI's form. `body` is None if the request has none.

    An application either calls `respond` immediately, or sends messages and waits where necessary. Each of
    the two protocols has a subclass.
    """

    is_cut = False
    """True if brokenreg has cut the response."""

    has_started = False
    """True if the head of the response was sent."""

    file_bytes = 0
    """The number of sent bytes of files (`ZERO_COPY`)."""

    _is_received = False

    def __init__(self, connection: Connection, scope: Scope, body: RequestBody | None) -> None:
        self.connection = connection
        self.inbound = connection.inbound
        self.gone = connection.gone
        """Set when the client has disconnected, or has reset the stream."""
        self.scope = scope
        self.body = body
        scope[_STREAM] = self

    # For the protocols to define

    def can_respond(self, size: int) -> bool:
        """Return whether `respond` can send a body of that size without waiting for the client."""
        return self.body is None

    def respond(self, status: int, headers: EncodedHeaders, body: bytes) -> None:
        """Send a whole response immediately. `can_respond` must be true, and nothing was sent before.

        The body is omitted if the response must not have one (HEAD, 204, 304).
        """
        raise NotImplementedError

    def respond_continue(self) -> None:
        """Send `100 Continue` if the client waits for it (`Expect`), and it was not sent before."""

    async def _send_start(self, status: int, headers: Sequence[tuple[bytes, bytes]], pace: float) -> None:
        raise NotImplementedError

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        raise NotImplementedError

    async def _send_file(self, file: IO[bytes], offset: int, count: int) -> None:
        """Send a part of a file, and count sent bytes in `file_bytes`, even if the client disconnects."""
        raise NotImplementedError

    async def _send_raw(self, data: bytes) -> None:
        """Send bytes without framing. Only faults do this, and only on HTTP/1.1."""
        raise NotImplementedError

    async def _cut(self, end: End, code: int) -> None:
        await cut(self.connection, end)

    async def room(self) -> int:
        """Return how many bytes of the body can be sent now, from 1 to `CHUNK`. Wait until it is at least 1.

        Code that produces a body produces only that many bytes at a time, so that no bytes pile up for
        clients that do not read. Raise `ClientDisconnectedError`.
        """
        await self.connection.drain()
        return CHUNK

    def fail(self) -> None:
        """Respond with a 500 if nothing was sent, or else cut the response: the application has failed.

        A response that is complete or was already cut does not change.
        """
        raise NotImplementedError

    @property
    def unsent(self) -> int:
        """The number of bytes of the response that were accepted but not sent yet."""
        return self.connection.unsent

    async def lend_body(self) -> LentBody | None:
        """Return the rest of the request's body for a thread to read, or None if that is not possible.

        Call `take_back_body` when no thread reads it any more.
        """
        return None

    def take_back_body(self, body: LentBody) -> None:
        """Return the connection to the event loop."""
        raise NotImplementedError

    # For the protocols to use

    def start(self, answer: Answer) -> None:
        """Let an application respond."""
        if not self.inbound.has_request:
            self.inbound.note_first_request()
        work = None
        try:
            work = answer(self)
        except ClientDisconnectedError:
            pass
        except Exception:
            logger.exception("the application failed")
            self.fail()
        if work is None:
            self.scope = {}  # breaks a reference cycle with this stream
        else:
            self.spawn(work)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task that does work for the response."""
        tasks = self.connection.tasks
        task = self.connection.loop.create_task(self._run(work))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
            self.fail()  # has no effect on a complete response
        except ClientDisconnectedError:
            pass
        except Exception:
            logger.exception("the application failed")
            self.fail()
        finally:
            if self.body is not None:
                self.body.drop()
            self.scope = {}

    # For the layers above

    @property
    def is_gone(self) -> bool:
        """True if the client has disconnected, or has reset the stream."""
        return self.gone.is_set()

    @property
    def is_read(self) -> bool:
        """True if the whole body of the request has arrived, or if it has none."""
        return self.body is None or self.body.is_ended

    @property
    def is_connection_cut(self) -> bool:
        """True if brokenreg has cut the connection, for any stream."""
        return self.connection.is_cut

    def abort(self) -> None:
        """Cut the connection immediately, even if responses are in flight."""
        self.connection.abort()

    async def receive(self) -> Message:
        """Receive as ASGI's `receive` does: the body, and then the disconnect."""
        if self._is_received:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        message: Message = {"type": "http.request", "body": b"", "more_body": False}
        if self.body is not None:
            self.respond_continue()
            message = await self.body.receive()
        self._is_received = message["type"] == "http.request" and not message["more_body"]
        return message

    async def send(self, message: Message) -> None:
        """Send as ASGI's `send` does, and support `ZERO_COPY`, `RAW`, `CUT` and `PACE`.

        Other tasks run after each large write. Otherwise they would not run while the kernel accepts all
        bytes. Raise `ClientDisconnectedError`.
        """
        if self.is_gone:
            raise ClientDisconnectedError
        kind = message["type"]
        if self.body is not None and not self.has_started and message.get("end") is not End.RST:
            # Closing a connection with unread bytes would reset it.
            self.respond_continue()
            await self.body.dropped()
        if kind == _BODY:
            await self._send_body(message.get("body", b""), more=message.get("more_body", False))
        elif kind == _START:
            self.has_started = True
            await self._send_start(message["status"], message["headers"], message.get(PACE, 0.0))
        elif kind == ZERO_COPY:
            await self._send_file(message["file"], message["offset"], message["count"])
        elif kind == RAW:
            self.has_started = True
            await self._send_raw(message["data"])
        elif kind == CUT:
            self.is_cut = True
            await self._cut(message["end"], message.get("code", 0))

    async def wait(self, seconds: float | None = None) -> None:
        """Wait for `seconds`. Raise `ClientDisconnectedError` if the client disconnects."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.disconnected()

    async def disconnected(self) -> NoReturn:
        """Wait until the client disconnects, and raise `ClientDisconnectedError`.

        The rest of the request's body is read and dropped, because a disconnect behind unread bytes would not
        be noticed.
        """
        if self.body is not None:
            self.body.drop()
        await self.gone.wait()
        raise ClientDisconnectedError

    async def unless_gone(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return the result of `work`. Cancel it and raise `ClientDisconnectedError` on a disconnect."""
        return await first_of(work, self.disconnected())
