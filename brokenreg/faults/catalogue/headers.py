"""Faults of headers: absent or wrong headers, and wrong ranges."""

from __future__ import annotations

import re
from abc import abstractmethod
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from brokenreg.faults.catalogue.base import READS, Fault
from brokenreg.faults.catalogue.parameters import Size
from brokenreg.faults.context import FaultContext, Head
from brokenreg.http.asgi import Scope, header
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
"""A field name (RFC 9110, section 5.1)."""

HeaderValue = Annotated[str, StringConstraints(pattern=r"^([!-~]([ -~]{0,2046}[!-~])?)?$")]
"""A field value (RFC 9110, section 5.5): visible ASCII, spaces within."""

_FIRST_LAST = re.compile(rb"bytes=([0-9]{1,18})-([0-9]{1,18})?")
_SUFFIX = re.compile(rb"bytes=-([0-9]{1,18})")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")
_FRAMING = ("content-length", "transfer-encoding", "connection")


class _HeaderFault(Fault):
    """A fault that changes headers of the response, and nothing else."""

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del exchange
        changed = Head(head.message())
        self.change(changed)
        return "the headers are the same" if sorted(changed.headers) == sorted(head.headers) else None

    @abstractmethod
    def change(self, head: Head) -> None:
        """Change the headers."""

    async def apply(self, context: FaultContext) -> None:
        def changed(head: Head) -> None:
            why = self.no_effect_reason(context.exchange, head)
            if why is not None:
                context.no_effect(why)
            self.change(head)

        await context.forward_changed(changed)


class Header(_HeaderFault):
    """Sets, adds or removes any response header.

    Without `value` the header is removed. Framing (Content-Length, Transfer-Encoding, Connection) belongs
    to other faults. Use `match.method` to distinguish HEAD from GET.
    """

    name = "header"
    default_endpoint = "manifest"
    clients = "containerd#7390, distribution#3792: HEAD and GET are read by different code"
    example = "header-docker-content-digest"

    header: HeaderName = Field("docker-content-digest", description="name of the header")
    value: HeaderValue | None = Field(None, description="its value; absent: the header is removed")
    add: bool = Field(False, description="keep what is there, and add one more")

    @field_validator("header")
    @classmethod
    def _is_no_framing(cls, header: str) -> str:
        if header.lower() in _FRAMING:
            raise ValueError(f"{header} is framing; see the faults wrong-length and malformed")
        return header

    def change(self, head: Head) -> None:
        if not self.add:
            head.remove(self.header)
        if self.value is not None:
            head.add(self.header, self.value)


class ContentType(_HeaderFault):
    """Responds with another Content-Type, or with none."""

    name = "content-type"
    default_endpoint = "manifest"
    clients = "those that trust the header more than the document, and those that need it"
    example = ""

    value: HeaderValue = Field("text/html", description="the media type; `none`: no header")

    def change(self, head: Head) -> None:
        head.remove("content-type")
        if self.value != "none":
            head.add("content-type", self.value)


class NoDigest(_HeaderFault):
    """Removes Docker-Content-Digest and ETag, or sends a wrong digest.

    `form` is `absent`, `wrong` (a digest of something else) or `malformed` (no digest at all).
    """

    name = "no-digest"
    default_endpoint = "manifest"
    endpoints = frozenset({Endpoint.MANIFEST, Endpoint.CONFIG, Endpoint.LAYER, Endpoint.UPLOAD})
    clients = (
        "those that resolve a tag by HEAD alone: containerd#3238, #7390; docker and containerd 1.6 send GET "
        "where it is absent; where it is wrong, containerd fails and docker requests the tag again"
    )
    example = ""

    form: Literal["absent", "wrong", "malformed"] = Field(
        "absent", description="what is wrong with the header"
    )

    def change(self, head: Head) -> None:
        if head.get("docker-content-digest") is None:
            return
        head.remove("docker-content-digest")
        head.remove("etag")
        if self.form == "wrong":
            head.add("docker-content-digest", str(Digest.of(b"something else")))
        elif self.form == "malformed":
            head.add("docker-content-digest", "sha256:not-a-digest")


class Range(Fault):
    """Responds wrongly to a Range request.

    `ignore`: 200 with the whole content. `shift`: 206 with bytes that begin `by` bytes later than
    Content-Range says (416 if that is beyond the end). `header`: 206 with the correct bytes, but a
    Content-Range that is `by` bytes too high. `refuse`: 416. It has no effect on a request without Range.
    """

    name = "range"
    default_endpoint = "layer"
    methods = READS
    clients = (
        "resumed and parallel downloads: containerd tolerates 200, docker begins anew 10 s later, "
        "containers/image and regclient give up (containerd#2364, #12291, clair#2022)"
    )
    example = "form-ignore"

    form: Literal["ignore", "shift", "header", "refuse"] = Field("ignore", description="what is wrong")
    by: Size = Field(1, ge=1, description="bytes, for `shift` and `header`")

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del head
        return None if exchange.request_header("range") else "the request has no Range"

    async def apply(self, context: FaultContext) -> None:
        requested = header(context.scope, b"range")
        if requested is None:
            context.no_effect("the request has no Range")
            await context.forward()
        elif self.form == "refuse":
            await context.respond_error(
                OCIError(416, ErrorCode.RANGE_INVALID, "No range of this content is available")
            )
        elif self.form == "ignore":
            await context.forward_changed(partial(_check_whole, context), scope=_requesting(context, None))
        elif self.form == "header":
            await context.forward_changed(partial(_relabel, context, self.by))
        elif (shifted := self._shifted(requested)) is None:
            context.no_effect("the request is not for one range of bytes")
            await context.forward()
        else:
            await context.forward_changed(
                partial(_relabel, context, -self.by), scope=_requesting(context, shifted)
            )

    def _shifted(self, requested: bytes) -> bytes | None:
        """Return a later range, to send in place of the requested one; None if that is not one range."""
        if match := _FIRST_LAST.fullmatch(requested):
            last = str(int(match[2]) + self.by) if match[2] else ""
            return f"bytes={int(match[1]) + self.by}-{last}".encode()
        if match := _SUFFIX.fullmatch(requested):
            return f"bytes=-{max(0, int(match[1]) - self.by)}".encode()
        return None


def _requesting(context: FaultContext, range_: bytes | None) -> Scope:
    """Return the request with another Range, or with none."""
    others = [pair for pair in context.scope["headers"] if pair[0] != b"range"]
    ranges = [] if range_ is None else [(b"range", range_)]
    return {**context.scope, "headers": [*others, *ranges]}


def _check_whole(context: FaultContext, head: Head) -> None:
    """Note that the fault has no effect if the response is not the whole content."""
    if head.status != 200:
        context.no_effect(f"the status is {head.status}")


def _relabel(context: FaultContext, by: int, head: Head) -> None:
    """Move Content-Range. A 416 for the shifted range is a wrong response, too."""
    match = _CONTENT_RANGE.fullmatch(head.get("content-range") or "")
    if match is not None and int(match[1]) + by >= 0:
        head.set("content-range", f"bytes {int(match[1]) + by}-{int(match[2]) + by}/{match[3]}")
    elif by > 0 or head.status != 416:
        context.no_effect(f"the status is {head.status}, and the range cannot be moved")
