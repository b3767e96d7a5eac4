"""The fault that compresses bodies on their way, as a proxy does."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Literal

from pydantic import Field

from brokenreg.faults.catalogue.base import BLOB, Fault
from brokenreg.faults.context import FaultContext, ResponseFilter
from brokenreg.faults.response_head import Head
from brokenreg.traffic.exchange import Exchange

_COLLECTED = 256 * 1024
"""Maximum size, in bytes, of a body that is compressed as a whole, so that its new length is known."""

_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_ZSTD_HEAD = b"\x28\xb5\x2f\xfd\x00\x38"
"""A zstd frame without a content size, with a window of 128 KiB (RFC 8878, section 3.1.1.1)."""

_ZSTD_BLOCK = 128 * 1024


class Encode(Fault):
    """Compresses the body, as a proxy between registry and client does.

    With `header`, the response has Content-Encoding, so a client must decompress it. Without it, the client
    gets bytes that do not match the digest. The length in Content-Length is that of the compressed body. A
    body of more than 256 KiB has no Content-Length: it is sent in chunks. `zstd` does not make the
    body smaller.
    """

    name = "encode"
    default_endpoint = BLOB
    methods = frozenset({"GET"})
    clients = (
        "Clients that compare Content-Length with the size in the manifest fail (distribution#3848, "
        "quay#1310, containerd#5124)."
    )
    example = "coding-gzip"

    coding: Literal["gzip", "deflate", "zstd"] = Field("gzip", description="the content coding")
    header: bool = Field(True, description="whether the response has Content-Encoding")

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del exchange
        if head.status != 200:
            return f"the status is {head.status}"
        return "the response has no body" if head.length == 0 else None

    async def apply(self, context: FaultContext) -> None:
        await _Encoded(context, self).run()


class _Encoded(ResponseFilter):
    def __init__(self, context: FaultContext, fault: Encode) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._fault = fault
        self._packed = _packer(fault.coding)
        self._collected: Head | None = None
        self._parts: list[bytes] = []

    async def head(self, head: Head) -> None:
        if self._fault.header:
            head.set("content-encoding", self._fault.coding)
        else:
            self.context.mark_wrong_bytes()
        if head.length is not None and head.length <= _COLLECTED:
            self._collected = head
            return
        head.remove("content-length")
        await super().head(head)

    async def body(self, data: bytes, *, more: bool) -> None:
        packed = self._packed(data, not more)
        if self._collected is None:
            if packed or not more:
                await super().body(packed, more=more)
            return
        self._parts.append(packed)
        if not more:
            whole = b"".join(self._parts)
            self._collected.set("content-length", str(len(whole)))
            await super().head(self._collected)
            await super().body(whole, more=False)


def _packer(coding: str) -> Callable[[bytes, bool], bytes]:
    """Return a function that compresses the next piece; the second argument says that it is the last one."""
    if coding in _WINDOW_BITS:
        compressor = zlib.compressobj(1, wbits=_WINDOW_BITS[coding])
        return lambda data, is_last: compressor.compress(data) + (compressor.flush() if is_last else b"")
    head = [_ZSTD_HEAD]

    def packed(data: bytes, is_last: bool) -> bytes:
        begin = head.pop() if head else b""
        return begin + b"".join(_zstd_blocks(data, is_last=is_last))

    return packed


def _zstd_blocks(data: bytes, *, is_last: bool) -> Iterator[bytes]:
    for place in range(0, len(data), _ZSTD_BLOCK):
        block = data[place : place + _ZSTD_BLOCK]
        yield struct.pack("<I", len(block) << 3)[:3] + block
    if is_last:
        yield b"\x01\0\0"  # an empty last block
