"""Connection faults: connections that are not served, reset, closed early, or do not carry HTTP."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from brokenreg.faults.catalogue.base import HTTP1, HTTP2, ConnectFault, Fault, RespondingFault
from brokenreg.faults.catalogue.parameters import Duration, Extent, Size, bytes_of, ends_before
from brokenreg.faults.context import FaultContext, ResponseFilter
from brokenreg.faults.registry_view import RegistryView
from brokenreg.faults.response_head import Head
from brokenreg.http.asgi import INTERNAL_ERROR, ClientDisconnectedError, End
from brokenreg.listening.inbound_connection import AcceptDecision, Reject
from brokenreg.traffic.exchange import Exchange

_SOMETHING = b"\x00\x16\x03\x01 this is not HTTP \xff\xfe\r\n\r\n"


class Accept(ConnectFault):
    """Accepts a TCP connection but does not serve it.

    On a TLS listener this happens before the handshake. A rule can match the client only by address, because
    there is no User-Agent yet. `form` selects what happens:

    - `reset`: RST immediately
    - `close`: FIN immediately
    - `stall`: nothing is sent; after `dur` the connection is closed (FIN), or it stays open until the client
      disconnects
    - `garbage`: a response to the client's first bytes that is neither HTTP nor TLS, then FIN
    """

    name = "accept"
    clients = "containerd connects once to each host that it knows; skopeo connects twice. Both give up."
    example = "form-reset"

    form: Literal["reset", "close", "stall", "garbage"] = Field(
        "reset", description="what happens to the connection"
    )
    dur: Duration | None = Field(
        None, description="how long `stall` lasts; by default until the client disconnects"
    )

    def decision(self, registry_view: RegistryView) -> AcceptDecision:
        del registry_view
        match self.form:
            case "reset":
                return Reject(End.RST)
            case "close":
                return Reject(End.FIN)
            case "stall":
                return Reject(End.FIN, silence=self.dur)
        return Reject(End.FIN, reply=_SOMETHING)


class Reset(RespondingFault):
    """Resets the TCP connection (RST) instead of responding.

    The registry first reads `after` bytes of the request's body, so that you can break a push in the middle.
    To cut a response, use `truncate`. Over HTTP/2, all streams of the connection end.
    """

    name = "reset"
    default_endpoint = "layer"
    clients = "containerd and regclient retry after EOF, but not after a reset (containerd#9552)."
    example = ""

    after: Size = Field(0, description="number of bytes of the request's body to read first")

    async def respond(self, context: FaultContext) -> None:
        received = 0
        while received < self.after:
            message = await context.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError
            received += len(message["body"])
            if not message["more_body"]:
                break
        await context.cut(End.RST)


class EmptyReply(RespondingFault):
    """Carries out the request, then closes the connection (FIN) without sending a byte.

    So a blob is stored, but the client does not know. With `processed` set to false, the registry does not
    see the request.
    """

    name = "empty-reply"
    default_endpoint = "manifest"
    clients = "Go programs report EOF, and repeat the request if the connection was used before."
    example = ""

    processed: bool = Field(True, description="whether the registry carries out the request first")

    async def respond(self, context: FaultContext) -> None:
        await context.cut(End.FIN)


class Malformed(Fault):
    """Responds with something that is not valid HTTP/1.1, then closes the connection.

    HTTP/2 cannot express this fault. `form` selects what is malformed:

    - `status-line`: the status line
    - `header`: a header line
    - `chunk`: a chunk in the middle of a chunked body
    - `garbage`: everything, from the first byte
    """

    name = "malformed"
    default_endpoint = "manifest"
    protocols = frozenset({HTTP1})
    clients = "Proxies and middleboxes do this. Few clients retry."
    example = "form-status-line"

    form: Literal["status-line", "header", "chunk", "garbage"] = Field(
        "garbage", description="what is malformed"
    )

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        has_body = exchange.method != "HEAD" and head.length
        return None if self.form != "chunk" or has_body else "the response has no body"

    async def apply(self, context: FaultContext) -> None:
        if self.form == "chunk":
            await _BadChunk(context, self.no_effect_reason).run()
            return
        await context.write(_MALFORMED[self.form])
        await context.cut(End.FIN)


_MALFORMED = {
    "status-line": b"HTTP/1.1 two-hundred OK\r\nContent-Length: 0\r\n\r\n",
    "header": b"HTTP/1.1 200 OK\r\nContent-Length 0\r\n: nameless\r\n\r\n",
    "garbage": _SOMETHING,
}


class _BadChunk(ResponseFilter):
    async def head(self, head: Head) -> None:
        head.remove("content-length")
        await super().head(head)

    async def body(self, data: bytes, *, more: bool) -> None:
        half = data[: len(data) // 2 + 1]
        await super().body(half, more=True)
        await self.context.write(b"no-size\r\n")
        await self.context.cut(End.FIN)


class H2Reset(Fault):
    """Ends the HTTP/2 stream with RST_STREAM after `after` bytes of the body; the connection stays open."""

    name = "h2-reset"
    default_endpoint = "layer"
    protocols = frozenset({HTTP2})
    clients = "Go's HTTP client repeats the request only after REFUSED_STREAM (kairos#4491)."
    example = "after-1000_code-7"

    after: Extent = Field(0, description="how much of the body to send; 0 sends no headers either")
    code: int = Field(
        INTERNAL_ERROR,
        ge=0,
        le=2**32 - 1,
        description="error code: 2 INTERNAL_ERROR, 7 REFUSED_STREAM, 8 CANCEL",
    )

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        return ends_before(self.after, exchange, head) if self.after else None

    async def apply(self, context: FaultContext) -> None:
        await _EndedEarly(self, context, End.RESET_STREAM).run()


class H2Goaway(Fault):
    """Ends the HTTP/2 connection with GOAWAY after `after` bytes of the body.

    The frame says that the stream before this one was the last to be processed, so the client may repeat the
    request. The connection then closes, and its other streams end.
    """

    name = "h2-goaway"
    default_endpoint = "layer"
    protocols = frozenset({HTTP2})
    clients = "Load balancers do this during a rolling restart. Go's HTTP client repeats what it can."
    example = "code-0"

    after: Extent = Field(0, description="how much of the body to send; 0 sends no headers either")
    code: int = Field(
        0, ge=0, le=2**32 - 1, description="error code: 0 NO_ERROR, 2 INTERNAL_ERROR, 11 ENHANCE_YOUR_CALM"
    )

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        return ends_before(self.after, exchange, head) if self.after else None

    async def apply(self, context: FaultContext) -> None:
        await _EndedEarly(self, context, End.GOAWAY).run()


class _EndedEarly(ResponseFilter):
    """Ends the response after a part of the body, or before the headers if that part is empty."""

    def __init__(self, fault: H2Reset | H2Goaway, context: FaultContext, end: End) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._after = fault.after
        self._end = end
        self._code = fault.code
        self._left = 0

    async def run(self) -> None:
        if not self._after:
            await self.context.cut(self._end, code=self._code)
        else:
            await super().run()

    async def head(self, head: Head) -> None:
        self._left = bytes_of(self._after, head.length) or 0
        await super().head(head)

    async def body(self, data: bytes, *, more: bool) -> None:
        sent, self._left = data[: self._left], self._left - len(data)
        if sent:
            await super().body(sent, more=True)
        if self._left <= 0:
            await self.context.cut(self._end, code=self._code)
