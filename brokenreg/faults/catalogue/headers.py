"""Header faults: headers that are absent or wrong, and wrong ranges."""

from __future__ import annotations

import re
from abc import abstractmethod
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator

from brokenreg.faults.catalogue.base import READS, Fault
from brokenreg.faults.catalogue.parameters import Size
from brokenreg.faults.context import FaultContext
from brokenreg.faults.response_head import Head
from brokenreg.http.asgi import Scope, header
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange
from brokenreg.validation import InvalidValueError
from brokenreg.wording import quoted

_NAME = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")
_VALUE = re.compile(r"^([!-~]([ -~]{0,2046}[!-~])?)?$")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidValueError("use the name of a header, such as retry-after")
    return name


def _check_value(value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise InvalidValueError("use up to 2048 printable ASCII characters, without a space at either end")
    return value


HeaderName = Annotated[
    str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": _NAME.pattern})
]
"""A field name (RFC 9110, section 5.1)."""

HeaderValue = Annotated[
    str, AfterValidator(_check_value), WithJsonSchema({"type": "string", "pattern": _VALUE.pattern})
]
"""A field value (RFC 9110, section 5.5): visible ASCII, with spaces only in the middle."""

_FIRST_LAST = re.compile(rb"bytes=([0-9]{1,18})-([0-9]{1,18})?")
_SUFFIX = re.compile(rb"bytes=-([0-9]{1,18})")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")
_FRAMING = ("content-length", "transfer-encoding", "connection")


class _HeaderFault(Fault):
    """A fault that changes only headers of the response."""

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del exchange
        changed = Head(head.message())
        self.change(changed)
        return "the headers stay the same" if sorted(changed.headers) == sorted(head.headers) else None

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
    """Sets, adds or removes a response header.

    Without `value`, the header is removed. Framing headers (Content-Length, Transfer-Encoding, Connection)
    cannot be changed: use `wrong-length` or `malformed` instead. Use `match.method` to treat HEAD and GET
    differently.
    """

    name = "header"
    default_endpoint = "manifest"
    clients = (
        "Clients read the responses to HEAD and GET with different code (containerd#7390, distribution#3792)."
    )
    example = "header-docker-content-digest"

    header: HeaderName = Field("docker-content-digest", description="name of the header")
    value: HeaderValue | None = Field(
        None, description="value of the header; without it, the header is removed"
    )
    add: bool = Field(False, description="whether existing headers of the same name are kept")

    @field_validator("header")
    @classmethod
    def _check_not_framing(cls, header: str) -> str:
        if header.lower() in _FRAMING:
            raise ValueError(
                f"header {quoted(header)} frames the body: use the fault wrong-length or malformed"
            )
        return header

    def change(self, head: Head) -> None:
        if not self.add:
            head.remove(self.header)
        if self.value is not None:
            head.add(self.header, self.value)


class ContentType(_HeaderFault):
    """Responds with a different Content-Type, or with none."""

    name = "content-type"
    default_endpoint = "manifest"
    clients = "Some clients trust the header more than the document, and some cannot do without it."
    example = ""

    value: HeaderValue = Field("text/html", description="the media type, or `none` to send no header")

    def change(self, head: Head) -> None:
        head.remove("content-type")
        if self.value != "none":
            head.add("content-type", self.value)


class NoDigest(_HeaderFault):
    """Removes Docker-Content-Digest and ETag, or sends a wrong digest.

    `form` is `absent`, `wrong` (the digest of something else) or `malformed` (not a digest). ETag is removed
    in all forms.
    """

    name = "no-digest"
    default_endpoint = "manifest"
    endpoints = frozenset({Endpoint.MANIFEST, Endpoint.CONFIG, Endpoint.LAYER, Endpoint.UPLOAD})
    clients = (
        "Clients that resolve a tag by HEAD alone fail (containerd#3238, containerd#7390). If the header "
        "is absent, Docker and containerd 1.6 send GET. If it is wrong, containerd fails and Docker "
        "requests the tag again."
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
    """Responds incorrectly to a Range request.

    The fault has no effect on a request without Range. `form` selects what is wrong:

    - `ignore`: 200 with the whole content
    - `shift`: 206, but the bytes start `by` bytes later than Content-Range says (416 if that is past the end)
    - `header`: 206 with the correct bytes, but Content-Range is `by` bytes too high
    - `refuse`: 416
    - `refuse-several`: 416 if the request has several ranges; without this fault, it gets the whole content
    """

    name = "range"
    default_endpoint = "layer"
    methods = READS
    clients = (
        "Resumed and parallel downloads are affected (containerd#2364, containerd#12291, clair#2022). "
        "containerd tolerates a 200. Docker starts again 10 s later. containers/image and regclient give "
        "up."
    )
    example = "form-ignore"

    form: Literal["ignore", "shift", "header", "refuse", "refuse-several"] = Field(
        "ignore", description="what is wrong"
    )
    by: Size = Field(1, ge=1, description="number of bytes, for `shift` and `header`")

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del head
        requested = exchange.request_header("range")
        if self.form == "refuse-several" and requested and "," not in requested:
            return "the request is for one range"
        return None if requested else "the request has no Range"

    async def apply(self, context: FaultContext) -> None:
        requested = header(context.scope, b"range")
        if requested is None:
            context.no_effect("the request has no Range")
            await context.forward()
        elif self.form == "refuse-several" and b"," not in requested:
            context.no_effect("the request is for one range")
            await context.forward()
        elif self.form in ("refuse", "refuse-several"):
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
        """Return the requested range moved by `by` bytes; None if the request is not for one range."""
        if match := _FIRST_LAST.fullmatch(requested):
            last = str(int(match[2]) + self.by) if match[2] else ""
            return f"bytes={int(match[1]) + self.by}-{last}".encode()
        if match := _SUFFIX.fullmatch(requested):
            return f"bytes=-{max(0, int(match[1]) - self.by)}".encode()
        return None


def _requesting(context: FaultContext, range_: bytes | None) -> Scope:
    """Return the request with that Range header, or without one."""
    others = [pair for pair in context.scope["headers"] if pair[0] != b"range"]
    ranges = [] if range_ is None else [(b"range", range_)]
    return {**context.scope, "headers": [*others, *ranges]}


def _check_whole(context: FaultContext, head: Head) -> None:
    """Note that `ignore` has no effect if the response is not the whole content."""
    if head.status != 200:
        context.no_effect(f"the status is {head.status}")


def _relabel(context: FaultContext, by: int, head: Head) -> None:
    """Move Content-Range by that many bytes. A 416 for a shifted range also counts as applied."""
    match = _CONTENT_RANGE.fullmatch(head.get("content-range") or "")
    if match is not None and int(match[1]) + by >= 0:
        head.set("content-range", f"bytes {int(match[1]) + by}-{int(match[2]) + by}/{match[3]}")
        context.mark_wrong_bytes()
    elif by > 0 or head.status != 416:
        context.no_effect(f"the status is {head.status}, and the range cannot be moved")
