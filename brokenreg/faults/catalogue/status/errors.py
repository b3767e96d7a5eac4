"""Faults that respond with another status: an error, or another success."""

from __future__ import annotations

import asyncio
import html
import json
from typing import Literal

from pydantic import Field

from brokenreg.faults.catalogue.base import READS, Fault, RespondingFault
from brokenreg.faults.catalogue.headers import HeaderValue
from brokenreg.faults.context import FaultContext, ResponseFilter
from brokenreg.faults.response_head import Head
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import IN_TOTO, has_too_many_values
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange

_USUAL = {
    400: (ErrorCode.MANIFEST_INVALID, "This request looks broken, on purpose"),
    401: (ErrorCode.UNAUTHORIZED, "Authentication required"),
    403: (ErrorCode.FORBIDDEN, "Fakereg: Access to this resource is forbidden"),
    404: (ErrorCode.MANIFEST_UNKNOWN, "Looking for something?"),
    # The code does not fit the message, but the output of clients has depended on it since the predecessor.
    405: (ErrorCode.UNAUTHORIZED, "Method not allowed"),
    408: (ErrorCode.TIMEOUT, "Request timeout"),
    429: (ErrorCode.TOOMANYREQUESTS, "Too many requests"),
    500: (ErrorCode.INTERNAL_SERVER_ERROR, "Out of order, on purpose"),
    503: (ErrorCode.UNAVAILABLE, "Service unavailable"),
}
_UNKNOWN = {
    Endpoint.MANIFEST: ErrorCode.MANIFEST_UNKNOWN,
    Endpoint.CONFIG: ErrorCode.BLOB_UNKNOWN,
    Endpoint.LAYER: ErrorCode.BLOB_UNKNOWN,
    Endpoint.UPLOAD: ErrorCode.BLOB_UPLOAD_UNKNOWN,
}
_NO_CONTENT = 204


def unknown_code(endpoint: Endpoint) -> ErrorCode:
    """Return the code of a 404 at that endpoint."""
    return _UNKNOWN.get(endpoint, ErrorCode.NAME_UNKNOWN)


class Error(RespondingFault):
    """Responds with `status` and an OCI error instead of the content.

    Without `processed`, the registry does not see the request, so a push stores nothing. `body` selects the
    form of the body: an OCI error, an HTML page such as proxies send, or nothing.
    """

    name = "error"
    default_endpoint = "manifest"
    clients = (
        "containerd 1.6, skopeo and podman give up at a 503. Newer containerd retries once after a 500, 503 "
        "or 504 (containerd#10898). Docker requests a layer again immediately and after 5 s; it "
        "requests a manifest with HEAD and then GET, and does not retry. HTML bodies break clients that "
        "parse them (kaniko#584, claircore#1748)."
    )
    example = "404"

    status: int = Field(500, ge=400, le=599, description="HTTP status")
    code: str | None = Field(
        None,
        pattern=r"^[A-Z_]{1,64}$",
        description="error code; by default the usual one for the status",
        examples=["TOOMANYREQUESTS"],
    )
    message: str | None = Field(
        None, max_length=1024, description="error message; by default the usual one for the status"
    )
    body: Literal["json", "html", "empty"] = Field("json", description="form of the body")
    retry_after: HeaderValue | None = Field(None, description="value of the Retry-After header")

    async def respond(self, context: FaultContext) -> None:
        code, message = _USUAL.get(self.status, (ErrorCode.UNKNOWN, f"Status {self.status}, on purpose"))
        headers = {"retry-after": self.retry_after} if self.retry_after is not None else {}
        error = OCIError(self.status, self.code or code, self.message or message, headers=headers)
        if self.body == "json":
            await context.respond_error(error)
        elif self.body == "html":
            page = f"<html><title>{self.status}</title><p>{html.escape(error.message)}</p></html>"
            await context.respond(self.status, {"content-type": "text/html", **headers}, page.encode())
        else:
            await context.respond(self.status, headers)

    @classmethod
    def short_form(cls, tag: str) -> dict[str, str] | None:
        return {"status": tag} if tag.isascii() and tag.isdigit() else None

    @classmethod
    def tag_problem(cls, tag: str, problem: str) -> str:
        return f"broken/error:{tag}: {problem} (a tag is a status from 400 to 599, such as broken/error:404)"


class NotFound(RespondingFault):
    """Responds with 404 and the error code that fits the request, for example BLOB_UNKNOWN.

    With `attestations`, this applies only to the manifests of attestations, whose layers are in-toto
    statements; use it with endpoint `manifest`. An index of buildx has one for each platform.
    """

    name = "not-found"
    default_endpoint = "layer"
    clients = (
        "Docker requests a missing layer twice, then gives up. Registries send this when a manifest lists "
        "blobs that are missing (harbor#22747)."
    )
    example = ""

    attestations: bool = Field(False, description="whether only manifests of attestations are missing")

    @property
    def is_final(self) -> bool:
        return super().is_final and not self.attestations

    async def apply(self, context: FaultContext) -> None:
        if not self.attestations:
            await super().apply(context)
        elif context.exchange.method not in READS or context.exchange.endpoint is not Endpoint.MANIFEST:
            context.no_effect("the request is not for a manifest")
            await context.forward()
        else:
            await self._hide_attestation(context)

    async def _hide_attestation(self, context: FaultContext) -> None:
        head, body = await context.fetch(scope={**context.scope, "method": "GET"})
        if head.is_success and await asyncio.to_thread(_is_attestation, body):
            await self.respond(context)
            return
        context.no_effect("this is not the manifest of an attestation")
        await context.send_response(head, b"" if context.exchange.method == "HEAD" else body)

    async def respond(self, context: FaultContext) -> None:
        target = context.exchange.target
        code = unknown_code(target.endpoint)
        detail = {"reference": target.reference} if target.reference else None
        await context.respond_error(OCIError(404, code, "Not found, on purpose", detail=detail))


def _is_attestation(body: bytes) -> bool:
    """Return whether a document is a manifest whose layers are all statements of in-toto."""
    try:
        document = None if has_too_many_values(body) else json.loads(body)
    except (ValueError, RecursionError):
        return False
    layers = document.get("layers") if isinstance(document, dict) else None
    return (
        isinstance(layers, list)
        and bool(layers)
        and all(isinstance(each, dict) and each.get("mediaType") == IN_TOTO for each in layers)
    )


class HeadDiffers(Fault):
    """Responds to HEAD with `status` and without the usual headers; GET works as usual."""

    name = "head-differs"
    default_endpoint = "manifest"
    methods = frozenset({"HEAD"})
    clients = (
        "Clients that send HEAD first and trust the result fail: containerd, crossplane#3223, "
        "distribution#1485. Docker continues with GET. containers/image sends no HEAD."
    )
    example = "status-403"

    status: int = Field(404, ge=200, le=599, description="status of the response to HEAD")

    @property
    def is_final(self) -> bool:
        return True

    async def apply(self, context: FaultContext) -> None:
        await context.respond(self.status, {"content-type": "application/json"})


class Status(Fault):
    """Lets the registry respond as usual, but with another success status.

    Some registries respond to PATCH with 204 and to PUT with 200, for example. The headers and the body stay
    the same, except that 204 has no body.
    """

    name = "status"
    default_endpoint = "upload"
    clients = "Clients that compare the status with the one in the specification fail."
    example = "status-204"

    status: int = Field(200, ge=200, le=299, description="HTTP status")

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del exchange
        if not head.is_success:
            return f"the status is {head.status}, which is no success"
        return f"the status is {head.status} anyway" if head.status == self.status else None

    async def apply(self, context: FaultContext) -> None:
        await _OtherStatus(context, self).run()


class _OtherStatus(ResponseFilter):
    def __init__(self, context: FaultContext, fault: Status) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._status = fault.status

    async def head(self, head: Head) -> None:
        head.status = self._status
        if self._status == _NO_CONTENT:
            head.remove("content-length")
        await super().head(head)

    async def body(self, data: bytes, *, more: bool) -> None:
        await super().body(b"" if self._status == _NO_CONTENT else data, more=more)
