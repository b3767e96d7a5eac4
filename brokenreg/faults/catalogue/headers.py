"""Faults of headers: absent, wrong, or a range that is not what was asked for."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator

from brokenreg.faults.catalogue.base import READS, Fault
from brokenreg.faults.catalogue.parameters import Size
from brokenreg.faults.strike import Head, Strike
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.wire.asgi import header

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
"""A field name (RFC 9110, section 5.1)."""

HeaderValue = Annotated[str, StringConstraints(pattern=r"^([!-~]([ -~]{0,2046}[!-~])?)?$")]
"""A field value (RFC 9110, section 5.5): visible ASCII, spaces within."""

_FIRST_LAST = re.compile(rb"bytes=([0-9]{1,18})-([0-9]{1,18})?")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")
_FRAMING = ("content-length", "transfer-encoding", "connection")


class Header(Fault):
    """Sets, adds or removes any response header.

    Without `value` the header is removed. Framing (Content-Length, Transfer-Encoding, Connection) belongs
    to other faults. `match.method` tells HEAD from GET.
    """

    name: ClassVar[str] = "header"
    endpoint: ClassVar[str] = "manifest"
    clients: ClassVar[str] = "containerd#7390, distribution#3792: HEAD and GET are read by different code"
    example: ClassVar[str] = "header-docker-content-digest"

    header: HeaderName = Field("docker-content-digest", description="name of the header")
    value: HeaderValue | None = Field(None, description="its value; absent: the header is removed")
    add: bool = Field(False, description="keep what is there, and add one more")

    @field_validator("header")
    @classmethod
    def _is_no_framing(cls, header: str) -> str:
        if header.lower() in _FRAMING:
            raise ValueError(f"{header} is framing; see the faults wrong-length and malformed")
        return header

    async def strike(self, strike: Strike) -> None:
        await strike.pass_on_changed(self._change)

    def _change(self, head: Head) -> None:
        if not self.add:
            head.remove(self.header)
        if self.value is not None:
            head.add(self.header, self.value)


class ContentType(Fault):
    """Answers with another Content-Type, or with none."""

    name: ClassVar[str] = "content-type"
    endpoint: ClassVar[str] = "manifest"
    clients: ClassVar[str] = "those that trust the header more than the document, and those that need it"
    example: ClassVar[str] = ""

    value: HeaderValue = Field("text/html", description="the media type; `none`: no header at all")

    async def strike(self, strike: Strike) -> None:
        await strike.pass_on_changed(self._change)

    def _change(self, head: Head) -> None:
        head.remove("content-type")
        if self.value != "none":
            head.add("content-type", self.value)


class NoDigest(Fault):
    """Leaves Docker-Content-Digest (and ETag) out, or has it of other content.

    `form` is `absent`, `wrong` (a digest of something else) or `malformed` (no digest at all).
    """

    name: ClassVar[str] = "no-digest"
    endpoint: ClassVar[str] = "manifest"
    clients: ClassVar[str] = "those that resolve a tag by HEAD alone: containerd#3238, #7390"
    example: ClassVar[str] = ""

    form: Literal["absent", "wrong", "malformed"] = Field(
        "absent", description="what is wrong with the header"
    )

    async def strike(self, strike: Strike) -> None:
        await strike.pass_on_changed(self._change)

    def _change(self, head: Head) -> None:
        head.remove("docker-content-digest")
        head.remove("etag")
        if self.form == "wrong":
            head.add("docker-content-digest", str(Digest.of(b"something else")))
        elif self.form == "malformed":
            head.add("docker-content-digest", "sha256:not-a-digest")


class Range(Fault):
    """Answers a request for a part of the content wrongly.

    `ignore`: 200 with the whole. `shift`: 206 whose bytes begin `by` bytes later than Content-Range says.
    `header`: 206 with the right bytes, whose Content-Range is `by` bytes too high. `refuse`: 416. A request
    without Range is left as it is.
    """

    name: ClassVar[str] = "range"
    endpoint: ClassVar[str] = "layer"
    methods: ClassVar[frozenset[str] | None] = READS
    clients: ClassVar[str] = (
        "resumed and parallel downloads: containerd tolerates 200, containers/image and regclient do not "
        "(containerd#2364, #12291, clair#2022)"
    )
    example: ClassVar[str] = "form-ignore"

    form: Literal["ignore", "shift", "header", "refuse"] = Field("ignore", description="what is wrong")
    by: Size = Field(1, ge=1, description="bytes, for `shift` and `header`")

    async def strike(self, strike: Strike) -> None:
        asked = header(strike.scope, b"range")
        if asked is None:
            strike.spare("the request has no Range")
            await strike.pass_on()
        elif self.form == "refuse":
            await strike.respond_error(
                OCIError(416, ErrorCode.RANGE_INVALID, "No range of this is to be had")
            )
        elif self.form == "header":
            await strike.pass_on_changed(self._change)
        else:
            await self._ask_otherwise(strike, asked)

    async def _ask_otherwise(self, strike: Strike, asked: bytes) -> None:
        """Ask for no range, or for a later one, which is then passed off as the one asked for."""
        match = _FIRST_LAST.fullmatch(asked)
        others = [pair for pair in strike.scope["headers"] if pair[0] != b"range"]
        if self.form == "ignore" or match is None:
            await strike.pass_on(scope={**strike.scope, "headers": others})
            return
        first, last = int(match[1]) + self.by, match[2]
        shifted = f"bytes={first}-{int(last) + self.by if last else ''}".encode()
        await strike.pass_on_changed(
            self._change, scope={**strike.scope, "headers": [*others, (b"range", shifted)]}
        )

    def _change(self, head: Head) -> None:
        match = _CONTENT_RANGE.fullmatch(head.get("content-range") or "")
        if match is not None:
            by = self.by if self.form == "header" else -self.by
            head.set("content-range", f"bytes {int(match[1]) + by}-{int(match[2]) + by}/{match[3]}")
