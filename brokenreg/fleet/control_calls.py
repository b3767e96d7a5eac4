"""Passes requests to the control API on to the replicas that they concern, and serves those of others.

The replica that the client uses checks the token. The other one gets what the client may do with the call.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from brokenreg.fleet.calls import Calls
from brokenreg.fleet.directory import Directory, Replica
from brokenreg.fleet.errors import (
    NoReplicaError,
    ReplicaEndedError,
    ReplicaError,
    ReplicaLostError,
    ReplicaSilentError,
)
from brokenreg.http.asgi import Message, ReadyResponse, Receive, Scope, Send, header
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.registry.request import RequestBody

MOST_BODY = 1024 * 1024
"""Maximum size of the body of a request, in bytes."""

MOST_RESPONSE = 16 * 1024 * 1024
"""Maximum size of the body of a response, in bytes."""

_PATIENCE = 5.0
"""Seconds in which another replica must respond."""

MOST_STREAMS = 200
"""Maximum number of responses without an end that are read from other replicas at the same time."""

_QUIET = 40.0
"""Seconds after which a stream without a byte is lost. Another replica sends a comment every 15 seconds."""

_DIGEST = "content-digest"
_PATH = re.compile(rb"/fleet/control/(full|read)(/v1/.*)", re.DOTALL)

ServeControl = Callable[[str, Scope, Receive, Send], Awaitable[None]]
"""Lets the control API respond to a request with that access."""


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A request to the control API. `target` is the path and the query, `access` what the client may do."""

    method: str
    target: str
    access: str
    body: bytes = b""
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class ControlCalls:
    """Sends requests to the control API of other replicas. `own` is the name of this one."""

    own: str
    directory: Directory
    calls: Calls
    streams: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_STREAMS))

    async def send(self, name: str, request: ControlRequest) -> ReadyResponse:
        """Return a replica's response. Raise `ReplicaError` or `StorageError`."""
        replica = await self.directory.find(name)
        if replica is None:
            raise NoReplicaError(name, [each.name for each in await self.directory.live()])
        return await self.call(replica, request)

    async def others(self) -> list[Replica]:
        """Return all other live replicas, sorted by name. Raise `StorageError`."""
        return [each for each in await self.directory.live() if each.name != self.own]

    async def call(self, replica: Replica, request: ControlRequest) -> ReadyResponse:
        """Return a replica's response. Raise `ReplicaError`."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._call(replica, request)
        except TimeoutError:
            raise ReplicaSilentError(f"{replica} does not respond") from None

    @contextlib.asynccontextmanager
    async def stream(self, replica: Replica, request: ControlRequest) -> AsyncIterator[AsyncIterator[bytes]]:
        """Provide the parts of the body of a response that does not end. Raise `ReplicaError`.

        At most `MOST_STREAMS` can be open.
        """
        if self.streams.locked():
            raise ReplicaSilentError(f"too many streams of other replicas are open: {MOST_STREAMS}")
        async with self.streams, contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_PATIENCE):
                    response = await stack.enter_async_context(
                        self.calls.stream(
                            replica,
                            request.method,
                            f"/fleet/control/{request.access}{request.target}",
                            {_DIGEST: _digest(b"")},
                            patience=_QUIET,
                        )
                    )
            except TimeoutError:
                raise ReplicaSilentError(f"{replica} does not respond") from None
            if response.status_code != 200:
                raise ReplicaLostError(f"{replica} responded with {response.status_code}")
            yield response.aiter_raw()

    async def _call(self, replica: Replica, request: ControlRequest) -> ReadyResponse:
        async def body() -> AsyncIterator[bytes]:
            yield request.body

        headers = {_DIGEST: _digest(request.body)}
        if request.media_type:
            headers["content-type"] = request.media_type
        return await self.calls.call(
            replica,
            request.method,
            f"/fleet/control/{request.access}{request.target}",
            headers,
            body() if request.body else None,
            len(request.body),
            MOST_RESPONSE,
        )


async def ended_as_none(response: Awaitable[ReadyResponse]) -> ReadyResponse | ReplicaError | None:
    """Return a response or the error instead of it; None if the replica has ended."""
    try:
        return await response
    except ReplicaEndedError:
        return None
    except ReplicaError as error:
        return error


def is_for_control(scope: Scope) -> bool:
    """Return whether a call is a request to the control API."""
    return _PATH.fullmatch(scope["raw_path"]) is not None


async def serve_control(serve: ServeControl, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request of another replica's client. Raise `OCIError` if its body is not what was signed."""
    match = _PATH.fullmatch(scope["raw_path"])
    if match is None:
        raise OCIError(404, ErrorCode.UNSUPPORTED, "this is not a request to the control API")
    body = await RequestBody(scope, receive).whole(MOST_BODY)
    if (header(scope, _DIGEST.encode("ascii")) or b"").decode("latin-1") != _digest(body):
        raise OCIError(400, ErrorCode.UNSUPPORTED, "the body of this call was altered")
    access, path = match[1].decode("ascii"), scope["path"].removeprefix(f"/fleet/control/{match[1].decode()}")
    await serve(access, {**scope, "path": path, "raw_path": match[2]}, _receiving(body, receive), send)


def _receiving(body: bytes, receive: Receive) -> Receive:
    """Return a function that returns a body that was received, then what `receive` returns."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _digest(body: bytes) -> str:
    """Return the value of Content-Digest (RFC 9530, section 2)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode('ascii')}:"
