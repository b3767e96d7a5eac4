"""Forwards requests for an upload session to the replica that has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from brokenreg.concurrency import first_of
from brokenreg.fleet.calls import LISTENER, Calls
from brokenreg.fleet.directory import Directory, Replica
from brokenreg.fleet.errors import ReplicaEndedError, ReplicaError
from brokenreg.fleet.reception import target_sent
from brokenreg.fleet.silence import SilenceWatch
from brokenreg.http.asgi import (
    ClientDisconnectedError,
    Handled,
    Handler,
    ReadyResponse,
    Receive,
    Scope,
    Send,
    complete,
    header,
)
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.names import replica_of_upload
from brokenreg.oci.target import Endpoint
from brokenreg.registry.request import RequestBody
from brokenreg.registry.responses import as_oci_error, error_response
from brokenreg.traffic.recorder import exchange_of, target_of
from brokenreg.traffic.timeline_events import ForwardedToReplica
from brokenreg.wire.stream import Stream, stream_of

_FORWARDED = ("content-range", "host")

_PATIENCE = 600.0
"""Seconds to wait for a response. At the end of a large upload, the other replica may need minutes.

One that hangs is noticed earlier (`SilenceWatch`).
"""

_RETRY_AFTER = {"retry-after": "5"}


@dataclass(frozen=True, slots=True)
class UploadForwarder:
    """Serves requests with `handler`, except those for upload sessions of replicas other than `own`."""

    handler: Handler
    own: str
    directory: Directory
    calls: Calls
    silence: SilenceWatch

    def __call__(self, scope: Scope, receive: Receive) -> Handled:
        """Forward a request, or let the handler serve it."""
        target = target_of(scope)
        if target.endpoint is not Endpoint.UPLOAD or target.error is not None:
            return self.handler(scope, receive)
        name = replica_of_upload(target.reference)
        if name in ("", self.own):
            return self.handler(scope, receive)
        return partial(self._forward, name, scope, receive)

    async def _forward(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._response(name, scope, receive)
        except ClientDisconnectedError:
            raise
        except Exception as error:  # noqa: BLE001 - every error becomes a response in OCI form
            response = error_response(as_oci_error(error))
        await complete(response, send)

    async def _response(self, name: str, scope: Scope, receive: Receive) -> ReadyResponse:
        """Return the other replica's response. Raise `OCIError`, or `ClientDisconnectedError`."""
        replica = await self.directory.find(name)
        if replica is None:
            raise _ended(name)
        try:
            return await self._call_again_if_moved(replica, scope, receive)
        except ReplicaError as error:
            # Its sessions survive a restart, so that only the end of its heartbeats ends them.
            if await self.directory.find(name) is None:
                raise _ended(name) from None
            message = f"this upload session cannot be reached: {error}; try again later"
            raise OCIError(503, ErrorCode.UNAVAILABLE, message, headers=_RETRY_AFTER) from None

    async def _call_again_if_moved(self, replica: Replica, scope: Scope, receive: Receive) -> ReadyResponse:
        """Call a replica, also if it has started again at another address."""
        try:
            return await self._call(replica, scope, receive)
        except ReplicaEndedError:  # the connection was refused, so that nothing of the body was sent
            moved = await self.directory.find(replica.name, not_at=replica.address)
            if moved is None:
                raise
            return await self._call(moved, scope, receive)

    async def _call(self, replica: Replica, scope: Scope, receive: Receive) -> ReadyResponse:
        exchange_of(scope).add(ForwardedToReplica(replica.name, str(replica.address)))
        stream, body = stream_of(scope), RequestBody(scope, receive)
        call = partial(
            self.calls.call,
            replica,
            scope["method"],
            target_sent(scope),
            dict(_forwarded_headers(scope)),
            patience=_PATIENCE,
        )
        response = call() if stream.body is None else call(body=body.chunks(), length=body.declared)
        return await first_of(response, _disconnect(stream), self.silence.until_silent(replica))


async def _disconnect(stream: Stream) -> NoReturn:
    """Wait until the client disconnects, and raise `ClientDisconnectedError`. The body stays to be read."""
    await stream.gone.wait()
    raise ClientDisconnectedError


def _forwarded_headers(scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield the headers that matter for an upload. Credentials stay here, where they were checked."""
    for name in _FORWARDED:
        if (value := header(scope, name.encode("ascii"))) is not None:
            yield name, value.decode("latin-1")
    if listener := target_of(scope).base.listener:
        yield LISTENER, listener


def _ended(name: str) -> OCIError:
    message = f"replica {name}, which had this upload session, has ended; start the upload again"
    return OCIError(404, ErrorCode.BLOB_UPLOAD_UNKNOWN, message)
