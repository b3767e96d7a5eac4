"""What a replica does for others: the requests that its fleet listener serves."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

from brokenreg.fleet.calls import LISTENER
from brokenreg.fleet.control_calls import ServeControl, is_for_control, serve_control
from brokenreg.fleet.downloads import DOWNLOADS, Running, serve_download
from brokenreg.http.asgi import Handled, Handler, Receive, Scope, Send, complete, header
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.registry.responses import as_oci_error, error_response, ready_response
from brokenreg.traffic.recorder import target_of, with_target

REVISION = "/fleet/revisions/%d"
"""The path of a revision of the shared states. A 204 says that the replica has adopted it."""

ALIVE = "/fleet/alive"
"""The path of a 204 that says only that the replica responds."""

NEWEST = "/fleet/newest"
"""A path that responds with 204 once the replica has what was committed before the call."""

_REVISION = re.compile(r"/fleet/revisions/([0-9]{1,18})")

Adopt = Callable[[int], Awaitable[bool]]
"""Catches up, and returns whether this replica has adopted that revision."""


CatchUp = Callable[[], Awaitable[None]]
"""Catches up with the database. Raises `StorageError`."""


class ReplicaEndpoints:
    """Serves the calls of other replicas: requests for upload sessions by `registry`, and `/fleet/...`.

    `control` serves requests to the control API. `running` returns the downloads that others may read.
    """

    def __init__(
        self, registry: Handler, catch_up: CatchUp, adopt: Adopt, control: ServeControl, running: Running
    ) -> None:
        self._registry = registry
        self._catch_up = catch_up
        self._running = running
        self._adopt = adopt
        self._control = control

    def __call__(self, scope: Scope, receive: Receive) -> Handled:
        """Handle a call."""
        if match := _REVISION.fullmatch(scope["path"]):
            return partial(_acknowledge, partial(self._adopt, int(match[1])))
        if scope["path"] == ALIVE:
            return ready_response(204)
        if scope["path"] == NEWEST:
            return partial(_acknowledge, self._has_caught_up)
        if scope["path"] == DOWNLOADS:
            return partial(serve_download, self._running, scope)
        if is_for_control(scope):
            return partial(self._serve_control, scope, receive)
        return self._serve_upload(scope, receive)

    def _serve_upload(self, scope: Scope, receive: Receive) -> Handled:
        """Serve a forwarded request. Names are resolved as at the listener that the client uses."""
        listener = (header(scope, LISTENER.encode("ascii")) or b"").decode("latin-1")
        target = target_of(scope).at_listener(listener)
        if target.endpoint is not Endpoint.UPLOAD or not target.reference:
            message = "replicas serve only upload sessions to each other"
            return error_response(OCIError(404, ErrorCode.UNSUPPORTED, message))
        return self._registry(with_target(scope, target), receive)

    async def _serve_control(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await serve_control(self._control, scope, receive, send)
        except OCIError as error:
            await complete(error_response(error), send)

    async def _has_caught_up(self) -> bool:
        await self._catch_up()
        return True


async def _acknowledge(has_followed: Callable[[], Awaitable[bool]], send: Send) -> None:
    try:
        response = ready_response(204 if await has_followed() else 409)
    except Exception as error:  # noqa: BLE001 - every error becomes a response
        response = error_response(as_oci_error(error))
    await complete(response, send)
