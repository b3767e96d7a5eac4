"""Body faults: bodies that are truncated, corrupted, swapped, or not as long as announced."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from brokenreg.faults.catalogue.base import HTTP1, HTTP2, READS, Fault
from brokenreg.faults.catalogue.parameters import Extent, Size, bytes_of, ends_before
from brokenreg.faults.context import FaultContext, ResponseFilter
from brokenreg.faults.response_head import Head
from brokenreg.http.asgi import INTERNAL_ERROR, End
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.recorder import with_target

_GET = frozenset({"GET"})
_FLIPPED = bytes(255 - byte for byte in range(256))


class Truncate(Fault):
    """Sends the full Content-Length but only the first `after` bytes, then closes the connection.

    `end` selects how the connection ends:

    - `fin`: TCP FIN; over TLS without close_notify
    - `rst`: TCP RST
    - `close-notify`: TLS close_notify, then FIN; only over TLS

    Over HTTP/2, only the stream ends, with RST_STREAM INTERNAL_ERROR. If `scope` is `connection`, the whole
    connection ends as `end` says. A body of `after` bytes or fewer is sent unchanged.
    """

    name = "truncate"
    default_endpoint = "layer"
    methods = _GET
    clients = (
        "containerd resumes with Range after FIN, but not after RST (containerd#5921, containerd#9552). "
        "Docker resumes after both, up to 5 times, 5 to 25 s apart. skopeo 1.9 and podman 4.3 do not "
        "resume, but newer versions do. podman 4.3 pulls again after RST. go-containerregistry does not "
        "resume (go-containerregistry#1500)."
    )
    example = "after-64kib_end-rst"

    after: Extent = Field(64 * 1024, description="how much of the body to send")
    end: Literal["fin", "rst", "close-notify"] = Field("fin", description="how the connection ends")
    scope: Literal["stream", "connection"] = Field("stream", description="what ends over HTTP/2")

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        if self.end == "close-notify" and exchange.scheme != "https":
            return "close_notify needs TLS, and this is plain HTTP"
        return super().inapplicable_reason(exchange)

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        return _no_success(head) or ends_before(self.after, exchange, head)

    async def apply(self, context: FaultContext) -> None:
        await _Truncated(self, context).run()

    def ending(self, exchange: Exchange) -> tuple[End, int]:
        """Return how the response of an exchange ends, and the HTTP/2 error code."""
        if exchange.protocol == HTTP2 and self.scope == "stream":
            return End.RESET_STREAM, INTERNAL_ERROR
        return End(self.end), 0


class _Truncated(ResponseFilter):
    def __init__(self, fault: Truncate, context: FaultContext) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._fault = fault
        self._left = 0

    async def head(self, head: Head) -> None:
        self._left = bytes_of(self._fault.after, head.length) or 0
        await super().head(head)

    async def body(self, data: bytes, *, more: bool) -> None:
        sent, self._left = data[: self._left], self._left - len(data)
        if sent:
            await super().body(sent, more=True)
        if self._left <= 0:
            end, code = self._fault.ending(self.context.exchange)
            await self.context.cut(end, code=code)


class Corrupt(Fault):
    """Flips the bits of the byte at `offset`, or of one byte in each block of `every` bytes.

    Length and headers are correct, so only the digest reveals the change. Offsets count from the start of the
    whole content, also in a response to a Range request.
    """

    name = "corrupt"
    default_endpoint = "layer"
    methods = _GET
    clients = (
        "All clients must refuse the content (contrast#1628, moby#33527). Some have already unpacked it "
        "by then."
    )
    example = "offset-1000"

    offset: Size = Field(0, description="the byte to corrupt, from 0; with `every`, within each block")
    every: Size | None = Field(
        None, ge=1, description="block size, to corrupt one byte per block; by default only one byte"
    )

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del exchange
        first = _first_byte(head)
        if head.length is not None and self.next_place(first) >= first + head.length:
            return _no_success(head) or f"byte {self.offset} is not in this response"
        return _no_success(head)

    def next_place(self, position: int) -> int:
        """Return the position of the next byte to corrupt, at or after `position`, or 2**64."""
        if position <= self.offset:
            return self.offset
        if self.every is None:
            return 2**64
        return self.offset + -(-(position - self.offset) // self.every) * self.every

    async def apply(self, context: FaultContext) -> None:
        await _Corrupted(self, context).run()


class _Corrupted(ResponseFilter):
    def __init__(self, fault: Corrupt, context: FaultContext) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._fault = fault
        self._position = 0

    async def head(self, head: Head) -> None:
        self._position = _first_byte(head)
        await super().head(head)

    async def body(self, data: bytes, *, more: bool) -> None:
        first = self._fault.next_place(self._position) - self._position
        step = self._fault.every or max(1, len(data))
        corrupted = bytearray(data)
        corrupted[first::step] = bytes(corrupted[first::step]).translate(_FLIPPED)
        if first < len(data):
            self.context.mark_wrong_bytes()
        self._position += len(data)
        await super().body(bytes(corrupted), more=more)


class Swap(Fault):
    """Sends another blob of the same repository under the requested digest.

    Content-Length is that of the other blob, so it arrives completely. Docker-Content-Digest is the requested
    digest. The fault has no effect if the repository has no other blob.
    """

    name = "swap"
    default_endpoint = "layer"
    methods = _GET
    endpoints = frozenset({Endpoint.CONFIG, Endpoint.LAYER})
    clients = "All clients must refuse the content. Some check only the size."
    example = ""

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        if exchange.endpoint not in (Endpoint.CONFIG, Endpoint.LAYER):
            return "it applies only to blobs"
        return super().inapplicable_reason(exchange)

    async def apply(self, context: FaultContext) -> None:
        target = context.exchange.target
        other = context.registry_view.another_blob(target)
        if other is None:
            context.no_effect(f"{target.name} does not have both this blob and another one")
            await context.forward()
            return
        context.note(f"serves {other}")

        def relabel(head: Head) -> None:
            head.set("docker-content-digest", target.digest)
            head.set("etag", f'"{target.digest}"')
            if head.is_success and head.length:
                context.mark_wrong_bytes()

        await context.forward_changed(
            relabel, scope=with_target(context.scope, replace(target, reference=other))
        )


class WrongLength(Fault):
    """Sends a Content-Length that differs from the length of the body.

    Over HTTP/2 the stream ends normally. `form` selects what is wrong with Content-Length:

    - `longer`: it is `by` bytes too high, and the connection ends (FIN) after the body
    - `shorter`: it is `by` bytes too low, and the rest of the body follows anyway
    - `absent`: no Content-Length; over HTTP/1.1 the body is then chunked
    """

    name = "wrong-length"
    default_endpoint = "layer"
    methods = READS
    clients = (
        "Some clients need Content-Length (containerd#3238, distribution#3792). With `shorter`, curl "
        "accepts the shortened body as complete; skopeo detects the change by the digest."
    )
    example = "form-longer_by-100"

    form: Literal["shorter", "longer", "absent"] = Field(
        "longer", description="what is wrong with Content-Length"
    )
    by: Size = Field(1, ge=1, description="number of bytes too few or too many")

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del exchange
        if head.length is None:
            return "the response has no Content-Length"
        return "the body is empty" if not head.length and self.form == "shorter" else None

    async def apply(self, context: FaultContext) -> None:
        await _WrongLength(self, context).run()


class _WrongLength(ResponseFilter):
    def __init__(self, fault: WrongLength, context: FaultContext) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._fault = fault
        self._announced = 0
        self._is_raw = context.exchange.protocol == HTTP1 and context.exchange.method != "HEAD"

    async def head(self, head: Head) -> None:
        if self._fault.form == "absent":
            head.remove("content-length")
        else:
            change = self._fault.by if self._fault.form == "longer" else -self._fault.by
            self._announced = max(0, (head.length or 0) + change)
            head.set("content-length", str(self._announced))
        await super().head(head)

    async def body(self, data: bytes, *, more: bool) -> None:
        if self._fault.form == "absent" or not self._is_raw:
            await super().body(data, more=more)
            return
        # The server's framing refuses bytes beyond Content-Length, so they are written without framing.
        fitting = data[: self._announced]
        self._announced -= len(fitting)
        if fitting:
            await super().body(fitting, more=True)
        if surplus := data[len(fitting) :]:
            await self.context.write(surplus, body=len(surplus))
        if not more:
            await self.context.cut(End.FIN)


def _no_success(head: Head) -> str | None:
    """Return why a response is not a success, or None if it is."""
    return None if head.is_success else f"the status is {head.status}"


def _first_byte(head: Head) -> int:
    """Return the offset of the response within the whole content (RFC 9110, section 14.4)."""
    begin = (head.get("content-range") or "").removeprefix("bytes ").partition("-")[0]
    return int(begin) if begin.isdigit() else 0
