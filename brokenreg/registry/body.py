"""The body of a request, read with backpressure: no more in memory than one message."""

from __future__ import annotations

from collections.abc import AsyncIterator

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.wire.asgi import ClientDisconnectedError, Receive, Scope, header
from brokenreg.wire.connection_middleware import stream_of
from brokenreg.wording import counted


class Body:
    """One request's body; read once, by `chunks` or `whole`, or not at all."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._ended = False
        self.received = 0

    @property
    def declared(self) -> int | None:
        """Content-Length in bytes; None for a body of unknown length. h11 and h2 checked its form."""
        value = header(self._scope, b"content-length")
        return None if value is None else int(value)

    async def chunks(self, expected: int | None = None) -> AsyncIterator[bytes]:
        """The body piece by piece.

        Raise `OCIError` 400 SIZE_INVALID at the end of one that is shorter than its Content-Length, was
        cut off, or is not of `expected` bytes. Raise `ClientDisconnectedError` if the client disconnects.
        """
        while not self._ended:
            chunk = await self._next()
            if chunk:
                yield chunk
        self._check(expected)

    async def whole(self, limit: int) -> bytes:
        """All of it. Raise `OCIError` 413 if it is longer than `limit` bytes, and as `chunks` does."""
        if (self.declared or 0) > limit:
            raise _too_large(limit)
        parts = []
        async for chunk in self.chunks():
            parts.append(chunk)
            if self.received > limit:
                raise _too_large(limit)
        return b"".join(parts)

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._ended = True
            raise ClientDisconnectedError
        self._ended = not message["more_body"]
        chunk: bytes = message["body"]
        self.received += len(chunk)
        return chunk

    def _check(self, expected: int | None) -> None:
        cut = stream_of(self._scope).connection.body_cut_short
        wanted = self.declared if self.declared is not None else expected
        if cut or (wanted is not None and self.received != wanted):
            told = "an unfinished body" if wanted is None else f"announced {counted(wanted, 'byte')}"
            raise OCIError(400, ErrorCode.SIZE_INVALID, f"{told}, received {counted(self.received, 'byte')}")
        if expected is not None and self.received != expected:
            raise OCIError(
                400,
                ErrorCode.SIZE_INVALID,
                f"Content-Range speaks of {counted(expected, 'byte')}, the body has {self.received}",
            )


def _too_large(limit: int) -> OCIError:
    return OCIError(
        413, ErrorCode.SIZE_INVALID, f"larger than {counted(limit, 'byte')}, the most that is accepted here"
    )
