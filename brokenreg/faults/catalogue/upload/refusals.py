"""Upload faults: mounts that are refused, and bodies that are too large or too small."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from pydantic import Field, JsonValue, WithJsonSchema, field_validator

from brokenreg.faults.catalogue.base import WRITES, Fault
from brokenreg.faults.catalogue.parameters import Size
from brokenreg.faults.context import FaultContext
from brokenreg.faults.response_head import Head
from brokenreg.http.asgi import Message, header
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange
from brokenreg.validation import InvalidValueError
from brokenreg.wording import counted

_ACCEPTED = 202
_ERRORS: dict[str, JsonValue] = {"type": "integer", "minimum": 400, "maximum": 599}


class MountRefused(Fault):
    """Refuses to mount a blob from another repository, although the blob exists.

    With `status` 202, an upload starts instead, as the specification allows. Any other status is an error.
    """

    name = "mount-refused"
    default_endpoint = "upload"
    endpoints = frozenset({Endpoint.UPLOAD})
    methods = frozenset({"POST"})
    clients = "Some clients treat a refused mount as a failed push (oras#1924)."
    example = "status-401"

    status: Annotated[
        int,
        WithJsonSchema({"anyOf": [{"type": "integer", "const": 202}, _ERRORS]}),
    ] = Field(202, description="status of the response to a mount")

    @field_validator("status")
    @classmethod
    def _is_valid(cls, status: int) -> int:
        if status != _ACCEPTED and not 400 <= status <= 599:
            raise InvalidValueError("use 202, or 400 to 599")
        return status

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        if "mount" not in dict(parse_qsl(exchange.query)):
            return "the request is not a mount"
        return super().inapplicable_reason(exchange)

    async def apply(self, context: FaultContext) -> None:
        if self.status == _ACCEPTED:
            query = parse_qsl(context.scope["query_string"].decode("latin-1"), keep_blank_values=True)
            rest = urlencode([pair for pair in query if pair[0] not in ("mount", "from", "digest")])
            await context.forward(scope={**context.scope, "query_string": rest.encode("latin-1")})
            return
        code = {401: ErrorCode.UNAUTHORIZED, 403: ErrorCode.DENIED, 404: ErrorCode.NAME_UNKNOWN}
        await context.respond_error(
            OCIError(self.status, code.get(self.status, ErrorCode.UNSUPPORTED), "No mounts, on purpose")
        )


class TooLarge(Fault):
    """Responds with 413 to a request whose body has more than `limit` bytes.

    Nothing is stored. The response is sent immediately if Content-Length is too large, otherwise after
    `limit` bytes. `tell` announces the limit as OCI-Chunk-Max-Length when an upload starts. `least` announces
    OCI-Chunk-Min-Length, and refuses a smaller PATCH with 400 (code SIZE_INVALID). Only the last chunk, in
    the PUT, may be smaller (distribution-spec, "Pushing a blob in chunks").
    """

    name = "too-large"
    default_endpoint = "upload"
    methods = WRITES
    clients = "Clients that send a blob in one piece, whatever its size, fail (distribution#4144)."
    example = "limit-1mib"

    limit: Size = Field(1024 * 1024, description="maximum size of a body, in bytes")
    tell: bool = Field(False, description="whether the limit is announced when an upload starts")
    least: Size | None = Field(None, ge=1, description="minimum size of a PATCH, in bytes; by default none")

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        announced = exchange.request_header("content-length")
        size = max(exchange.request_bytes, int(announced) if announced.isdigit() else 0)
        is_small = exchange.method == "PATCH" and size < (self.least or 0)
        if size > self.limit or is_small or self._announced(exchange.method, head.status):
            return None
        return f"the request has {counted(size, 'byte')}"

    async def apply(self, context: FaultContext) -> None:
        announced = int(header(context.scope, b"content-length") or 0)
        if announced > self.limit:
            await context.respond_error(self._too_large())
            return
        received = 0
        refusal: OCIError | None = None

        async def receive() -> Message:
            nonlocal received, refusal
            message = await context.receive()
            received += len(message.get("body", b""))
            is_last = message["type"] == "http.request" and not message["more_body"]
            if received > self.limit:
                refusal = self._too_large()
            elif is_last and context.exchange.method == "PATCH" and received < (self.least or 0):
                refusal = self._too_small(received)
            if refusal is not None:
                raise refusal
            return message

        def change(head: Head) -> None:
            limits = self._announced(context.exchange.method, head.status)
            for name, value in limits.items():
                head.add(name, str(value))
            if refusal is None and not limits:
                context.no_effect("the body is not too large")

        await context.forward_changed(change, receive=receive)

    def _announced(self, method: str, status: int) -> dict[str, int]:
        """Return the headers that announce the limits; only the response that starts an upload has them."""
        if method != "POST" or status != _ACCEPTED:
            return {}
        limits = {"oci-chunk-max-length": self.limit} if self.tell else {}
        return limits if self.least is None else {**limits, "oci-chunk-min-length": self.least}

    def _too_large(self) -> OCIError:
        return OCIError(
            413, ErrorCode.SIZE_INVALID, f"The body is larger than the limit of {counted(self.limit, 'byte')}"
        )

    def _too_small(self, received: int) -> OCIError:
        return OCIError(
            400,
            ErrorCode.SIZE_INVALID,
            f"The chunk has {counted(received, 'byte')}; the minimum is {self.least}",
        )
