"""Faults that respond with an error status."""

from __future__ import annotations

import html
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from cachetools import LRUCache
from pydantic import Field

from brokenreg.faults.catalogue.base import READS, Fault
from brokenreg.faults.catalogue.headers import HeaderValue
from brokenreg.faults.catalogue.parameters import Duration
from brokenreg.faults.context import FaultContext, Head
from brokenreg.http.dates import http_date
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.matching import Match

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
_MAX_CLIENTS = 10_000
_MAX_PUSHES = 10_000


class _Windows(LRUCache[str, tuple[float, int]]):
    """For each client, the start of its current window (monotonic clock) and the requests counted in it."""

    def __init__(self) -> None:
        super().__init__(_MAX_CLIENTS)


@dataclass(slots=True)
class _Push:
    """The time of a push (monotonic clock), and how often its content was requested since."""

    at: float
    reads: int = 0


class _Pushes(LRUCache[tuple[str, str], _Push]):
    """The most recent pushes, by repository and tag or digest."""

    def __init__(self) -> None:
        super().__init__(_MAX_PUSHES)


class Error(Fault):
    """Responds with `status` and an OCI error instead of the content.

    The registry does not process the request, so a push stores nothing. `body` selects the form of the
    body: an OCI error, an HTML page such as proxies send, or nothing.
    """

    name = "error"
    default_endpoint = "manifest"
    responds = True
    clients = (
        "containerd 1.6, skopeo and podman give up at a 503. Newer containerd repeats 500, 503 and 504 "
        "once (containerd#10898). Docker requests a layer again immediately and after 5 s; it "
        "requests a manifest with HEAD and then GET, and does not retry. HTML bodies break clients that "
        "parse them (kaniko#584, claircore#1748)."
    )
    example = "404"

    status: int = Field(500, ge=400, le=599, description="HTTP status, 400 to 599")
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

    async def apply(self, context: FaultContext) -> None:
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


class RateLimit(Fault):
    """Allows `quota` requests per `window` and responds to all others with 429 (code TOOMANYREQUESTS).

    A window starts with its first request. `by` decides whether each client address has a window of its own
    or all clients share one. Every response has the headers `ratelimit-limit` and `ratelimit-remaining` in
    the form that Docker Hub uses (`100;w=21600`). `retry_after` selects the Retry-After header of a 429:

    - `seconds`: the number of seconds until the window ends
    - `date`: the time at which the window ends
    - `absent`: no header
    - `garbage`: neither a number nor a date
    - `huge`: ten years
    """

    name = "rate-limit"
    default_endpoint = "manifest"
    clients = (
        "containers/image honours Retry-After and tries 5 times, 2 to 60 s apart. containerd repeats the "
        "request immediately (containerd#10447). Docker gives up. See also oras-go#1210 and "
        "go-containerregistry#2111."
    )
    example = "quota-2_window-1m"

    quota: int = Field(0, ge=0, le=10**9, description="number of requests allowed per window; 0 allows none")
    window: Duration = Field(60.0, gt=0, description="length of the window")
    by: Literal["client", "all"] = Field("client", description="whose requests are counted together")
    retry_after: Literal["seconds", "date", "absent", "garbage", "huge"] = Field(
        "seconds", description="form of the Retry-After header"
    )

    async def apply(self, context: FaultContext) -> None:
        client = context.exchange.client.rpartition(":")[0] if self.by == "client" else ""
        now = time.monotonic()
        windows = context.memory.get(_Windows)
        began, used = windows.get(client, (now, 0))
        if now >= began + self.window:
            began, used = now, 0
        windows[client] = began, used + 1
        left = began + self.window - now
        if used >= self.quota:
            await context.respond_error(self._refusal(left))
            return
        context.no_effect(f"{used + 1} of {self.quota} in this window")

        def add_limits(head: Head) -> None:
            for name, value in self._headers(self.quota - used - 1).items():
                head.add(name, value)

        await context.forward_changed(add_limits)

    def _refusal(self, left: float) -> OCIError:
        headers = self._headers(0)
        seconds = max(1, -(-int(left * 1000) // 1000))
        if self.retry_after == "seconds":
            headers["retry-after"] = str(seconds)
        elif self.retry_after == "date":
            headers["retry-after"] = http_date(time.time() + seconds)
        elif self.retry_after == "garbage":
            headers["retry-after"] = "soon"
        elif self.retry_after == "huge":
            headers["retry-after"] = str(10 * 365 * 24 * 3600)
        return OCIError(
            429, ErrorCode.TOOMANYREQUESTS, "You have reached your pull rate limit", headers=headers
        )

    def _headers(self, remaining: int) -> dict[str, str]:
        window = f";w={max(1, round(self.window))}"
        return {"ratelimit-limit": f"{self.quota}{window}", "ratelimit-remaining": f"{remaining}{window}"}


class NotFound(Fault):
    """Responds with 404 and the error code that fits the request, for example BLOB_UNKNOWN."""

    name = "not-found"
    default_endpoint = "layer"
    responds = True
    clients = (
        "Docker requests a missing layer twice, then gives up. Registries send this when a manifest lists "
        "blobs that are missing (harbor#22747)."
    )
    example = ""

    async def apply(self, context: FaultContext) -> None:
        target = context.exchange.target
        code = _UNKNOWN.get(target.endpoint, ErrorCode.NAME_UNKNOWN)
        detail = {"reference": target.reference} if target.reference else None
        await context.respond_error(OCIError(404, code, "Not found, on purpose", detail=detail))


class HeadDiffers(Fault):
    """Responds to HEAD with `status` and without the usual headers; GET works as usual."""

    name = "head-differs"
    default_endpoint = "manifest"
    methods = frozenset({"HEAD"})
    responds = True
    clients = (
        "Clients that send HEAD first and trust the result fail: containerd, crossplane#3223, "
        "distribution#1485. Docker continues with GET. containers/image sends no HEAD."
    )
    example = "status-403"

    status: int = Field(404, ge=200, le=599, description="status of the response to HEAD")

    async def apply(self, context: FaultContext) -> None:
        await context.respond(self.status, {"content-type": "application/json"})


class ReadAfterWrite(Fault):
    """Responds with 404 after a push, to the first `reads` requests or for `dur`, whichever is longer.

    The rule must match the PUT of the push as well as the GET and HEAD requests after it. The fault applies
    to both the tag and the digest of the pushed manifest.
    """

    name = "read-after-write"
    default_endpoint = "manifest"
    methods = READS | {"PUT"}
    endpoints = frozenset({Endpoint.MANIFEST})
    clients = (
        "Release tools that push and check immediately fail (release-sdk#55). Geo-replicated registries "
        "behave like this."
    )
    example = "reads-2"

    reads: int = Field(0, ge=0, le=10**6, description="number of requests after a push that get a 404")
    dur: Duration = Field(0.0, description="how long after a push all requests get a 404")

    def conflict_reason(self, match: Match, endpoints: Collection[Endpoint]) -> str | None:
        if not match.allows("PUT") or not any(map(match.allows, READS)):
            return f"read-after-write must see PUT as well as GET or HEAD, and match.method is {match.method}"
        return super().conflict_reason(match, endpoints)

    async def apply(self, context: FaultContext) -> None:
        pushes = context.memory.get(_Pushes)
        target = context.exchange.target
        if context.exchange.method == "PUT":
            await self._push(context, pushes)
            return
        push = pushes.get((target.repository, target.reference))
        if push is not None:
            push.reads += 1
            if push.reads <= self.reads or time.monotonic() < push.at + self.dur:
                code = _UNKNOWN.get(target.endpoint, ErrorCode.NAME_UNKNOWN)
                await context.respond_error(OCIError(404, code, "Pushed, but not visible yet"))
                return
        context.no_effect("nothing was pushed recently" if push is None else "the push is visible by now")
        await context.forward()

    async def _push(self, context: FaultContext, pushes: _Pushes) -> None:
        repository, reference = context.exchange.target.repository, context.exchange.target.reference

        def remember(head: Head) -> None:
            if head.status == 201:
                push = _Push(time.monotonic())
                pushes[repository, reference] = push
                pushes[repository, head.get("docker-content-digest") or ""] = push

        context.no_effect("this is the push")
        await context.forward_changed(remember)
