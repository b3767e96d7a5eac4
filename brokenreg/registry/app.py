"""The registry as an ASGI application."""

from __future__ import annotations

from contextlib import AsyncExitStack

from brokenreg.oci.errors import OCIError
from brokenreg.registry.endpoints import endpoint_for
from brokenreg.registry.request import RegistryRequest, Services
from brokenreg.registry.responses import Response, as_oci_error, respond_error, send_response
from brokenreg.traffic.recorder import exchange_of
from brokenreg.traffic.timeline_events import ResponseCutShort
from brokenreg.wire.asgi import ZERO_COPY, ClientDisconnectedError, Receive, Scope, Send
from brokenreg.wire.connection_middleware import stream_of


class Registry:
    """Serves `/v2/` and `/token` inside the recorder, which has parsed the target of the request."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as resources:
            request = RegistryRequest(self._services, scope, receive, resources)
            try:
                response = endpoint_for(request.target, request.method)(request)
                if not isinstance(response, Response):
                    response = await response
                await send_response(send, response, zero_copy=ZERO_COPY in scope["extensions"])
            except ClientDisconnectedError:
                raise
            except Exception as error:  # noqa: BLE001 - every error becomes a response in OCI form
                await _fail(scope, send, as_oci_error(error))


async def _fail(scope: Scope, send: Send, error: OCIError) -> None:
    """Respond with an error, or cut a response that has begun, so that it does not look complete."""
    exchange = exchange_of(scope)
    if exchange.status is None:
        await respond_error(send, error)
    else:
        exchange.add(ResponseCutShort(error.message))
        stream_of(scope).connection.abort()
