"""Forwards requests for an upload session to the replica that has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from brokenreg.config.addresses import Address
from brokenreg.fleet.calls import LISTENER, Calls
from brokenreg.fleet.directory import Directory, Replica
from brokenreg.fleet.errors import ReplicaEndedError, ReplicaError, ReplicaGoneError
from brokenreg.fleet.reception import target_sent
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
from brokenreg.wire.stream import stream_of

_FORWARDED = ("content-range", "host")


@dataclass(frozen=True, slots=True)
class UploadForwarder:
    """Serves requests with `handler`, except those for upload sessions of replicas other than `own`."""

    handler: Handler
    own: str
    directory: Directory
    calls: Calls

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
        replica = await self._find(name)
        try:
            try:
                return await self._call(replica, scope, receive)
            except ReplicaEndedError:  # nothing was sent, and it may have started again at another address
                replica = await self._find(name, replica.address)
                return await self._call(replica, scope, receive)
        except ReplicaGoneError as error:
            raise _unknown(f"this upload session has ended: {error}") from None
        except ReplicaError as error:
            raise OCIError(
                503,
                ErrorCode.UNAVAILABLE,
                f"this upload session cannot be reached: {error}",
                headers={"retry-after": "5"},
            ) from None

    async def _find(self, name: str, not_at: Address | None = None) -> Replica:
        replica = await self.directory.find(name, not_at=not_at)
        if replica is None:
            raise _unknown(f"replica {name}, which had this upload session, has ended")
        return replica

    async def _call(self, replica: Replica, scope: Scope, receive: Receive) -> ReadyResponse:
        exchange_of(scope).add(ForwardedToReplica(replica.name, str(replica.address)))
        body = RequestBody(scope, receive)
        sent = (replica, scope["method"], target_sent(scope), dict(_forwarded_headers(scope)))
        if stream_of(scope).body is None:
            return await self.calls.call(*sent)
        return await self.calls.call(*sent, body.chunks(), body.declared)


def _forwarded_headers(scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield the headers that matter for an upload. Credentials stay here, where they were checked."""
    for name in _FORWARDED:
        if (value := header(scope, name.encode("ascii"))) is not None:
            yield name, value.decode("latin-1")
    if listener := target_of(scope).base.listener:
        yield LISTENER, listener


def _unknown(message: str) -> OCIError:
    return OCIError(404, ErrorCode.BLOB_UPLOAD_UNKNOWN, f"{message}; start the upload again")
